# SPDX-License-Identifier: Apache-2.0
"""What the role services refuses of its variables."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.rules import Refusal, asked, rule_of
from fleet.paths import PROJECT
from tests.unit.roles.rules_kit import Changed, example, lines, refusals

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]
ANCHORS = [{"name": "oversight"}, {"name": "aibox", "address": "10.10.0.12:9310"}]


def described() -> list[dict[str, Any]]:
    """Return the recorder, the feed and the agent of the lab, to be changed."""
    return [copy.deepcopy(SERVICES[0]) | {"anchors": ANCHORS}, *copy.deepcopy(SERVICES[1:])]


def with_change(number: int, **changes: Any) -> dict[str, Any]:
    services = described()
    services[number].update(changes)
    return {"services_instances": services}


def test_the_example_and_the_services_of_the_lab_pass() -> None:
    assert lines("services") == []
    assert lines("services", services_instances=described()) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (with_change(2, redas=["md:replay"]), "2.redas", 'unknown key; did you mean "redis"?'),
        (with_change(1, kind="recoder"), "1.kind", 'did you mean "recorder"?'),
        (with_change(1, metrics_port=9301), "1.metrics_port", "9301 is taken by services_instances.0"),
        (with_change(1, metrics_port=80), "1.metrics_port", "80 is wrong"),
        (with_change(2, reads=["md:replya"]), "2.reads.0", 'no service writes md:replya; did you mean "md:replay"?'),
        (with_change(2, reads=["md:reply", "md:replay"]), "2.reads.0", "no service writes md:reply"),
        (with_change(2, cpus="77"), "2.cpus", "no CPU 77, it has 0-23 (hardware.cpu)"),
        (with_change(2, cpus="20-26"), "2.cpus", "no CPU 24-26"),
        (with_change(2, cpus="1-999999999"), "2.cpus", "beyond any machine"),
        (with_change(2, redis={"password_file": "redis-agent"}), "2.name", 'needs the credential "redis-agent"'),
        (with_change(0, state_folder="/srv"), "0.state_folder", "may write /var/lib/station/journal alone"),
        (with_change(2, halt_folder="/srv"), "2.halt_folder", "the kill switch of this host is /var/lib/station/halt"),
        (with_change(0, folder="/srv/journal"), "0.folder", "may write /var/lib/station/journal alone"),
        (with_change(0, questdb={"address": "db.example:9000"}), "0.questdb.address", "db.example is a name"),
        (with_change(0, anchors=[{"name": "x"}]), None, ""),
    ],
)
def test_a_service_that_cannot_run_is_refused_at_its_key(change: dict[str, Any], key: str | None, words: str) -> None:
    found = refusals("services", **change)
    if key is None:
        assert found == []
        return
    (refusal,) = found
    assert refusal.key == f"services_instances.{key}"
    assert words in f"{refusal.wrong}; {refusal.right}"
    assert refusal.right


@pytest.mark.parametrize("name", ["halt", "history", "anchor", "kernel", "onload", "units", "ssh-rollback"])
def test_a_name_that_is_somebody_elses_is_refused(name: str) -> None:
    (refusal,) = refusals("services", **with_change(2, name=name, stream=f"strat:{name}"))
    assert (refusal.key, refusal.right) == ("services_instances.2.name", "give the service another name")


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"services_credentials": {"redis-agents": "short"}}, "services_credentials.redis-agents", "5 characters"),
        ({"services_credentials": {"redis-agents": 5}}, "services_credentials.redis-agents", "0 characters"),
        (
            {"services_credentials": {"two words": "x" * 24}},
            "services_credentials.two words",
            "no name of a credential",
        ),
        (
            {"services_credentials": {"questdb-http": "x" * 24}},
            "services_credentials.questdb-http",
            "credential of another role",
        ),
        ({"services_journal_secret": "x" * 31}, "services_journal_secret", "31 characters, 32 are the least"),
        ({"services_journal_name": "two words"}, "services_journal_name", "no name of a journal"),
        ({"services_journal_name": ""}, "services_journal_name", "no name of a journal"),
        ({"services_ready_seconds": 0}, "services_ready_seconds", "no service the time"),
        ({"services_drain_seconds": -1}, "services_drain_seconds", "no service the time"),
        ({"services_data": {"x.csv": "/nowhere/x.csv"}}, "services_data.x.csv", "there is no file '/nowhere/x.csv'"),
        ({"services_data": {"../x": __file__}}, "services_data.../x", "no name of a file"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change: dict[str, Any], key: str, words: str) -> None:
    (refusal,) = refusals("services", **change)
    assert (refusal.key, words in refusal.wrong) == (key, True), refusal


def test_a_secret_that_is_missing_is_named_with_where_it_is_from() -> None:
    changes: dict[str, Any] = {
        "services_instances": described(),
        "services_credentials": {},
        "services_journal_secret": "",
    }
    rights = {refusal.wrong.split('"')[1]: refusal.right for refusal in refusals("services", **changes)}
    assert rights == {
        "journal-key": "set services_journal_secret, 32 characters or more",
        "redis-journal": "add it to services_credentials",
        "redis-agents": "add it to services_credentials",
    }


class Without:
    """The example's fleet in which a host lacks a role."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.members = example().members

    def roles(self, host: str) -> tuple[str, ...]:
        return tuple(role for role in example().roles(host) if role != self._role)

    def settings(self, host: str) -> Changed:
        return Changed(example().settings(host), {"services_instances": described()})

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        return {role: value for role, value in example().declared(noun, host).items() if role != self._role}


def judged(fleet: Without) -> list[Refusal]:
    rule = rule_of(PROJECT, "services")
    assert rule is not None
    return list(asked(rule, fleet.settings("station"), example().options("station"), fleet))


def test_services_without_an_event_bus_on_their_host_are_refused() -> None:
    (refusal,) = judged(Without("redis"))
    assert (refusal.key, refusal.right) == ("services_instances", "put the host into the group redis in hosts.yml")


def test_a_recorder_without_history_on_its_host_is_refused() -> None:
    (refusal,) = judged(Without("questdb"))
    assert refusal.key == "services_instances.0.name"
    assert refusal.right == "put the host into the group questdb, whose role brings it"


@given(st.text(min_size=1, max_size=30))
def test_no_message_carries_a_secret(secret: str) -> None:
    word = f"hunter2{secret}"
    found = lines("services", services_credentials={"redis-agents": word}, services_journal_secret=word[:31])
    assert not [line for line in found if "hunter2" in line]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["name", "metrics_port", "cpus", "redis", "questdb", "anchors", "feed", "reads", "strategy", "stream", "kind"]


@given(st.integers(0, 2), st.dictionaries(st.sampled_from(KEYS), ANYTHING, min_size=1, max_size=3))
def test_whatever_a_service_says_is_judged_without_an_error(number: int, changes: dict[str, Any]) -> None:
    assert all(refusal.right for refusal in refusals("services", **with_change(number, **changes)))


def test_a_file_to_replay_is_one_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("time\n")
    assert lines("services", services_data={"bars.csv": str(tmp_path / "bars.csv")}) == []
