# SPDX-License-Identifier: Apache-2.0
"""When a market is open, and what a host may do then."""
