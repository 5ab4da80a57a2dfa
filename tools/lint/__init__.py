# SPDX-License-Identifier: Apache-2.0
"""The project's own rules that no general linter knows."""
