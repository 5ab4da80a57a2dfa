# SPDX-License-Identifier: Apache-2.0
"""Bars in, MarketEvents out: readers of files and vendors, what is checked on the way, and the loop that publishes."""
