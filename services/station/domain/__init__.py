# SPDX-License-Identifier: Apache-2.0
"""What the services talk about: frozen values without I/O and without a clock.

Prices, quantities and shares are `Decimal`, never float; times are integer microseconds UTC.
"""
