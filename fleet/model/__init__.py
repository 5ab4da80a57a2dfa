# SPDX-License-Identifier: Apache-2.0
"""The inventory as the plays will see it, read without hosts and without facts, and the check of it."""
