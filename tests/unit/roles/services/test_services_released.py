# SPDX-License-Identifier: Apache-2.0
"""A release and its files are switched together, and what is not ready goes back to what was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest

from roles.services.action_plugins.services_released import Pair, Release, Walk, released

UNITS = [
    {"name": name, "unit": f"station@{name}.service", "credentials": {"key": f"/etc/credstore/{name}"}}
    for name in ("journal", "momentum", "replay")
]
OLD, NEW = Pair("r1", "f1"), Pair("r2", "f2")


class FakeHost:
    """A host of which every module run is remembered, and some fail.

    Args:
        failing: a run in short -> what it says.
        folders: path -> names in it.
    """

    def __init__(
        self, failing: Mapping[str, str] | None = None, folders: Mapping[str, list[str]] | None = None
    ) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._failing, self._folders = failing or {}, folders or {}

    def __call__(self, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if module == "ansible.builtin.find":
            (folder,), (pattern,) = arguments["paths"], arguments["patterns"]
            found = [name for name in self._folders.get(folder, []) if PurePosixPath(name).match(pattern)]
            return {"files": [{"path": f"{folder}/{name}"} for name in found]}
        self.calls.append((module.rpartition(".")[2], dict(arguments)))
        message = self._failing.get(self.said[-1])
        return {"failed": True, "msg": message} if message else {"changed": True, "diff": [{"after": self.said[-1]}]}

    @property
    def said(self) -> list[str]:
        """Return each run in short."""
        return [self._short(module, arguments) for module, arguments in self.calls]

    @staticmethod
    def _short(module: str, arguments: Mapping[str, Any]) -> str:
        if module == "systemd_service":
            boot = {None: "", True: " enabled", False: " disabled"}[arguments.get("enabled")]
            return f"{arguments['state']} {arguments['name']}{boot}"
        if module == "unit_converged":
            boot = {None: "", True: " enabled", False: " disabled"}[arguments.get("enabled")]
            return f"{arguments.get('state', 'run')} {arguments['name']}{boot}"
        if module == "file_set":
            words = [entry.get("link") or str(entry.get("content")).strip() for entry in arguments["files"]]
            return f"write {' '.join(PurePosixPath(word).name for word in words)}"
        return f"{arguments['state']} {arguments['path']}"


def deploy(
    host: FakeHost, confirmed: Pair | None = OLD, wanted: Pair = NEW, check: bool = False
) -> tuple[str, list[str]]:
    walk = Walk(host)
    message = released(walk, Release(wanted, confirmed, UNITS, 120), check=check)
    return message, host.said


RUN = [
    "link /usr/local/bin/station",
    "run station@journal.service",
    "run station@momentum.service",
    "run station@replay.service",
    "run station.target",
]


def test_a_new_release_drains_switches_and_is_noted_when_all_are_ready() -> None:
    message, said = deploy(FakeHost())
    assert message == ""
    assert said == ["stopped station.target", "write r2 f2 r2 f2 r1", *RUN, "write r2 f2"]


def test_the_first_release_drains_nothing_and_has_none_before_it() -> None:
    message, said = deploy(FakeHost(), confirmed=None)
    assert message == ""
    assert said == ["write r2 f2 r2 f2", *RUN, "write r2 f2"]


def test_what_was_confirmed_is_not_drained_and_not_its_own_predecessor() -> None:
    message, said = deploy(FakeHost(), confirmed=NEW)
    assert message == ""
    assert said == ["write r2 f2 r2 f2", *RUN, "write r2 f2"]


def test_a_unit_is_judged_by_its_file_its_drop_in_its_credentials_and_the_release() -> None:
    host = FakeHost()
    deploy(host)
    (arguments,) = [given for _, given in host.calls if given.get("name") == "station@momentum.service"]
    assert arguments["ready_timeout"] == 120
    assert arguments["inputs"] == [
        "/etc/station/release",
        "/etc/station/services/momentum.yml",
        "/etc/systemd/system/station@.service",
        "/etc/systemd/system/station@momentum.service.d",
        "/etc/credstore/momentum",
    ]


SETS = {"/etc/station/sets/f1": ["journal.yml", "former.yml", "notes.txt"]}
BACK = [
    "stopped station@journal.service enabled",
    "stopped station@momentum.service disabled",
    "stopped station@replay.service disabled",
    "write r1 f1 r1 f1 r1",
    "started station@former.service",
    "started station@journal.service",
    "started station.target",
]


def test_what_does_not_become_ready_goes_back_to_what_there_was_and_says_why() -> None:
    message, said = deploy(FakeHost({"run station@momentum.service": "momentum: no file"}, SETS))
    assert said == ["stopped station.target", "write r2 f2 r2 f2 r1", *RUN[:-1], *BACK]
    assert message == (
        "release r2 with files f2 did not become ready: momentum: no file."
        " went back to release r1 with files f1, which is ready"
    )


def test_every_service_is_tried_and_every_reason_said() -> None:
    message, _ = deploy(FakeHost({"run station@journal.service": "one", "run station@replay.service": "two"}, SETS))
    assert "did not become ready: one; two. " in message


def test_a_drain_that_fails_switches_nothing_and_starts_what_ran() -> None:
    message, said = deploy(FakeHost({"stopped station.target": "timed out"}, SETS))
    assert said == ["stopped station.target", *BACK]
    assert "did not become ready: timed out. went back to release r1 with files f1, which is ready" in message


def test_a_way_back_that_fails_is_said_with_its_first_reason() -> None:
    message, _ = deploy(
        FakeHost({"run station@replay.service": "bad", "started station@former.service": "worse"}, SETS)
    )
    assert message.endswith("which does not become ready either: worse")


@pytest.mark.parametrize(
    ("confirmed", "check", "outcome"),
    [
        (None, False, "There is no release before it to go back to"),
        (NEW, False, "It was ready before, so nothing was switched"),
        (OLD, True, "This is a dry run, so nothing was switched"),
    ],
)
def test_where_there_is_nothing_to_go_back_to_nothing_is_touched(
    confirmed: Pair | None, check: bool, outcome: str
) -> None:
    host = FakeHost({"run station@replay.service": "bad"}, SETS)
    message, said = deploy(host, confirmed=confirmed, check=check)
    assert message.endswith(f"bad. {outcome}")
    assert said[-1] == "run station@replay.service"


def test_services_that_are_no_longer_described_stop_and_lose_what_was_their_units() -> None:
    wants = {"/etc/systemd/system/station.target.wants": ["station@old.service", "station@replay.service"]}
    _, said = deploy(FakeHost(folders=wants), confirmed=NEW)
    assert said[-2:] == ["stopped station@old.service disabled", "absent /etc/systemd/system/station@old.service.d"]


def test_of_releases_and_files_the_last_two_stay() -> None:
    folders = {"/opt/station/releases": ["r0", "r1", "r2"], "/etc/station/sets": ["f0", "f1", "f2", "f3"]}
    _, said = deploy(FakeHost(folders=folders))
    gone = ["absent /opt/station/releases/r0", "absent /etc/station/sets/f0", "absent /etc/station/sets/f3"]
    assert said[-3:] == gone
    assert not [line for line in deploy(FakeHost(folders=folders), confirmed=NEW)[1] if line.startswith("absent")]


def test_what_cannot_be_removed_fails_though_the_release_is_ready() -> None:
    host = FakeHost({"absent /opt/station/releases/r0": "busy"}, {"/opt/station/releases": ["r0"]})
    message, _ = deploy(host)
    assert message == "release r2 with files f2 is ready, and what it replaces is not gone: busy"


def test_changes_and_differences_of_all_steps_are_told() -> None:
    walk = Walk(FakeHost())
    released(walk, Release(NEW, OLD, UNITS, 120), check=False)
    assert walk.changed
    assert {"after": "write r2 f2"} in walk.diff
    quiet = Walk(lambda module, arguments: {})  # noqa: ARG005
    released(quiet, Release(NEW, NEW, UNITS, 120), check=False)
    assert (quiet.changed, quiet.diff) == (False, [])


@pytest.mark.parametrize(("text", "pair"), [("", None), ("\n", None), ("r1 f1\n", OLD)])
def test_a_pair_is_read_as_it_is_written(text: str, pair: Pair | None) -> None:
    assert Pair.parse(text) == pair
    assert pair is None or Pair.parse(f"{pair}\n") == pair


def test_what_ran_with_the_failed_release_leaves_no_record_of_having_read_it() -> None:
    # A record of the failed release's files would restart every service in the next run.
    host = FakeHost({"run station@momentum.service": "momentum: no file"}, SETS)
    deploy(host)
    stopped = [(module, given) for module, given in host.calls if given.get("state") == "stopped"]
    assert [module for module, given in stopped if "enabled" in given] == ["unit_converged"] * len(UNITS)
