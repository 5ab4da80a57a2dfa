# SPDX-License-Identifier: Apache-2.0
"""An agent from its start to its end, and again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from station.domain.trading import Order
from station.errors import Unavailable
from station.events import Event, OrderEvent
from station.runtime import agent
from station.runtime.agent import AgentWork
from station.strategies.base import Payload
from station.strategies.momentum import Momentum

from tests.unit.services.runtime.station_kit import HOUR, Hands, Host, Moody, agent_service, swing


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(autouse=True)
def answering_bus() -> Iterator[None]:
    Moody.away = False
    yield
    Moody.away = False


def started(host: Host) -> AgentWork:
    work = AgentWork(agent_service(host.folder), host.around())
    work.start()
    return work


def drained(work: AgentWork) -> int:
    done = 0
    while step := work.step():
        done += step
    return done


def test_signals_follow_from_bars_and_name_their_cause(host: Host) -> None:
    host.market(swing())
    work = started(host)
    assert drained(work) == 120
    signals = host.signals()
    assert [signal.payload.strength for signal in signals] == [1, -1, 1, -1]
    first = signals[0]
    # Warm after three slow averages' length.
    assert (first.causation_id, first.correlation_id) == ("replay/5-21", "replay/5-21")
    assert (first.timestamp, first.agent_id, first.sequence) == (21 * HOUR, "momentum", 2)


def test_a_run_begins_with_its_start_and_ends_with_its_end(host: Host) -> None:
    host.market(swing())
    work = started(host)
    drained(work)
    assert work.ready()
    work.heartbeat()
    work.finish()
    work.close()
    assert host.health() == ["started", "ready", "progress", "stopping"]


def test_it_is_ready_only_when_what_was_left_is_done(host: Host) -> None:
    host.market(swing(turns=1))
    # A process died with entries that it was given and had not acknowledged.
    dead = host.around().connect(lambda _: None)
    assert len(dead.consume(["md:replay"], "momentum", "momentum", 10)) == 10
    work = started(host)
    assert not work.ready()
    drained(work)
    assert work.ready()
    assert host.health()[-1] == "ready"


class Died(BaseException):
    """SIGKILL."""


def crashed_and_resumed(host: Host, crash_after: Sequence[int]) -> None:
    """Run an agent over what is in the stream, with a death after so many entries each time."""
    for entries in crash_after:
        work = AgentWork(agent_service(host.folder), host.around())
        work.start()
        handled = 0
        answers = work._answers

        def die(event: Event, limit: int = entries) -> list[Event]:
            nonlocal handled
            handled += 1
            if handled > limit:
                raise Died
            return answers(event)  # noqa: B023 - called before the loop goes on

        work._worker._handler = die
        with contextlib.suppress(Died):
            drained(work)
        work.close()
    work = started(host)
    drained(work)
    assert work.ready()
    work.close()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 60), max_size=4))
def test_however_often_it_dies_it_says_what_it_would_have_said(
    tmp_path_factory: pytest.TempPathFactory, crash_after: list[int]
) -> None:
    steady, shaken = Host(tmp_path_factory.mktemp("steady")), Host(tmp_path_factory.mktemp("shaken"))
    for host in (steady, shaken):
        host.market(swing())
    crashed_and_resumed(steady, [])
    crashed_and_resumed(shaken, crash_after)
    told = [(signal.causation_id, signal.payload) for signal in steady.signals()]
    assert [(signal.causation_id, signal.payload) for signal in shaken.signals()] == told


def test_after_a_restart_it_is_warm_at_once_and_repeats_nothing(host: Host) -> None:
    host.market(swing(turns=1))
    first = started(host)
    drained(first)
    first.close()
    second = started(host)
    assert second.ready()
    assert second._strategy.missing() == {}
    host.market(swing()[30:60], first=31)
    drained(second)
    assert [signal.payload.strength for signal in host.signals()] == [1, -1]


class Slow(Momentum):
    """A strategy that takes its time for one bar."""

    clock: Hands
    slow_bar = 21

    def on_event(self, event: Event) -> Sequence[Payload]:
        if event.sequence == self.slow_bar:
            self.clock.sleep(0.021)
        return super().on_event(event)


def with_strategy(host: Host, strategy: Momentum, monkeypatch: pytest.MonkeyPatch) -> AgentWork:
    monkeypatch.setattr(agent, "strategy_of", lambda _: strategy)
    return started(host)


def test_an_answer_over_its_budget_is_dropped_counted_and_said_with_the_next_bar(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    Slow.clock = host.clock
    work = with_strategy(host, Slow(["EURUSD"], fast=3, slow=7, band=Decimal(0)), monkeypatch)
    host.market(swing(turns=1))
    drained(work)
    assert work._around.metrics.registry.get_sample_value("station_events_late_total") == 1
    assert [signal.causation_id for signal in host.signals()] == ["replay/5-22"]


class Trader(Momentum):
    """A strategy that orders."""

    def on_event(self, event: Event) -> Sequence[Payload]:
        return [
            Order(
                order_id=f"o-{event.sequence}",
                symbol="EURUSD",
                side="buy",
                kind="market",
                quantity=Decimal(1),
                state="new",
            )
        ]


def test_while_halted_an_order_becomes_a_denied_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    work = with_strategy(host, Trader(["EURUSD"], fast=3, slow=7, band=Decimal(0)), monkeypatch)
    host.market([Decimal(1)])
    drained(work)
    host.latch.engage("drill", "ops", host.clock)
    host.market([Decimal(2)], first=2)
    drained(work)
    orders = [event.payload for event in host.published("strat:momentum") if isinstance(event, OrderEvent)]
    assert [(order.order_id, order.state) for order in orders] == [("o-1", "new"), ("o-2", "denied")]
    assert orders[1].reason == "halted by ops: drill"
    assert work._around.metrics.registry.get_sample_value("station_orders_denied_total") == 1


class Broken(Momentum):
    """A strategy that stumbles over one bar."""

    def on_event(self, event: Event) -> Sequence[Payload]:
        if event.sequence == 3:
            raise ZeroDivisionError("three")
        return super().on_event(event)


def test_a_bar_that_it_stumbles_over_is_put_aside_and_the_rest_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = with_strategy(host, Broken(["EURUSD"], fast=3, slow=7, band=Decimal(0)), monkeypatch)
    host.market(swing(turns=1))
    assert drained(work) == 30
    (letter,) = host.streams.letters["momentum"]
    assert "ZeroDivisionError: three" in letter.reason
    assert len(host.signals()) == 1
    work.close()
    again = with_strategy(host, Broken(["EURUSD"], fast=3, slow=7, band=Decimal(0)), monkeypatch)
    assert again.ready()


def test_a_bus_that_goes_away_while_it_ends_is_no_reason_to_stay(host: Host) -> None:
    around = host.around()
    work = AgentWork(agent_service(host.folder), around)
    work.start()
    Moody.away = True
    around.stop.set()
    with pytest.raises(Unavailable):
        work.finish()
    work.close()
