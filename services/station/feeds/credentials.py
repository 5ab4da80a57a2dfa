# SPDX-License-Identifier: Apache-2.0
"""Secrets from files, as systemd hands them to a service."""

from __future__ import annotations

import re
from pathlib import Path

from station.errors import StationError


def read_token(path: Path) -> str:
    """Return the one word that a credential file holds.

    Raises:
        StationError: it cannot be read or holds no single word; the message says nothing of what it holds.
    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f"credential {path}: {type(error).__name__}: give the service LoadCredential=") from None
    if not re.fullmatch(r"[!-~]+", token):
        raise StationError(f"credential {path}: write the token alone into it, one line without spaces")
    return token
