# SPDX-License-Identifier: Apache-2.0
"""How fast the bus and the journal are, beside the bare client libraries doing the same: `make bench-bus`."""
