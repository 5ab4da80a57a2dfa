# SPDX-License-Identifier: Apache-2.0
"""The journal: the only writer of history. Segments are the truth, QuestDB is a copy that can be rebuilt from them."""
