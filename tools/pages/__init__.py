# SPDX-License-Identifier: Apache-2.0
"""The generated pages of docs/reference, made from the specifications, the inventory and the tests."""
