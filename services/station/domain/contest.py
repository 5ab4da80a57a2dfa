# SPDX-License-Identifier: Apache-2.0
"""The weekly tournament: challenge, defence and result."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """A question that aims at a weakness of somebody's prediction, with the evidence it rests on."""

    challenge_id: str
    target: str
    question: str
    evidence: tuple[str, ...] = ()


class Defense(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and the probabilities after it (down, flat, up)."""

    challenge_id: str
    answer: str
    revised: tuple[Decimal, Decimal, Decimal] | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one strategy did."""

    strategy: str
    prediction_accuracy: Decimal
    challenge_resilience: Decimal
    risk_adjusted_return: Decimal
    allocation: Decimal


class TournamentResult(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets which share of the competitive capital."""

    tournament_id: str
    scores: tuple[Score, ...]
    diversity: Decimal
    competitive_share: Decimal
