# SPDX-License-Identifier: Apache-2.0
"""The lab of an older commit is brought to this one, as an operator pulls and runs; nothing is lost or left behind."""
