# SPDX-License-Identifier: Apache-2.0
"""Latency of a host: the words of measuring tools as figures, plots, a page, and a verdict against its own baseline."""
