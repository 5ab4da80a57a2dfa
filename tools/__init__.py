# SPDX-License-Identifier: Apache-2.0
"""The contributor's tools: lint, generated pages, reports of measurements."""
