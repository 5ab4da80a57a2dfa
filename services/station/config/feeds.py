# SPDX-License-Identifier: Apache-2.0
"""What a feed can be told."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from station.config.base import MILLISECONDS, Breach, Model, Producer
from station.config.values import (
    AbsolutePath,
    Address,
    Credential,
    Interval,
    LocalTime,
    MarketHours,
    Milliseconds,
    Name,
    Symbol,
    Symbols,
    Url,
    Zone,
)

Column = Annotated[str, Field(min_length=1)]
Requests = Annotated[int, Field(ge=1)]


class Columns(Model):
    """How a file calls its numbers."""

    open: Column = "open"
    high: Column = "high"
    low: Column = "low"
    close: Column = "close"
    volume: Column = "volume"


class BarFile(Model):
    """A CSV or Parquet file of bars."""

    path: AbsolutePath = Field(description="a .csv or .parquet file")
    origin: Name = Field(description="where the data is from; its bars say so")
    stamped: Literal["open", "close"] = Field(description="open or close, the end of its interval that a row's time is")
    symbol: Symbol | None = Field(
        default=None, description="the symbol of all rows; without it the column `symbol` says it"
    )
    time: str = Field(default="time", description="the column of the time; its name may be empty")
    time_format: str | None = Field(
        default=None, description="of times that are text but not ISO 8601, such as %d.%m.%Y %H:%M:%S.%f"
    )
    columns: Columns = Field(default_factory=Columns, description="how the file calls open, high, low, close, volume")
    unit: Literal["s", "ms", "us", "ns"] | None = Field(default=None, description="of times that are numbers")
    zone: Zone = Field(default="UTC", description="of times that name none")
    day_closes: LocalTime | None = Field(
        default=None, description="when the market closes, for rows that have a date only"
    )

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        if self.time_format and self.unit:
            raise Breach("time_format", "is for times that are text, unit for times that are numbers; give one of them")
        return self


class BarTable(Model):
    """The table `bars` of QuestDB."""

    address: Address = Field(default="127.0.0.1:9000", description="<host>:<port> of QuestDB's HTTP server")
    user: Name = Field(default="writer", description="its user")
    password_file: Credential = Field(default="questdb-http", description="the credential with that user's password")
    origin: Name = Field(description="which bars: those that are from there")


class Feed(Model):
    """What every source of bars has."""

    symbols: Symbols = Field(description="the symbols that it sends")
    interval: Interval = Field(description="the length of its bars, such as 1m or 1h")


class LiveFeed(Feed):
    """What every vendor has."""

    market_hours: MarketHours = Field(
        description="when bars are due, so that a missing one is noticed: always, in the sessions of a market such as "
        "XNYS or fx, or unknown"
    )
    grace_ms: Milliseconds = Field(default=10_000, description="milliseconds after its close that a bar may take")
    rest_url: Url | None = Field(default=None, description="another address of the vendor's REST interface")
    stream_url: Url | None = Field(default=None, description="another address of the vendor's websocket")


class ReplayFeed(Feed):
    """Bars of the past."""

    source: Literal["replay"]
    files: tuple[BarFile, ...] = Field(default=(), description="files to play")
    table: BarTable | None = Field(default=None, description="or a table to play")
    speed: Decimal = Field(
        default=Decimal(1),
        ge=0,
        description="how many times faster than it happened; 0: as fast as the readers take it",
    )
    backlog: Requests = Field(
        default=10_000, description="entries that the slowest reader may be behind before it waits"
    )

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if bool(self.files) == (self.table is not None):
            wrong = "are there as well as table" if self.files else "are missing, and table too"
            raise Breach("files", f"{wrong}; give one of them")
        return self


class TiingoFeed(LiveFeed):
    """Tiingo: shares at IEX, or crypto pairs."""

    source: Literal["tiingo"]
    market: Literal["iex", "crypto"] = Field(description="iex or crypto")
    level: Literal[5, 6] = Field(
        default=6,
        description="threshold level of iex: 5, every trade, for who has an agreement with IEX; 6, prices only",
    )
    token_file: Credential = Field(default="tiingo", description="the credential with the token")
    requests_an_hour: Requests = Field(default=50, description="requests an hour of the plan")
    requests_a_day: Requests = Field(default=1000, description="requests a day of the plan")


class ExchangeFeed(LiveFeed):
    """A crypto exchange's public candles."""

    source: Literal["exchange"]
    exchange: Literal["binance", "kraken"] = Field(description="binance or kraken")


class FeedService(Producer):
    """Writes bars."""

    families: ClassVar[tuple[str, ...]] = ("md",)

    kind: Literal["feed"]
    feed: Annotated[ReplayFeed | TiingoFeed | ExchangeFeed, Field(discriminator="source")] = Field(
        description="where its bars are from: source replay, tiingo or exchange, and its options"
    )
    deadline_ms: Milliseconds | None = Field(
        default=None,
        description="milliseconds after a bar in which an order may follow from it; none for a bar of the past",
    )

    @model_validator(mode="after")
    def _check_deadline(self) -> Self:
        if self.deadline_ms is not None and self.deadline_ms >= self.watchdog_s * MILLISECONDS:
            raise Breach(
                "deadline_ms", f"{self.deadline_ms} is not below watchdog_s, {self.watchdog_s} s; lower one of them"
            )
        return self
