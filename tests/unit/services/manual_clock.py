# SPDX-License-Identifier: Apache-2.0
"""A clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ManualClock:
    """Waiting moves it on, and is remembered."""

    micros: int = 1_700_000_000_000_000
    ns: int = 10**9
    slept: list[float] = field(default_factory=list)

    def now(self) -> int:
        return self.micros

    def monotonic_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.micros += round(seconds * 1e6)
        self.ns += round(seconds * 1e9)
