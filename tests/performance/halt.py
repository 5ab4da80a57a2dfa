# SPDX-License-Identifier: Apache-2.0
"""How long the kill switch takes: the lab's hosts and two addresses where nothing answers, beside plain ssh."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from fleet import terminal
from fleet.errors import UserError
from fleet.halt.targets import OPTIONS
from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT, VENV_BIN
from lab.containers import hosts
from tools import report
from tools.pages import performance

# Unused addresses of the lab's own network.
DEAD = {"dead1": "10.77.0.201", "dead2": "10.77.0.202"}
STATION, LATCH = "station", "/var/lib/station/halt/latch"
GOAL = report.Goal(ratio=1.5)


def _ssh(host: str, *command: str) -> list[str]:
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *options, "-F", str(LAB_STATE / "ssh_config"), host, *command]


def _on_station(script: str) -> str:
    done = subprocess.run(_ssh(STATION, "sudo", "sh", "-s"), input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{STATION} cannot be used: {done.stderr.strip()}: is the lab up? `make lab`")
    return done.stdout.strip()


def plain() -> float:
    """Run one command on every host by ssh, all at once, and return the seconds until the last has ended."""
    began = time.monotonic()
    everybody = [*hosts.planned(), *DEAD.values()]
    running = [
        subprocess.Popen(_ssh(host, "sudo", "true"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for host in everybody
    ]
    for process in running:
        process.wait()
    return time.monotonic() - began


def halt(inventory: Path) -> tuple[float, float]:
    """Halt every host; return the seconds until the station's latch was there, and until all was said.

    Raises:
        UserError: another host than the dead ones was not halted: such a run is no figure.
    """
    began, wall = time.monotonic(), time.time()
    words = [str(VENV_BIN / "python"), "-m", "fleet.halt", "--inventory", str(inventory), "--reason", "a measurement"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    whole = time.monotonic() - began
    expected = f"halted {len(hosts.planned())} of {len(hosts.planned()) + len(DEAD)} hosts"
    if expected not in done.stdout:
        raise UserError(f"no figure: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    # The containers have this machine's clock.
    latched = json.loads(_on_station(f"tail -n 1 {LATCH}"))["at"] / 1e6 - wall
    return latched, whole


@contextmanager
def with_dead_hosts() -> Iterator[Path]:
    """Yield the lab's inventory with the two addresses in it, and put the station back to work at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bench-halt-"))
    try:
        for entry in LAB_INVENTORY.iterdir():
            if entry.name != "hosts.yml":
                (folder / entry.name).symlink_to(entry.resolve())
        text = (LAB_INVENTORY / "hosts.yml").read_text().replace("inventory_dir ~ '/../..", f"'{PROJECT}' ~ '")
        text = text.replace("{{ inventory_dir }}/../..", str(PROJECT))
        dead = "".join(f"    {name}: {{ansible_host: {address}}}\n" for name, address in DEAD.items())
        (folder / "hosts.yml").write_text(text.replace("  hosts:\n", f"  hosts:\n{dead}", 1))
        yield folder
    finally:
        shutil.rmtree(folder)
        resume()


def resume() -> None:
    """Let the station trade again."""
    _on_station(f"rm -f {LATCH}; systemctl start station.target")


def rows(plainly: list[float], latched: list[float], whole: list[float], load: float) -> list[report.Row]:
    """Return the rows of a measurement, all times in seconds."""
    base = median(plainly)
    return [
        report.row("plain ssh, one command a host", base, "s"),
        report.row("make halt, until all hosts are halted or given up", median(whole), "s", base, GOAL),
        report.row("make halt, until the last latch is there", median(latched), "s"),
        report.row("spread, make halt", max(whole) - min(whole), "s"),
        report.row("hosts that answer", len(hosts.planned()), ""),
        report.row("addresses where nothing answers", len(DEAD), ""),
        report.row("runs of each", len(whole), ""),
        *report.machine(load),
    ]


def _turns(repeat: int, say: Callable[[str], None]) -> tuple[list[float], list[float], list[float]]:
    plainly, latched, whole = [], [], []
    with with_dead_hosts() as inventory:
        for turn in range(1, repeat + 1):
            resume()
            plainly.append(plain())
            first, last = halt(inventory)
            latched.append(first)
            whole.append(last)
            say(f"run {turn} of {repeat}: ssh {plainly[-1]:.1f} s, last latch {first:.1f} s, make halt {last:.1f} s")
    return plainly, latched, whole


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a run was refused or the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.halt", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    try:
        result = rows(*_turns(max(1, options.repeat), lambda line: print(line, flush=True)), load)
    except UserError as error:
        print(f"bench-halt: {error}", file=sys.stderr)
        return 1
    terminal.console().print(report.table(result))
    print(f"wrote {report.write('halt', result).relative_to(PROJECT)}")
    print(f"wrote {performance.write().relative_to(PROJECT)}")
    return report.missed(result)


if __name__ == "__main__":
    sys.exit(main())
