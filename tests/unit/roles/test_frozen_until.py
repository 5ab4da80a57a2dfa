# SPDX-License-Identifier: Apache-2.0
"""Market hours in the roles of the kernel layer: a run is a dry run, and refuses whatever it would have changed."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.model.model import Fleet
from fleet.model.settings import Settings
from fleet.paths import PROJECT
from tools.lint.finding import flat, read

ROLES = ("nic", "irq", "xdp", "onload")
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
# From noon to noon, whatever the minute.
ALWAYS = [
    {"days": DAYS, "from": start, "until": end, "timezone": "Etc/UTC"}
    for start, end in (("00:00", "12:30"), ("12:00", "11:59"))
]
# What only looks or speaks.
HARMLESS = {"ansible.builtin.assert", "ansible.builtin.debug", "ansible.builtin.fail", "ansible.builtin.set_fact"}


@pytest.fixture(scope="module")
def fleet():
    return Fleet.load(PROJECT / "inventory" / "production", PROJECT, PROJECT / "inventory" / "secrets.yml.example")


@pytest.fixture
def frozen(fleet):
    """Return a function that says until when each role is frozen on a host with these market hours."""

    def ask(host, **hours):
        settings = fleet.settings(host)
        raw = {key: settings.raw(key) for key in settings} | hours
        return {Settings(raw, fleet.loader)[f"{role}_frozen_until"] for role in ROLES}

    return ask


def test_in_market_hours_all_four_are_frozen_until_the_close(frozen):
    (until,) = frozen("station", kernel_trading_windows=ALWAYS)
    assert datetime.now(UTC) < datetime.fromisoformat(until) < datetime.now(UTC) + timedelta(days=1)


def test_outside_of_them_and_where_nobody_trades_none_is(frozen):
    assert frozen("station", kernel_trading_windows=[]) == {""}
    assert frozen("aibox") == {""}


def test_hours_that_cannot_be_read_are_open_until_they_are_corrected(frozen):
    wrong = ALWAYS[0] | {"timezone": "Mars/Olympus"}
    assert frozen("station", kernel_trading_windows=[wrong]) == {"kernel_trading_windows is corrected"}
    (until,) = frozen("station", kernel_trading_windows=[wrong, *ALWAYS])
    assert datetime.fromisoformat(until) > datetime.now(UTC)


@pytest.mark.parametrize("role", ROLES)
def test_every_step_that_changes_something_is_a_dry_run_while_the_host_is_frozen(role):
    dry = f"{{{{ __{role}_dry }}}}"
    steps = {step["ansible.builtin.import_tasks"]: step.get("check_mode") for step in tasks(role, "main")}
    assert (steps.pop("preflight.yml"), steps.pop("install.yml"), steps.pop("configure.yml")) == (None, dry, dry)
    if any(changing(task) for task in tasks(role, "run")):
        assert steps["run.yml"] == dry


@pytest.mark.parametrize("role", ROLES)
def test_each_task_that_may_change_something_is_counted_by_the_refusal(role):
    *before, refusal = [task for step in ("install", "configure", "run") for task in tasks(role, step)]
    counted = set(re.findall(rf"__{role}_\w+_result", refusal["when"][1]))
    assert f"__{role}_frozen_until != '' and not ansible_check_mode" in refusal["when"]
    assert counted == {task["register"] for task in before if changing(task)}


@pytest.mark.parametrize("role", ROLES)
def test_what_runs_in_a_dry_run_too_asks_whether_it_is_one(role):
    for step in ("main", "preflight", "install", "configure", "run"):
        for task in tasks(role, step):
            words = json.dumps(task)
            assert "ansible_check_mode" not in words or "ansible.builtin.fail" in task, task["name"]
            if task.get("check_mode") is False and changing(task):
                assert f"'check' if __{role}_dry else 'apply'" in words
                assert task["when"] == f"not (__{role}_dry and __{role}_configure_result is changed)"


def tasks(role: str, step: str) -> list[Mapping[str, Any]]:
    return list(flat(read(PROJECT / "roles" / role / "tasks" / f"{step}.yml")))


def changing(task: Mapping[str, Any]) -> bool:
    return not HARMLESS & task.keys() and task.get("changed_when") is not False
