# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the journal's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.services.journal.history_kit import History, make
from tests.unit.services.journal.journal_kit import Station


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """Return a station with a new journal."""
    return Station(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Return a journal with its anchor and its database, for a test to alter."""
    return make(tmp_path)
