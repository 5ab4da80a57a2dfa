# SPDX-License-Identifier: Apache-2.0
"""How long a no-op `site.yml` takes with ansible-core's defaults, with our settings, and with Mitogen besides."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fleet import terminal
from fleet.errors import UserError
from fleet.paths import BUILD, LAB_INVENTORY, PROJECT, VENV_BIN
from fleet.run import mitogen
from fleet.run.playbook import passwords
from lab.containers import hosts
from tools import report
from tools.pages import performance

SITE = "playbooks/site.yml"
# Of today's tasks under ansible-core's defaults, which are themselves fewer than they were.
GOAL = report.Goal(below=60, ratio=0.4)
LOGS = BUILD / "bench" / "logs"
DEFAULTS_CONFIG = BUILD / "bench" / "defaults.cfg"
# What Ansible needs to find the project's parts, and nothing that makes it faster.
DEFAULTS = f"""[defaults]
roles_path = {PROJECT}/roles
filter_plugins = {PROJECT}/plugins/filter
action_plugins = {PROJECT}/plugins/action
lookup_plugins = {PROJECT}/plugins/lookup
library = {PROJECT}/plugins/modules
module_utils = {PROJECT}/fleet/host
"""
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """One way to run Ansible: a name for people and the environment variables that make it so."""

    name: str
    variables: dict[str, str]


def settings() -> list[Setting]:
    """Return what is compared; the first is the baseline, the last has the goal.

    Raises:
        UserError: the installed Mitogen does not support the installed ansible-core.
    """
    ours = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    faster = mitogen.variables()
    if not faster:
        raise UserError("the installed Mitogen and ansible-core do not support each other: run `make setup`")
    return [
        Setting("ansible-core's defaults", {"ANSIBLE_CONFIG": str(DEFAULTS_CONFIG)}),
        Setting("our settings", ours),
        Setting("our settings + Mitogen", ours | faster),
    ]


def refusal(output: str, expected: Sequence[str]) -> str:
    """Say why a run does not count, from Ansible's recap; empty if it does.

    Args:
        output: what ansible-playbook printed.
        expected: hosts that have to be in the recap.
    """
    recap = {host: tuple(map(int, counts)) for host, *counts in RECAP.findall(output)}
    missing = [host for host in expected if host not in recap]
    names = ("changed", "unreachable", "failed")
    wrong = [
        f"{host} {name}={number}"
        for host, counts in recap.items()
        for name, number in zip(names, counts, strict=True)
        if number
    ]
    return ", ".join([*(f"{host} was not reached" for host in missing), *wrong])


def measure(setting: Setting, playbook: str, log: Path) -> float:
    """Run a playbook with one setting and return the seconds it took.

    Raises:
        UserError: a host changed, failed or was not reached: such a run is no figure.
    """
    seconds, status = _run(setting, playbook, log)
    why = refusal(log.read_text(), list(hosts.planned()))
    if why or status != 0:
        reason = why or f"status {status}"
        raise UserError(f"no figure for {setting.name}: {reason} (log: {log.relative_to(PROJECT)})")
    return seconds


def _run(setting: Setting, playbook: str, log: Path) -> tuple[float, int]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    command = [str(VENV_BIN / "ansible-playbook"), "-i", str(LAB_INVENTORY), *passwords(LAB_INVENTORY), playbook]
    with _own_connections() as sockets, log.open("w") as stream:
        variables = plain | setting.variables | {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)}
        began = time.monotonic()
        done = subprocess.run(command, cwd=PROJECT, env=variables, stdout=stream, stderr=stream, check=False)
        return time.monotonic() - began, done.returncode


def rows(playbook: str, times: Mapping[str, Sequence[float]], load: float) -> list[report.Row]:
    """Return the rows of a measurement.

    Args:
        playbook: its name.
        times: setting -> seconds of its runs; the first setting is the baseline, the last has the goal.
        load: the machine's load average before the first run.
    """
    names = list(times)
    medians = {name: median(seconds) for name, seconds in times.items()}
    base = medians[names[0]]
    result = [report.row(f"{playbook}, {names[0]}", base, "s")]
    result += [report.row(f"{playbook}, {name}", medians[name], "s", base) for name in names[1:-1]]
    result.append(report.row(f"{playbook}, {names[-1]}", medians[names[-1]], "s", base, GOAL))
    result += [report.row(f"spread, {name}", max(seconds) - min(seconds), "s") for name, seconds in times.items()]
    return [
        *result,
        report.row("runs of each", len(times[names[0]]), ""),
        report.row("hosts", len(hosts.planned()), ""),
        *report.machine(load),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a run was refused or the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.site", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each setting (default: 3)")
    parser.add_argument("--playbook", default=SITE, help="another one: its figures are printed and not kept")
    options = parser.parse_args(arguments)
    if options.repeat < 1:
        parser.error("--repeat: at least 1")
    load = os.getloadavg()[0]
    if load > 1:
        print(f"the machine is busy (load {load:.1f}): these figures will not be the machine's own", file=sys.stderr)
    try:
        result = rows(Path(options.playbook).name, _take_turns(options.playbook, options.repeat), load)
    except UserError as error:
        print(f"bench-site: {error}", file=sys.stderr)
        return 1
    terminal.console().print(report.table(result))
    if options.playbook == SITE:
        print(f"wrote {report.write('site', result).relative_to(PROJECT)}")
        print(f"wrote {performance.write().relative_to(PROJECT)}")
    return report.missed(result)


def _take_turns(playbook: str, repeat: int) -> dict[str, list[float]]:
    LOGS.mkdir(parents=True, exist_ok=True)
    DEFAULTS_CONFIG.write_text(DEFAULTS)
    compared = settings()
    print("bringing the hosts to their declared state, not measured ...", flush=True)
    log = LOGS / "before.log"
    _, status = _run(compared[-1], playbook, log)
    if status != 0:
        raise UserError(f"{playbook} fails with status {status} (log: {log.relative_to(PROJECT)})")
    times: dict[str, list[float]] = {setting.name: [] for setting in compared}
    for turn in range(1, repeat + 1):
        for number, setting in enumerate(compared, start=1):
            seconds = measure(setting, playbook, LOGS / f"setting-{number}-run-{turn}.log")
            times[setting.name].append(seconds)
            print(f"run {turn} of {repeat}, {setting.name}: {seconds:.1f} s", flush=True)
    return times


@contextmanager
def _own_connections() -> Iterator[Path]:
    """Yield a folder for the control sockets of one run; whatever it left open there is closed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a socket's path must stay below 108 characters
    try:
        yield folder
    finally:
        for socket in folder.iterdir():
            subprocess.run(
                ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"], capture_output=True, check=False
            )
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
