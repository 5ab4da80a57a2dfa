# SPDX-License-Identifier: Apache-2.0
"""The one kind of error a command shows its user: a line that says what, where and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend; printed as one line, without a traceback."""
