# SPDX-License-Identifier: Apache-2.0
"""Signals, orders, fills and what the risk layer says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy wants to hold: -1 (fully short) to 1 (fully long) of its share."""

    symbol: str
    strength: Decimal
    horizon: int  # microseconds
    prior: str = ""  # id of the prior card that was mixed in


class RiskAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was reached, and what follows."""

    limit: str
    subject: str
    value: Decimal
    threshold: Decimal
    action: Literal["warn", "reduce", "halt"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands after this event. Its id is a pure function of the decision behind it."""

    order_id: str
    symbol: str
    side: Side
    kind: Literal["market", "limit", "stop", "stop_limit", "trailing", "market_on_close"]
    quantity: Decimal
    state: Literal["new", "accepted", "denied", "rejected", "cancelled", "filled", "unknown"]
    time_in_force: Literal["day", "gtc", "ioc"] = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an order that was traded."""

    fill_id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    venue: str
