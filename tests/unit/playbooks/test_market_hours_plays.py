# SPDX-License-Identifier: Apache-2.0
"""Every playbook obeys the market hours, and real runs of preflight.yml and held_back.yml on this machine do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.paths import PROJECT, VENV_BIN

IMPORT = "ansible.builtin.import_playbook"
# The two that decide and report; the whole site, which imports the layers; and one that refuses a host in its hours.
OTHERS = {"preflight", "held_back", "site", "latency"}
LAYERS = sorted(path.stem for path in (PROJECT / "playbooks").glob("*.yml") if path.stem not in OTHERS)
BLOCK = ("block", "rescue", "always")
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
# From noon to noon and from midnight to midnight: open whatever the minute.
ALWAYS = [
    {"days": DAYS, "from": start, "until": end, "timezone": "UTC"}
    for start, end in (("00:00", "12:30"), ("12:00", "11:59"))
]
MACHINE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
HOSTS: dict[str, dict[str, Any]] = {
    "trader": {"trading_windows": ALWAYS},
    "mute": {"trading_windows": ALWAYS},
    "idle": {"trading_windows": ALWAYS, "trading_units": ["idle.service"]},
    "unread": {"trading_windows": [{"days": ["Mon"]}]},
    "free": {},
}
FREE = {"free", "idle"}
ROLE = """
- name: Write a file
  ansible.builtin.copy: {{content: new, dest: "{folder}/{{{{ inventory_hostname }}}}", mode: "0644"}}
- name: Make something on the control machine
  ansible.builtin.command: {{cmd: "true"}}
  check_mode: false
  delegate_to: localhost
"""
LOGGER = """#!/bin/sh
case $* in *" on mute "*) echo no journal >&2; exit 1 ;; esac
echo "$*" >> {journal}
"""
RUNS = "station.target loaded active active All services that trade"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_playbook_asks_for_the_market_hours_first_obeys_in_each_role_and_reports_last(layer):
    first, *plays, last = yaml.safe_load((PROJECT / f"playbooks/{layer}.yml").read_text())
    assert (first[IMPORT], last[IMPORT]) == ("preflight.yml", "held_back.yml")
    for play in plays:
        assert {"tasks", "pre_tasks", "post_tasks"} & set(play) == set()
        for role in play["roles"]:
            assert role["check_mode"] == "{{ dry_run }}"


def steps(tasks: Sequence[dict[str, Any]], above: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tasks, each with what its blocks say for it."""
    for task in tasks:
        own = {**above, **{key: value for key, value in task.items() if key not in BLOCK}}
        inside = [one for key in BLOCK for one in task.get(key, ())]
        yield from steps(inside, own) if inside else [own]


def test_what_a_role_runs_on_a_frozen_host_too_only_looks_or_asks_whether_it_may_change_something():
    files = (PROJECT / "roles").glob("*/tasks/*.yml")
    runs = [
        task
        for file in files
        for task in steps(yaml.safe_load(file.read_text()), {})
        if not task.get("check_mode", True)
    ]
    here = [task for task in runs if task.get("delegate_to") != "localhost"]
    assert len(here) > 10
    asks = [task for task in here if re.search(r"\bdry_run\b", json.dumps(task))]
    assert [task["name"] for task in here if task.get("changed_when") is not False and task not in asks] == []


