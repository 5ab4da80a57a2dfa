# SPDX-License-Identifier: Apache-2.0
"""The kill switch denies whenever it cannot say yes, and only a person who has looked takes it away."""

from __future__ import annotations

import ast
import errno
import json
import os
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import station
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from station.clock import SystemClock
from station.domain.trading import Fill, Order
from station.errors import StationError
from station.halt import Decision, Latch, OrderGate

CLOCK = SystemClock()


def order(**changes: Any) -> Order:
    plain: dict[str, Any] = {
        "order_id": "o-1",
        "symbol": "EURUSD",
        "side": "buy",
        "kind": "market",
        "quantity": Decimal(1000),
        "state": "new",
    }
    return Order(**(plain | changes))


def denied(order: Order) -> None:
    pytest.fail(f"{order.order_id} was denied")


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path)


def test_without_a_latch_orders_go_out(latch: Latch) -> None:
    assert latch.allowed() == Decision(allowed=True)


def test_an_engaged_switch_says_who_and_why(latch: Latch) -> None:
    decision = latch.engage("spread went mad", "ops", CLOCK)
    assert decision == latch.allowed() == Decision(allowed=False, reason="halted by ops: spread went mad")


def test_a_new_process_finds_it_engaged(latch: Latch, tmp_path: Path) -> None:
    latch.engage("test", "ops", CLOCK)
    assert not Latch(tmp_path).allowed().allowed


def test_the_file_is_not_for_everybody(latch: Latch, tmp_path: Path) -> None:
    latch.engage("test", "ops", CLOCK)
    assert stat.S_IMODE((tmp_path / "latch").stat().st_mode) & 0o007 == 0


def no_folder(folder: Path) -> None:
    folder.rmdir()


def file_instead_of_folder(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


def half_written(folder: Path) -> None:
    (folder / "latch").write_bytes(b'{"at": 17, "by')


def empty(folder: Path) -> None:
    (folder / "latch").touch()


def not_text(folder: Path) -> None:
    (folder / "latch").write_bytes(bytes(range(256)))


def other_json(folder: Path) -> None:
    (folder / "latch").write_text("[1, 2]\n")


def directory_instead_of_file(folder: Path) -> None:
    (folder / "latch").mkdir()


def dangling_link(folder: Path) -> None:
    (folder / "latch").symlink_to("nowhere")


@pytest.mark.parametrize(
    "damage",
    [
        no_folder,
        file_instead_of_folder,
        half_written,
        empty,
        not_text,
        other_json,
        directory_instead_of_file,
        dangling_link,
    ],
)
def test_what_is_damaged_is_engaged(latch: Latch, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(tmp_path)
    decision = latch.allowed()
    assert not decision.allowed
    assert decision.reason


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), OSError(errno.EIO, "disk"), RuntimeError("bug")]
)
@pytest.mark.parametrize("call", ["open", "stat"])
def test_an_error_in_the_check_denies_the_order(
    latch: Latch, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception
) -> None:
    # hummingbot#2534: the check's own exception was caught, and orders went on.
    def fail(*_: Any, **__: Any) -> None:
        raise error

    denied: list[Order] = []
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        answer = OrderGate(latch, denied.append).admit(order())
    assert answer.state == "denied"
    assert "cannot be read" in answer.reason
    assert denied == [answer]


def test_an_answer_that_is_no_plain_yes_denies(latch: Latch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Latch, "allowed", lambda _: Decision(allowed="yes"))  # type: ignore[arg-type]
    assert OrderGate(latch, lambda _: None).admit(order()).state == "denied"


def test_an_order_goes_out_unchanged_while_nothing_is_engaged(latch: Latch) -> None:
    assert OrderGate(latch, denied).admit(order()) == order()


def test_a_denied_order_keeps_what_was_wanted_and_names_the_reason(latch: Latch) -> None:
    latch.engage("drill", "ops", CLOCK)
    assert OrderGate(latch, lambda _: None).admit(order()) == order(state="denied", reason="halted by ops: drill")


def test_even_an_order_that_only_reduces_is_denied(latch: Latch) -> None:
    latch.engage("drill", "ops", CLOCK)
    assert OrderGate(latch, lambda _: None).admit(order(reduce_only=True)).state == "denied"


@pytest.mark.parametrize("state", ["accepted", "denied", "rejected", "cancelled", "filled", "unknown"])
def test_what_happened_to_an_order_is_reported_also_while_halted(latch: Latch, state: str) -> None:
    latch.engage("drill", "ops", CLOCK)
    fill = Fill(
        fill_id="f",
        order_id="o-1",
        symbol="EURUSD",
        side="buy",
        quantity=Decimal(1),
        price=Decimal(1),
        fee=Decimal(0),
        venue="x",
    )
    gate = OrderGate(latch, denied)
    assert gate.admit(order(state=state)) == order(state=state)
    assert gate.admit(fill) == fill


