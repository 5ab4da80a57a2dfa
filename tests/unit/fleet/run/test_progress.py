# SPDX-License-Identifier: Apache-2.0
"""Events of a run, folded into hosts and layers, in whatever order they come."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.run.progress import FINAL, Progress

HOSTS = ("station", "vps", "laptop")


def play(name: str, *hosts: str, at: float = 0.0) -> dict[str, Any]:
    return {"event": "play", "play": name, "hosts": hosts or HOSTS, "at": at}


def task(kind: str, host: str, name: str = "Do it", at: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"event": kind, "host": host, "task": name, "at": at, "changed": False, "message": "", **more}


def stats(**hosts: dict[str, int]) -> dict[str, Any]:
    return {"event": "stats", "hosts": hosts, "held_back": {}, "at": 0.0}


def after(*events: dict[str, Any]) -> Progress:
    progress = Progress()
    for event in events:
        progress.apply(event)
    return progress


def test_a_host_whose_tasks_went_well_is_ok_once_the_next_layer_begins():
    progress = after(play("Base", "vps"), task("ok", "vps", at=3.0, changed=True), task("skipped", "vps", at=4.2))
    assert progress.cells["vps", "base"].text() == "4 s, Do it"
    assert progress.cells["vps", "base"].text(now=60.0) == "60 s, Do it"
    finished = progress.apply(play("Data: event bus", "vps", at=5.0))
    assert [(host, layer, cell.text()) for host, layer, cell in finished] == [("vps", "base", "ok 4 s, 1 changed")]


def test_two_plays_of_one_layer_are_one_column_and_their_times_add_up():
    progress = after(
        play("Data: event bus", "vps", at=10.0),
        task("ok", "vps", at=12.0),
        play("Data: history", "vps", at=20.0),
        task("ok", "vps", at=23.0),
        stats(),
    )
    assert progress.layers == ["data"]
    assert progress.cells["vps", "data"].text() == "ok 5 s, no change"


def test_a_failure_is_reported_at_once_with_task_and_message_and_keeps_its_own_words():
    progress = after(play("Base", "vps"))
    finished = progress.apply(task("failed", "vps", "Install", message="no space"))
    assert [(host, layer, cell.state) for host, layer, cell in finished] == [("vps", "base", "failed")]
    progress.apply(task("ok", "vps", "Something else"))
    [(host, layer, cell)] = progress.failures()
    assert (host, layer, cell.task, cell.message) == ("vps", "base", "Install", "no space")


def test_a_host_that_no_task_reached_is_not_called_ok():
    progress = after(play("Base", "vps", "laptop"), task("unreachable", "vps"), stats())
    assert progress.cells["laptop", "base"].text() == "not reached"
    assert progress.cells["vps", "base"].text() == "unreachable"


def test_a_host_that_is_in_no_play_is_no_row():
    progress = after(play("Base", "vps"), task("ok", "localhost"), stats())
    assert progress.hosts == ["vps"]


def test_the_statistics_are_kept_as_ansible_gave_them():
    assert after(play("Base", "vps"), stats(vps={"changed": 2})).totals == {"vps": {"changed": 2}}


STEPS = st.tuples(
    st.sampled_from(["play", "start", "ok", "skipped", "failed", "unreachable"]),
    st.sampled_from(["Base", "Data: event bus", "Data: history"]),
    st.sets(st.sampled_from(HOSTS), min_size=1),
    st.integers(0, 5),
)
Steps = list[tuple[str, str, set[str], int]]


def events_of(steps: Steps) -> list[dict[str, Any]]:
    """Return events in the drawn order on a clock that only goes forward; tasks run on hosts of the current play."""
    events, members, clock = [], set[str](), 0.0
    for kind, name, hosts, seconds in steps:
        clock += seconds
        if kind == "play":
            members = hosts
            events.append(play(name, *sorted(hosts), at=clock))
        else:
            changed = bool(seconds % 2)
            events += [task(kind, host, at=clock, changed=changed, message="why") for host in sorted(hosts & members)]
    return [*events, stats()]


@given(st.lists(STEPS, max_size=40))
def test_what_failed_never_becomes_ok_and_counts_never_shrink(steps: Steps):
    progress = Progress()
    for event in events_of(steps):
        before, layers = copy.deepcopy(progress.cells), list(progress.layers)
        finished = progress.apply(event)
        assert progress.layers[: len(layers)] == layers
        for key, old in before.items():
            new = progress.cells[key]
            assert new.done >= old.done
            assert new.changed >= old.changed
            assert new.seconds >= old.seconds
            if old.state in FINAL:
                assert (new.state, new.task, new.message, new.done) == (old.state, old.task, old.message, old.done)
        assert all(cell.state not in {"waiting", "running"} for _, _, cell in finished)


@given(st.lists(STEPS, max_size=40))
def test_at_the_end_no_cell_is_waiting_or_running(steps: Steps):
    states = {cell.state for cell in after(*events_of(steps)).cells.values()}
    assert states <= {"ok", "not reached", *FINAL}


def test_a_failure_that_a_rescue_caught_is_ok_at_the_end():
    progress = after(
        play("Base", "vps", "laptop"),
        task("failed", "vps"),
        task("failed", "laptop"),
        stats(vps={"rescued": 1, "failures": 0}, laptop={"rescued": 0, "failures": 1}),
    )
    assert progress.cells["vps", "base"].state == "ok"
    assert progress.cells["laptop", "base"].state == "failed"


def frozen_run(*later: dict[str, Any], held_back: dict[str, dict[str, int]] | None = None) -> Progress:
    return after(
        play("Preflight: market hours", "station", "vps"),
        {"event": "frozen", "host": "station", "until": "16:00", "why": "XNYS", "at": 0.0},
        play("Data: event bus", "station", "vps"),
        task("ok", "station", changed=True, at=2.0),
        task("ok", "vps", changed=True, at=2.0),
        *later,
        stats() | {"held_back": held_back or {"station": {"redis": 1}}},
    )


def test_what_a_frozen_host_did_not_get_is_not_called_changed():
    progress = frozen_run()
    assert progress.cells["station", "data"].text() == "ok 2 s, 1 held back"
    assert progress.cells["vps", "data"].text() == "ok 2 s, 1 changed"
    assert progress.frozen == {"station": "until 16:00 (XNYS)"}
    assert progress.held_back == {"station": {"redis": 1}}


def test_that_a_host_was_left_as_it_is_is_no_failure():
    last = play("Market hours: held back", "station"), task("failed", "station", message="left as it is")
    assert frozen_run(*last).failures() == []
    assert frozen_run(task("failed", "vps"), *last).failures()[0][:2] == ("vps", "data")


def test_a_frozen_host_without_a_difference_held_nothing_back():
    assert frozen_run(held_back={"station": {}}).held_back == {}


def test_the_same_change_of_several_hosts_is_one():
    one: dict[str, Any] = {"changed": True, "files": ["/etc/x"], "diff": "-a\n+b\n"}
    progress = after(
        play("Base", "vps", "laptop"),
        task("ok", "vps", "base : Write", **one),
        task("ok", "laptop", "base : Write", **one),
        task("ok", "laptop", "base : Run", changed=True),
        stats(),
    )
    assert {(change.task, change.files): hosts for change, hosts in progress.changes.items()} == {
        ("base: Write", ("/etc/x",)): ["vps", "laptop"],
        ("base: Run", ()): ["laptop"],
    }


def test_a_host_that_is_away_is_told_once_with_its_place_and_the_last_word():
    progress = after(play("Base", "vps", "laptop"))
    words = "Task failed: EOF on stream; last lines:\nssh: connect to host 10.0.0.9 port 22: Connection timed out\n"
    assert progress.apply(task("unreachable", "vps", message=words, address="10.0.0.9 port 22"))
    later = [progress.apply(event) for event in (task("ok", "laptop"), play("Data", "vps", "laptop"))]
    later += [progress.apply(event) for event in (task("ok", "laptop"), stats())]
    assert [host for finished in later for host, _, _ in finished] == ["laptop", "laptop"]
    cell = progress.cells["vps", "base"]
    assert (cell.address, cell.message) == (
        "10.0.0.9 port 22",
        "ssh: connect to host 10.0.0.9 port 22: Connection timed out",
    )
    assert progress.cells["vps", "data"].text() == "not reached"


def test_a_long_task_is_cut_between_words():
    progress = after(
        play("Base", "vps"), task("start", "vps", "base : Install the packages that everything else needs")
    )
    shown = progress.cells["vps", "base"].text().removesuffix(" ...").split()
    assert shown == ["0", "s,", "base:", "Install", "the", "packages", "that"]


def test_a_layer_of_two_plays_counts_on_where_it_was():
    progress = after(
        play("Data: one", "vps", at=10.0),
        task("ok", "vps", at=15.0),
        play("Data: two", "vps", at=100.0),
        task("start", "vps", at=100.0),
    )
    assert progress.cells["vps", "data"].text(now=102.0).startswith("7 s, ")


def test_a_layer_that_comes_again_without_a_task_is_told_once():
    progress = after(play("Preflight: all", "vps"), task("ok", "vps"))
    again = {"event": "play", "play": "Preflight: all", "hosts": [], "at": 1.0}
    told = [progress.apply(event) for event in (play("Base", "vps"), again, play("Data", "vps"), stats())]
    assert [layer for finished in told for _, layer, _ in finished] == ["preflight", "base", "data"]
