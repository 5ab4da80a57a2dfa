# SPDX-License-Identifier: Apache-2.0
"""What the control machine runs: the inventory check, the lab, the lints, the reference pages, the benchmarks."""
