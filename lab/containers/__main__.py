# SPDX-License-Identifier: Apache-2.0
"""Command line of the lab: `python -m lab.containers up|create|status|destroy`, called by the make targets."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time

from docker.errors import DockerException

from fleet.errors import UserError
from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT
from fleet.run import playbook, verify
from fleet.run.checks import by_host
from lab import archive, samples
from lab.containers import engine, hosts, image, secrets, services, status
from tools import report

FIRST, AGAIN = "make lab, image not built yet", "make lab, image cached"
GOALS = {FIRST: 900, AGAIN: 360}  # seconds
FREE_GIB = 6  # an estimate for six hosts with their packages and databases


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status; an error the user can mend is one line."""
    options = _parse(arguments)
    try:
        return int(options.verb(options))
    except UserError as error:
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted; run it again to go on, or `make lab-down` to remove it", file=sys.stderr)
    except DockerException as error:
        print(f"lab: the container engine refuses: {error}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"lab: `{' '.join(error.cmd)}` failed with status {error.returncode}", file=sys.stderr)
    return 1


def up(options: argparse.Namespace) -> int:
    """Create the fleet, provision it, prove it, and say what to look at."""
    began, cached = time.monotonic(), image.is_cached(options.image or image.default())
    create(options)
    limit = ",".join(hosts.select(options.hosts))
    site = playbook.run_playbook("playbooks/site.yml", LAB_INVENTORY, ["--limit", limit], verbose=options.verbose)
    checks: verify.Outcome | None = None
    if site.status == 0:
        _say("checking the hosts ...")
        checks = verify.run(LAB_INVENTORY, limit, verbose=options.verbose)
    playbook.report(site, {"verify": by_host(checks.checks)} if checks else {})
    if checks:
        verify.report(checks, skipped=False)
    good = checks is not None and checks.good
    if good:
        for host in Fleet.load(LAB_INVENTORY, PROJECT).members["agents"]:
            if host in limit.split(","):
                services.show(host, _say)
        seconds = time.monotonic() - began
        if not options.hosts:
            metric = AGAIN if cached else FIRST
            report.update("lab", report.row(metric, seconds, "s", goal=report.Goal(below=GOALS[metric])))
        _say(f"the fleet is up after {seconds:.0f} s")
        for line in status.next_steps(options.hosts):
            _say(line)
    return 0 if good else 1


def show(options: argparse.Namespace) -> int:
    """Print how the lab's hosts are now, beside what the last run of site.yml and of the checks said."""
    engine.require_root()
    return status.show(options.hosts)


def create(options: argparse.Namespace) -> int:
    """Start the engine, build the image and boot the hosts; what exists already is kept."""
    engine.require_root()
    selected = hosts.select(options.hosts)
    _require_space()
    LAB_STATE.mkdir(mode=0o700, exist_ok=True)
    client = engine.start()
    _say(f"container engine  {client.version()['Version']}")
    secrets.make_vault()
    name = options.image or image.default()
    mirrors = archive.NO_MIRRORS if name.startswith("ubuntu") else archive.find_mirrors("Debian")
    secrets.write_local_values(mirrors, samples.provide())
    key = secrets.make_ssh_key()
    tag = image.provide(client, name)
    _say(f"base image        {name}")
    hosts.create(client, tag, selected, key, _say)
    return 0


def destroy(options: argparse.Namespace) -> int:
    """Remove hosts; without names remove everything the lab made, and stop the engine if the lab started it."""
    engine.require_root()
    engine.refuse_foreign_lab()
    try:
        client = engine.connect()
    except UserError:
        client = None
    if client is not None:
        selected = options.hosts or list(hosts.existing(client))
        removed = hosts.destroy(client, selected)
        _say(f"removed {', '.join(removed)}" if removed else "no hosts to remove")
    if not options.hosts:
        engine.stop()
        shutil.rmtree(LAB_STATE, ignore_errors=True)
        _say("lab is down; the base image stays cached in build/lab")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.containers", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="verb")
    for name, verb in {"up": up, "create": create, "status": show, "destroy": destroy}.items():
        sub = verbs.add_parser(name, help=(verb.__doc__ or "").splitlines()[0])
        sub.add_argument(
            "--hosts", type=_names, default=_names(os.environ.get("HOSTS", "")), help="a,b: only these hosts"
        )
        sub.set_defaults(verb=verb)
        if verb is up:
            sub.add_argument(
                "--verbose",
                action="store_true",
                default=bool(os.environ.get("V")),
                help="Ansible's output live",
            )
        if verb in {up, create}:
            sub.add_argument("--image", default=os.environ.get("LAB_IMAGE"), help="base image")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _say(line: str) -> None:
    print(line, flush=True)


def _require_space() -> None:
    free = shutil.disk_usage(PROJECT).free / 2**30
    if free < FREE_GIB:
        raise UserError(
            f"{free:.1f} GiB free on the disk of {PROJECT}, the lab needs {FREE_GIB}: free some and run it again"
        )


if __name__ == "__main__":
    sys.exit(main())