def test_the_site_decides_once_and_reports_once_for_all_layers():
    first, *layers, last = yaml.safe_load((PROJECT / "playbooks/site.yml").read_text())
    assert (first[IMPORT], last[IMPORT]) == ("preflight.yml", "held_back.yml")
    assert all(layer["vars"] == {"in_site": True} for layer in layers)
    listed = subprocess.run(
        [str(VENV_BIN / "ansible-playbook"), "-i", "inventory/production", "playbooks/site.yml", "--list-hosts"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    deciding = [line for line in listed.splitlines() if "market hours" in line.lower() and "(all)" in line]
    assert len(deciding) == 2


class Fleet:
    """Hosts that are this machine; programs of the hosts are stand-ins, and the inventory is not checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        hosts = {name: MACHINE | more for name, more in HOSTS.items()}
        decide = yaml.safe_load((PROJECT / "playbooks/preflight.yml").read_text())[1:]
        obey = {"name": "Demo: a role", "hosts": "all", "gather_facts": False}
        obey["roles"] = [{"role": "demo", "tags": ["demo"], "check_mode": "{{ dry_run }}"}]
        report = yaml.safe_load((PROJECT / "playbooks/held_back.yml").read_text())
        self._write("inventory/hosts.yml", yaml.safe_dump({"all": {"hosts": hosts}}))
        self._write("play.yml", yaml.safe_dump([*decide, obey, *report], sort_keys=False))
        self._write("roles/demo/tasks/main.yml", ROLE.format(folder=folder / "hosts"))
        # No service of the host idle runs, and the journal of the host mute takes nothing.
        self._write("bin/systemctl", f"#!/bin/sh\ncase $* in *idle.service) ;; *) echo '{RUNS}' ;; esac\n")
        self._write("bin/logger", LOGGER.format(journal=self.journal))
        (folder / "inventory/group_vars").symlink_to(PROJECT / "group_vars")
        (folder / "hosts").mkdir()

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    @property
    def changed(self) -> set[str]:
        """Return the hosts that have the role's file."""
        return {path.name for path in (self.folder / "hosts").iterdir()}

    def run(self, *words: str, program: Sequence[str] = ("ansible-playbook",), **extra: Any) -> tuple[int, str]:
        """Run the play; return exit status and output in one line."""
        given = {"ansible_become": False, **extra}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(self.folder / "roles"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "SUDO_USER": "ada",
        }
        command = [str(VENV_BIN / program[0]), *program[1:], str(self.folder / "play.yml"), *words]
        command += ["--inventory", str(self.folder / "inventory"), "--extra-vars", json.dumps(given)]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_host_that_trades_is_left_as_it_is_and_the_run_ends_with_what_it_held_back(fleet: Fleet):
    status, out = fleet.run()
    assert fleet.changed == FREE
    assert status == 2
    assert "trader is frozen until trading_maintenance_windows names a time" in out
    assert "unread is frozen until trading_windows is corrected" in out
    assert out.count("Would have changed: demo (1). Run the same again then") >= 3


def test_the_progress_view_says_so_in_a_line_and_with_a_status_of_its_own(fleet: Fleet):
    status, out = fleet.run(program=("python", "-m", "fleet.run.playbook"))
    assert fleet.changed == FREE
    assert status == 75
    assert re.search(r"frozen trader until .*?: would change demo \(1\) ", out)
    assert "next: run the same again when no host is frozen" in out


def test_a_dry_run_says_that_the_host_is_frozen_shows_the_difference_and_is_good(fleet: Fleet):
    status, out = fleet.run("--check", "--diff", "--limit", "trader,free")
    assert (status, fleet.changed) == (0, set())
    assert "trader is frozen until" in out
    assert out.count("+new") == 2


def test_a_run_that_starts_at_a_later_task_does_not_get_round_the_decision(fleet: Fleet):
    fleet.run("--limit", "trader,free", "--start-at-task", "Write a file")
    assert fleet.changed == {"free"}


@pytest.mark.parametrize("name", ["preflight", "held_back"])
def test_neither_do_tags(name: str):
    assert all(play["tags"] == ["always"] for play in yaml.safe_load((PROJECT / f"playbooks/{name}.yml").read_text()))


def test_an_override_changes_the_host_and_counts_only_if_the_journal_of_the_host_has_it(fleet: Fleet):
    status, out = fleet.run(trading_override="the feed\nis  down")
    assert (status, fleet.changed) == (2, FREE | {"trader", "unread"})
    line = next(line for line in fleet.journal.read_text().splitlines() if " on trader " in line)
    assert line.startswith("--tag=fleet-override -- ada runs ")
    assert "play.yml on trader in market hours (" in line
    assert line.endswith("): the feed is down")
    assert "cannot be written to the host's journal, so it does not count: no journal" in out


def test_a_dry_run_with_an_override_writes_nothing(fleet: Fleet):
    status, _ = fleet.run("--limit", "trader", "--check", trading_override="the feed is down")
    assert (status, fleet.changed, fleet.journal.exists()) == (0, set(), False)


def test_an_override_without_a_reason_is_refused(fleet: Fleet):
    status, out = fleet.run("--limit", "trader,free", trading_override=None)
    assert (status, fleet.changed) == (2, {"free"})
    assert "trading_override gives no reason" in out


@pytest.mark.parametrize("verb", ["site", "deploy"])
def test_a_verb_takes_the_override_from_its_command_line_even_an_empty_one_and_never_from_the_environment(verb: str):
    def printed(*words: str, **environment: str) -> str:
        command = ["make", "--dry-run", "--no-print-directory", verb, *words]
        return subprocess.run(
            command, cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout

    assert '--override "$FLEET_OVERRIDE"' in printed("OVERRIDE=the feed is down")
    assert '--override "$FLEET_OVERRIDE"' in printed("OVERRIDE=")
    assert "--override" not in printed(OVERRIDE="left over")
