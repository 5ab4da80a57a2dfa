# SPDX-License-Identifier: Apache-2.0
"""What an agent can be told."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from station.config.base import MILLISECONDS, Breach, Model, Producer
from station.config.values import Milliseconds, Streams, Symbols

Bars = Annotated[int, Field(ge=1, le=10_000)]


class MomentumOptions(Model):
    """Sign of the difference of two exponential moving averages."""

    name: Literal["Momentum"]
    fast: Bars = Field(default=12, description="bars of the fast average")
    slow: Bars = Field(default=26, description="bars of the slow average")
    band: Decimal = Field(
        default=Decimal("0.0001"), ge=0, lt=1, description="share of the slow average up to which it stays flat"
    )

    @model_validator(mode="after")
    def _check_averages(self) -> Self:
        if self.fast >= self.slow:
            raise Breach("fast", f"{self.fast} is not less than slow, {self.slow}; the fast average takes fewer bars")
        return self


class AgentService(Producer):
    """Reads streams, decides, and writes what follows."""

    families: ClassVar[tuple[str, ...]] = ("strat", "exec", "tourn")

    kind: Literal["agent"]
    strategy: MomentumOptions = Field(description="what it runs, by the name of its class, and how that is set")
    reads: Streams = Field(description="the streams that it reads")
    symbols: Symbols = Field(description="the symbols that it has an opinion about")
    budget_ms: Milliseconds = Field(default=20, description="milliseconds that one event may take")
    deadline_ms: Milliseconds = Field(
        default=50, description="milliseconds after which an answer to an event is of no use"
    )

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.budget_ms > self.deadline_ms:
            raise Breach("budget_ms", f"{self.budget_ms} is more than deadline_ms, {self.deadline_ms}; lower it")
        if self.deadline_ms >= self.watchdog_s * MILLISECONDS:
            raise Breach(
                "deadline_ms",
                f"{self.deadline_ms} is not below watchdog_s, {self.watchdog_s} s: a slow answer would end the service;"
                " lower it",
            )
        return self

    @model_validator(mode="after")
    def _check_streams(self) -> Self:
        if self.stream in self.reads:
            raise Breach(
                "reads", f"{self.stream} is what it writes, and it would answer itself without end; leave it out"
            )
        twice = {stream for stream in self.reads if self.reads.count(stream) > 1}
        if twice:
            raise Breach("reads", f"{min(twice)} is there twice; name it once")
        return self
