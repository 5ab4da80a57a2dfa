# SPDX-License-Identifier: Apache-2.0
"""The lab: the fleet as systemd containers on one machine."""
