# SPDX-License-Identifier: Apache-2.0
"""Real servers and services as processes of one's own, for tests, faults and benches: no systemd, no containers."""
