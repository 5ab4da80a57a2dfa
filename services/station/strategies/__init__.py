# SPDX-License-Identifier: Apache-2.0
"""What decides: strategies and, beside them, the agents that watch and judge them."""
