# SPDX-License-Identifier: Apache-2.0
"""How the station runs: its mode, the health of its services, and what the recorder notes of its own."""

from __future__ import annotations

from typing import Literal

import msgspec


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the station's mode."""

    before: str
    after: str
    reason: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A service says how far it has come.

    `started` names the run before, so that a lost end of it is noticed; `power_lost` says that the host was started
    anew before that run had ended, and that its last events may be lost without anybody knowing their number.
    """

    state: Literal["started", "ready", "progress", "degraded", "stopping"]
    progress: int = 0
    previous_run: int = 0
    previous_sequence: int = 0
    power_lost: bool | None = None
    detail: str = ""


class JournalNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder itself writes into the chain: where it began, what is missing, what did not fit."""

    note: Literal["genesis", "segment", "restart", "gap", "conflict", "torn"]
    detail: dict[str, str] = {}
