# SPDX-License-Identifier: Apache-2.0
"""What role base sees on a host before it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.host.host_command import NOT_STARTED, TIMED_OUT, Done
from fleet.host.ssh_connection import Connection
from fleet.host.ssh_keys import Key
from roles.base.library import base_preflight as bp

HOST_COMMAND = "roles.base.library.base_preflight.host_command"
CONNECTION = Connection("ops", "10.0.0.9", 50000, "10.0.0.1", 22)
OURS, THEIRS, NEW = (Key("ssh-ed25519", data) for data in ("AAAAours", "AAAAmine", "AAAAnews"))


def refused(in_use: str, present: list[Key], wanted: list[Key]) -> str:
    return bp.lockout_problem(CONNECTION, in_use, present, wanted)


def test_the_key_that_opened_the_connection_has_to_stay() -> None:
    assert OURS.fingerprint in refused(OURS.fingerprint, [OURS, THEIRS], [THEIRS, NEW])
    assert refused(OURS.fingerprint, [OURS, THEIRS], [OURS]) == ""


def test_a_key_that_is_not_in_the_file_is_not_lost_with_it() -> None:
    assert refused("SHA256:of-a-command", [OURS], [NEW]) == ""


def test_where_nobody_knows_the_key_one_of_them_has_to_stay() -> None:
    assert "has none of the keys that ops has now" in refused("", [OURS, THEIRS], [NEW])
    assert refused("", [OURS, THEIRS], [NEW, THEIRS]) == ""
    assert refused("", [], [NEW]) == ""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> dict[str, Done]:
    """Return what the host's programs answer, by name; a program that it lacks cannot be started."""
    answers: dict[str, Done] = {}
    monkeypatch.setattr(f"{HOST_COMMAND}.run", lambda words, **_: answers.get(words[0], Done(NOT_STARTED)))
    return answers


def test_a_host_without_cloud_init_and_one_that_is_through_do_not_wait(host: dict[str, Done], tmp_path: Path) -> None:
    assert bp.first_boot_problem(600, tmp_path / "result.json") == ""
    host["cloud-init"] = Done(TIMED_OUT)
    (tmp_path / "result.json").touch()
    assert bp.first_boot_problem(600, tmp_path / "result.json") == ""


@pytest.mark.parametrize(("status", "words"), [(0, ""), (1, ""), (2, ""), (TIMED_OUT, "is not finished after 600 s")])
def test_a_first_boot_is_waited_for_however_it_ends(
    host: dict[str, Done], tmp_path: Path, status: int, words: str
) -> None:
    host["cloud-init"] = Done(status)
    problem = bp.first_boot_problem(600, tmp_path / "result.json")
    assert words in problem
    assert bool(problem) == bool(words)


def test_the_time_of_snaps_is_known_where_snapd_runs(host: dict[str, Done]) -> None:
    assert bp.snap_timer() is None
    host["snap"] = Done(1, err='error: snap "core" has no "refresh.timer" configuration option')
    assert bp.snap_timer() == ""
    host["snap"] = Done(1, err="error: cannot communicate with server")
    assert bp.snap_timer() is None
    host["snap"] = Done(0, out="sat,06:00\n")
    assert bp.snap_timer() == "sat,06:00"
