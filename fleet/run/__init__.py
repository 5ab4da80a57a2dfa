# SPDX-License-Identifier: Apache-2.0
"""Running plays and checks on the fleet, with progress."""
