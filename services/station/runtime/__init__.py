# SPDX-License-Identifier: Apache-2.0
"""A service from start to end: one loop for all kinds, and what each kind does in it."""
