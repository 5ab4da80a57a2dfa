# SPDX-License-Identifier: Apache-2.0
"""All are halted at once; who was not is told last, those that trade first, and the exit status says it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from fleet.halt import __main__ as command
from fleet.halt.targets import Target
from fleet.paths import INVENTORIES

LATCHED = ("sh", "-c", "echo orders are denied; echo station.target is stopped", "--")
DRAINS = ("sh", "-c", "echo orders are denied; exit 1", "--")
CLOSED = ("sh", "-c", "echo Permission denied; exit 255", "--")
SILENT = (sys.executable, "-c", "import time; time.sleep(60)")


def halted(*chosen: Target) -> tuple[list[command.Answer], list[str]]:
    said: list[str] = []
    return command.halt_all(chosen, "drill", said.append), said


def test_a_silent_host_keeps_nobody_waiting_and_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "LATCH_SECONDS", 1.5)
    began = time.monotonic()
    answers, said = halted(Target("dead", SILENT, trades=True), *(Target(f"box{n}", LATCHED) for n in range(6)))
    assert time.monotonic() - began < 30
    assert [answer.target.name for answer in answers][-1] == "dead"
    assert said[-1].startswith("dead         NOT HALTED: no answer for too long")
    assert all(answer.good for answer in answers[:-1])


def test_a_host_whose_services_do_not_stop_denies_orders_and_is_told_apart():
    (answer,), (line,) = halted(Target("box", DRAINS, trades=True))
    assert (answer.latched is None, answer.good) == (False, False)
    assert "station.target IS NOT STOPPED" in line


def test_the_password_for_sudo_goes_by_the_standard_input_and_never_by_the_words():
    (answer,), _ = halted(
        Target("box", ("sh", "-c", "read word; echo orders are denied: $word", "--"), password="secret")
    )
    assert answer.words == "orders are denied: secret"


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch):
    def hosts(*chosen: Target) -> None:
        monkeypatch.setattr(command, "targets", lambda *_: list(chosen))

    return hosts


def run(capsys, *words: str) -> tuple[int, str, str]:
    status = command.main(["--inventory", str(INVENTORIES / "vm"), *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_who_was_not_halted_is_told_last_in_order_of_danger(fleet, capsys):
    fleet(
        Target("idle", CLOSED),
        Target("slow", DRAINS, trades=True),
        Target("station", CLOSED, trades=True),
        Target("ok", LATCHED),
    )
    status, out, err = run(capsys)
    assert status == 1
    assert [line.split(":")[0] for line in err.splitlines()] == ["station", "idle", "slow"]
    assert "station: may still send orders" in err
    assert out.splitlines()[-1] == "halted 1 of 4 hosts"


def test_when_all_are_halted_the_status_is_0(fleet, capsys):
    fleet(Target("station", LATCHED, trades=True))
    assert run(capsys)[0] == 0


def test_a_limit_that_names_nobody_halts_nobody_and_says_so(capsys):
    status, _, err = run(capsys, "--limit", "statoin")
    assert (status, "nobody was halted" in err, "LIMIT=statoin" in err) == (2, True, True)


@pytest.mark.parametrize("wrong", ["producton", "production/hosts.yml", ""])
def test_an_inventory_that_is_not_there_halts_nobody_and_says_so(wrong: str, capsys):
    assert command.main(["--inventory", str(INVENTORIES / wrong)]) == 2
    assert capsys.readouterr().err.startswith("nobody was halted: ")


def test_an_inventory_that_is_read_in_part_is_a_failure_though_all_it_names_are_halted(
    tmp_path: Path, monkeypatch, capsys
):
    (tmp_path / "hosts.yml").write_text(
        "all:\n  hosts:\n    box: {ansible_connection: local, ansible_user: root}\n  childrens: {}\n"
    )
    monkeypatch.setattr(command, "command", lambda *_: "echo orders are denied; echo station.target is stopped")
    monkeypatch.setattr(command, "quoted", str)
    assert command.main(["--inventory", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "halted 1 of 1 hosts" in out
    assert "the inventory was read in part" in err
    assert "childrens" in err
