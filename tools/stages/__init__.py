# SPDX-License-Identifier: Apache-2.0
"""The long tests as stages that are named, timed and cleaned up behind: `python -m tools.stages NAME`."""
