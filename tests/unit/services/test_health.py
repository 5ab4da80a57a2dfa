# SPDX-License-Identifier: Apache-2.0
"""When a service counts as alive."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from station.health import Progress, Watch

SECOND = 1_000_000_000


@dataclass
class Hands:
    """A clock that is set by hand."""

    ns: int = 100 * SECOND

    def now(self) -> int:
        return self.ns // 1000

    def monotonic_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


def watch(limit_s: int = 30) -> tuple[Hands, Progress, Watch]:
    clock = Hands()
    progress = Progress(clock)
    return clock, progress, Watch(progress, limit_s)


def test_time_alone_never_feeds_the_watchdog() -> None:
    clock, _, dog = watch()
    for _ in range(100):
        clock.sleep(1)
        assert not dog.feed()


def test_work_feeds_it_once() -> None:
    _, progress, dog = watch()
    progress.advance(1)
    assert dog.feed()
    assert not dog.feed()


def test_a_busy_service_feeds_it_ten_times_a_limit_and_not_once_an_event() -> None:
    clock, progress, dog = watch(limit_s=30)
    fed = 0
    for _ in range(3000):
        clock.sleep(0.01)
        progress.advance(1)
        fed += dog.feed()
    assert fed == 10


def test_no_work_is_no_progress() -> None:
    clock, progress, dog = watch()
    clock.sleep(5)
    progress.advance(0)
    assert not dog.feed()
    assert progress.idle_s() == 5


def test_a_heartbeat_is_due_after_a_third_of_the_limit_without_work() -> None:
    clock, progress, dog = watch(limit_s=30)
    clock.sleep(9.9)
    assert not dog.heartbeat_due()
    clock.sleep(0.1)
    assert dog.heartbeat_due()
    progress.advance(1)
    assert not dog.heartbeat_due()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=50))
def test_it_is_fed_no_more_often_than_there_was_work(steps: list[tuple[int, int]]) -> None:
    clock, progress, dog = watch()
    fed = worked = 0
    for seconds, work in steps:
        clock.sleep(seconds)
        progress.advance(work)
        worked += work > 0
        fed += dog.feed()
    assert fed <= worked
