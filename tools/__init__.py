# SPDX-License-Identifier: Apache-2.0
"""The contributor's tools: lint, generated pages, tables of sessions, reports of measurements."""
