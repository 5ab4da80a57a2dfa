# SPDX-License-Identifier: Apache-2.0
"""The loop of every service, and what systemd hears of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from station.errors import Conflict, StationError, Unavailable
from station.runtime.loop import serve
from station.runtime.work import Surroundings

from tests.unit.services.runtime.station_kit import Heard, Host


class Scripted:
    """Work that does what its script says, a step a number, and then wants to end."""

    def __init__(self, around: Surroundings, steps: list[int], heartbeat: int = 1, ready_after: int = 0) -> None:
        self.around, self.steps, self.answer, self.ready_after = around, steps, heartbeat, ready_after
        self.calls: list[str] = []
        self.trouble: dict[str, Exception] = {}
        self.each_step_s = 1.0

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.trouble:
            raise self.trouble[name]

    def start(self) -> None:
        self._call("start")

    def ready(self) -> bool:
        return self.calls.count("step") > self.ready_after

    def step(self) -> int:
        self._call("step")
        self.around.clock.sleep(self.each_step_s)
        done = self.steps.pop(0)
        if not self.steps:
            self.around.stop.set()
        return done

    def heartbeat(self) -> int:
        self._call("heartbeat")
        return self.answer

    def stop(self) -> None:
        self._call("stop")

    def finish(self) -> None:
        self._call("finish")

    def close(self) -> None:
        self._call("close")


def run(
    tmp_path: Path, steps: list[int], change: Callable[[Scripted], None] = lambda _: None, **options: int
) -> tuple[Scripted, Heard]:
    around, heard = Host(tmp_path).around(), Heard()
    work = Scripted(around, steps, **options)
    change(work)
    serve(work, around, heard, watchdog_s=30)
    return work, heard


def test_a_busy_service_is_ready_alive_and_ends_in_order(tmp_path: Path) -> None:
    work, heard = run(tmp_path, [1] * 10)
    assert work.calls == ["start", *["step"] * 10, "finish", "close"]
    assert heard.words[0] == "READY=1"
    assert heard.words[-1] == "STOPPING=1"
    assert heard.words[1:-1] == ["WATCHDOG=1"] * 4


def test_it_is_not_ready_before_its_work_says_so(tmp_path: Path) -> None:
    _, heard = run(tmp_path, [0] * 4, ready_after=9)
    assert "READY=1" not in heard.words


def test_an_idle_service_lives_on_heartbeats_that_the_bus_confirmed(tmp_path: Path) -> None:
    work, heard = run(tmp_path, [0] * 60)
    assert work.calls.count("heartbeat") == 6
    assert heard.words.count("WATCHDOG=1") == 6


def test_a_service_that_runs_and_gets_nowhere_is_not_called_alive(tmp_path: Path) -> None:
    _, heard = run(tmp_path, [0] * 60, heartbeat=0)
    assert heard.words.count("WATCHDOG=1") == 0


def test_it_closes_and_says_why_when_a_person_has_to_look(tmp_path: Path) -> None:
    for trouble in (StationError("mend it"), Conflict("two of us"), ZeroDivisionError()):
        around, heard = Host(tmp_path).around(), Heard()
        work = Scripted(around, [1, 1, 1])
        work.trouble["step"] = trouble
        with pytest.raises(type(trouble)):
            serve(work, around, heard, watchdog_s=30)
        assert work.calls[-1] == "close"
        assert around.metrics.registry.get_sample_value("station_ready") == 0


def test_a_bus_that_is_away_at_the_end_does_not_make_it_fail(tmp_path: Path) -> None:
    def away(work: Scripted) -> None:
        work.trouble["finish"] = Unavailable("away")

    work, heard = run(tmp_path, [1, 1], away)
    assert work.calls[-2:] == ["finish", "close"]
    assert heard.words[-1] == "STOPPING=1"


def test_a_bus_that_is_away_otherwise_is_no_end_in_good_order(tmp_path: Path) -> None:
    def away(work: Scripted) -> None:
        work.trouble["start"] = Unavailable("away")

    with pytest.raises(Unavailable):
        run(tmp_path, [1], away)