def test_a_full_disk_still_halts(latch: Latch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not latch.engage("full", "ops", CLOCK).allowed


def test_a_switch_that_cannot_be_thrown_says_what_to_do_instead(latch: Latch, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def read_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StationError, match=r"Read-only file system.*systemctl stop station\.target"):
        latch.engage("test", "ops", CLOCK)


def test_a_missing_folder_is_halted_already(tmp_path: Path) -> None:
    assert not Latch(tmp_path / "gone").engage("test", "ops", CLOCK).allowed


def test_halting_twice_keeps_both_reasons_and_no_scrap_behind(latch: Latch, tmp_path: Path) -> None:
    latch.engage("first", "ops", CLOCK)
    latch.engage("second", "oversight", CLOCK)
    lines = [json.loads(line) for line in (tmp_path / "latch").read_text().splitlines()]
    assert [(line["by"], line["reason"]) for line in lines] == [("ops", "first"), ("oversight", "second")]
    assert [entry.name for entry in tmp_path.iterdir()] == ["latch"]


def test_halting_over_a_half_written_latch_keeps_what_is_there(latch: Latch, tmp_path: Path) -> None:
    half_written(tmp_path)
    latch.engage("again", "ops", CLOCK)
    assert (tmp_path / "latch").read_bytes().startswith(b'{"at": 17, "by\n{')
    assert latch.reason() == "halted by ops: again"


def test_the_words_let_orders_out_and_the_latch_stays_as_evidence(latch: Latch, tmp_path: Path) -> None:
    latch.engage("drill", "ops", CLOCK)
    latch.release(latch.words())
    assert latch.allowed().allowed
    assert "drill" in (tmp_path / "released").read_text()


@pytest.mark.parametrize("typed", ["", "yes", "let orders out", "LET ORDERS OUT 000000"])
def test_other_words_do_not(latch: Latch, typed: str) -> None:
    latch.engage("drill", "ops", CLOCK)
    with pytest.raises(StationError, match="still halted"):
        latch.release(typed)
    assert not latch.allowed().allowed


def test_another_halt_in_between_makes_the_words_void(latch: Latch) -> None:
    latch.engage("first", "ops", CLOCK)
    words = latch.words()
    latch.engage("second", "oversight", CLOCK)
    with pytest.raises(StationError, match="still halted"):
        latch.release(words)


def test_what_is_not_engaged_cannot_be_released(latch: Latch) -> None:
    with pytest.raises(StationError, match="nothing is halted"):
        latch.release("let orders out 000000")


def test_a_missing_folder_cannot_be_released_away(tmp_path: Path) -> None:
    with pytest.raises(StationError, match="counts as halted"):
        Latch(tmp_path / "gone").release("yes")


@given(st.binary(max_size=300))
def test_whatever_the_file_holds_orders_are_denied(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("halt")
    (folder / "latch").write_bytes(content)
    decision = Latch(folder).allowed()
    assert not decision.allowed
    assert decision.reason.startswith("halted")


def imported(module: Path) -> set[str]:
    tree = ast.parse(module.read_text())
    froms = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return froms | {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}


def test_no_strategy_can_reach_anything_that_sends() -> None:
    modules = list((Path(station.__path__[0]) / "strategies").glob("*.py"))
    assert modules
    for module in modules:
        own = {name for name in imported(module) if name.startswith("station.")}
        assert {name.split(".")[1] for name in own} <= {"strategies", "domain", "events"}, module
        assert imported(module) - own <= {"__future__", "abc", "collections.abc", "dataclasses", "decimal", "typing"}


def test_only_the_runtime_and_the_loader_of_bars_hold_a_producer() -> None:
    package = Path(station.__path__[0])
    holders = {
        str(module.relative_to(package))
        for module in package.rglob("*.py")
        if "station.bus.producer" in imported(module) and module.parent.name != "bus"
    }
    # runtime/agent.py gives it to the worker, whose handler is runtime/answers.py with the gate.
    assert holders == {"runtime/agent.py", "runtime/feed.py", "runtime/voice.py", "cli/data.py"}


class Switch(RuleBasedStateMachine):
    """Halts and releases in any order: orders go out exactly if the last halt was taken away with its own words."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.latch = Latch(Path(self.folder.name))
        self.engaged = False
        self.words = ""

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(reason=st.text(max_size=20))
    def halt(self, reason: str) -> None:
        self.latch.engage(reason, "ops", CLOCK)
        self.engaged, self.words = True, ""

    @rule()
    def read_the_words(self) -> None:
        if self.engaged:
            self.words = self.latch.words()

    @rule()
    def type_what_was_read(self) -> None:
        try:
            self.latch.release(self.words)
        except StationError:
            assert not (self.engaged and self.words)
        else:
            assert self.engaged
            assert self.words
            self.engaged = False

    @invariant()
    def orders_go_out_only_if_released(self) -> None:
        assert self.latch.allowed().allowed is not self.engaged


TestSwitch = Switch.TestCase
TestSwitch.settings = settings(max_examples=50, stateful_step_count=15)
