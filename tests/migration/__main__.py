# SPDX-License-Identifier: Apache-2.0
"""Walk from an older commit's lab to this commit, in a clone of its own: `make test-migration` (BEFORE=commit)."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from fleet.paths import BUILD, PROJECT
from tests.migration.seen import Host, Seen, left_over, lost

# The last commit under which machine and trading services shared their names.
BEFORE = "e1d64f8"
CLONE = BUILD / "migration"
# The feed goes on where it was, and its sample is another one since: the bars before that are not stored.
PROOF = (
    *(".venv/bin/python", "-m", "pytest", "-q", "tests/host", "--inventory=inventory/lab"),
    "--deselect=tests/host/test_services.py::test_the_database_holds_exactly_the_bars_that_were_replayed",
)
AGAIN = (".venv/bin/python", "-m", "fleet.run.playbook", "playbooks/site.yml", "--inventory=inventory/lab")

# A container has no kernel layer. This is what that layer leaves on a machine; the unit says when it is stopped.
TUNED, STOPPED = "vps", "/run/kernel-was-stopped"
PLANT = f"""
set -e
cd /etc/systemd/system
mkdir -p /etc/station /usr/local/libexec/station /etc/default/grub.d /var/lib/station/kernel sysinit.target.d
echo '{{}}' | tee /etc/station/kernel.json /etc/station/nic.json >/etc/station/irq.json
printf '#!/bin/sh\\n' >/usr/local/libexec/station/station-kernel
echo 'GRUB_CMDLINE_LINUX_DEFAULT="isolcpus=2-3"' >/etc/default/grub.d/60-station.cfg
echo '{{"phase": "proven", "boot_id": "'$(cat /proc/sys/kernel/random/boot_id)'"}}' >/var/lib/station/kernel/state.json
cat >station-kernel.service <<EOF
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/usr/bin/touch {STOPPED}
[Install]
WantedBy=multi-user.target
EOF
printf '[Timer]\\nOnUnitActiveSec=1d\\nOnBootSec=1d\\n[Install]\\nWantedBy=timers.target\\n' >station-irq-again.timer
printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' >station-irq-again.service
printf '[Unit]\\nWants=station-boot-guard.service\\n' >sysinit.target.d/50-station-boot-guard.conf
echo 'station_reboot_pending 0' >/var/lib/prometheus/node-exporter/station_kernel.prom
systemctl daemon-reload
systemctl enable --quiet --now station-kernel.service station-irq-again.timer
"""


class WalkError(Exception):
    """A step failed; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk, and return the exit status. The lab goes at the end, also after a failure, unless it is to be kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.migration", description=__doc__)
    parser.add_argument("--before", default=BEFORE, help="the older commit")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args(arguments)
    try:
        walk(options.before)
    except (WalkError, RuntimeError) as error:
        print(f"migration: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep and CLONE.exists():
            step("the lab goes", "make", "lab-down")
    print("migration: nothing lost, nothing left behind, the second run changed nothing")
    return 0


def walk(before: str) -> None:
    """Bring the older lab up, pull, run site.yml twice, and compare.

    Raises:
        WalkError: a step failed, something is lost, or something is left behind.
    """
    shutil.rmtree(CLONE, ignore_errors=True)
    step("a clone of the project", "git", "clone", "--quiet", str(PROJECT), str(CLONE), folder=PROJECT)
    step(f"commit {before}", "git", "checkout", "--quiet", "--detach", before)
    step("its lab", "make", "lab")
    _host(TUNED).ask(PLANT)
    first = look()
    blind = [host for host, seen in first.items() if not left_over(seen)]
    if blind:
        raise WalkError(f"of {', '.join(blind)} no older name is seen, so none would be missed: mend tests/migration")
    step("this commit", "git", "checkout", "--quiet", "--detach", this_commit())
    step("its tools", "make", "setup")
    step("what only this machine knows", ".venv/bin/python", "-m", "lab.containers", "create")
    step("site.yml over the older hosts", "make", "site")
    step("the hosts prove it", *PROOF)
    compare(first, look())
    stopped = _host(TUNED).ask(f"ls {STOPPED}; systemctl list-units --all --plain --no-legend 'station-kernel*'")
    if stopped:
        raise WalkError(f"{TUNED}: a unit of before has run what it runs at its stop, or still stands: {stopped}")
    step("site.yml again, which must change nothing", *AGAIN, "--expect-no-change")


def this_commit() -> str:
    """Return a commit with the working tree's tracked files, changes that are not committed included."""
    made = _git("stash", "create")
    if not made:
        return _git("rev-parse", "HEAD")
    # A clone fetches what a name leads to.
    step("what is not committed", "git", "fetch", "--quiet", str(PROJECT), made)
    return made


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()


def step(name: str, *words: str, folder: Path = CLONE) -> None:
    """Run a command of the clone and say how long it took.

    Raises:
        WalkError: it failed.
    """
    print(f"migration: {name} ...", flush=True)
    began = time.monotonic()
    # This make's own variables and tools are not the clone's.
    tools = str(PROJECT / ".venv/bin")
    path = ":".join(part for part in os.environ["PATH"].split(":") if part != tools)
    # What this clone's Makefile says to its programs is not for another commit's.
    dropped = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "ANSIBLE_", "FLEET_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)} | {"PATH": path}
    done = subprocess.run(words, cwd=folder, env=environment, check=False)
    if done.returncode != 0:
        raise WalkError(
            f"{name}: `{' '.join(words)}` in {folder.relative_to(PROJECT.parent)} ended with status {done.returncode}"
        )
    print(f"migration: {name}: {time.monotonic() - began:.0f} s", flush=True)


def look() -> dict[str, Seen]:
    """Ask every host of the clone's lab."""
    inventory = yaml.safe_load((CLONE / "inventory/lab/hosts.yml").read_text())["all"]
    trading = inventory["children"]["agents"]["hosts"]
    return {name: _host(name).look(trades=name in trading) for name in inventory["hosts"]}


def _host(name: str) -> Host:
    return Host(name, CLONE / ".lab/ssh_config")


def compare(first: Mapping[str, Seen], now: Mapping[str, Seen]) -> None:
    """Refuse a loss and a left-over.

    Raises:
        WalkError: something is lost or left behind.
    """
    problems = []
    for name, before in first.items():
        host = _host(name)
        problems += [f"{name}: lost: {line}" for line in lost(before, now[name])]
        problems += [
            f"{name}: lost: the beginning of {path}"
            for path, (size, digest) in before.history.items()
            if path in now[name].history and not host.still_begins(path, size, digest)
        ]
        problems += [f"{name}: left behind: {line}" for line in left_over(now[name])]
    for line in problems:
        print(line, file=sys.stderr)
    if problems:
        raise WalkError(f"{len(problems)} things are lost or left behind, see above")
    grown = sum(seen.records for seen in now.values()) - sum(seen.records for seen in first.values())
    print(f"migration: {len(first)} hosts keep what they had, the journal has {grown} records more")


if __name__ == "__main__":
    sys.exit(main())
