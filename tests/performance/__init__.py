# SPDX-License-Identifier: Apache-2.0
"""Measurements of the project, each with the goal it is held to."""
