# SPDX-License-Identifier: Apache-2.0
"""Jumps between two bars that a split or a dividend explains better than trading does.

A note, never a correction: prices stay as they were traded, because adjusting them rewrites the past.
"""

from __future__ import annotations

from decimal import Decimal

# New shares for old ones; the usual ones, because every jump is near some fraction.
SPLITS = ((2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (10, 1), (15, 1), (20, 1), (25, 1), (50, 1), (3, 2))
NEAR = Decimal("0.03")
DIVIDEND = Decimal("0.02")


def corporate_action(close: Decimal, opened: Decimal, *, paused: bool) -> str:
    """Return what a jump looks like, in words; nothing if it looks like trading.

    Args:
        close: the last price before.
        opened: the first price after.
        paused: the market was closed between the two, which is when shares are split and dividends go off.
    """
    ratio = opened / close
    if abs(ratio - 1) < DIVIDEND:
        return ""
    for new, old in SPLITS:
        for one, other, word in ((new, old, "split"), (old, new, "reverse split")):
            if abs(ratio * one / other - 1) <= NEAR:
                return f"from {close} to {opened}: looks like a {one}:{other} {word}"
    drop = 1 - ratio
    if paused and drop >= DIVIDEND:
        return f"from {close} to {opened}, {drop:.1%} down over a pause: a dividend would look like this"
    return ""
