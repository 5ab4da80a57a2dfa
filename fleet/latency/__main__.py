# SPDX-License-Identifier: Apache-2.0
"""Measure the latency of hosts, write a page for each, and compare it with the host's own baseline.

Exit status: 0 fine, 1 could not measure as the baseline was, 2 wrong call, 3 worse than the baseline.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import terminal
from fleet.errors import UserError
from fleet.latency import page
from fleet.latency.comparison import Comparison, Status, Verdict, compare, judge
from fleet.latency.result import Result, dump, from_raw, load
from fleet.model.model import Fleet
from fleet.model.project import hosts_matching
from fleet.paths import BUILD, PROJECT
from fleet.run import playbook

RESULTS = BUILD / "latency"
SHORTEST, LONGEST = 12, 7 * 24 * 3600
COLOURS = {"good": "green", "bad": "red", "none": "yellow"}


@dataclass(frozen=True)
class Report:
    """One host's verdict and where its page is."""

    host: str
    verdict: Verdict
    page: Path | None = None


def finish(folder: Path, baseline: Path, store: bool) -> Report:
    """Turn what a host's runner wrote into result.json and index.html, and return the verdict.

    Args:
        folder: where raw.json of the run lies.
        baseline: the host's own baseline; it need not exist.
        store: make this run the baseline, unless something could not be measured.
    """
    host = baseline.parent.name
    try:
        result = from_raw(json.loads((folder / "raw.json").read_text()))
        before = load(baseline) if baseline.exists() and not store else None
    except (OSError, KeyError, TypeError, ValueError) as error:
        return Report(host, Verdict("bad", f"Could not measure: {error}", Status.NOT_MEASURED))
    comparison = compare(result, before)
    verdict = judge(result, comparison)
    if store and verdict.status == Status.FINE:
        comparison, verdict = _store(result, baseline)
    written = {"verdict": verdict.line, "status": int(verdict.status), "comparison": _rows(comparison)}
    (folder / "result.json").write_text(json.dumps({**dump(result), **written}, indent=1) + "\n")
    (folder / "index.html").write_text(page.render(result, comparison, verdict))
    return Report(host, verdict, folder / "index.html")


def _store(result: Result, baseline: Path) -> tuple[Comparison, Verdict]:
    """Replace the baseline in one step, so that an interruption leaves the old one."""
    fresh = baseline.with_suffix(".new")
    fresh.write_text(json.dumps(dump(result), indent=1) + "\n")
    fresh.replace(baseline)
    refusal = "this run is the baseline now"
    return Comparison(refusal=refusal), Verdict("none", "Measured and stored as the host's baseline.", Status.FINE)


def _rows(comparison: Comparison) -> dict[str, object]:
    return {
        "baseline_time": comparison.baseline_time,
        "refusal": comparison.refusal,
        "missing": list(comparison.missing),
        "rows": [{**vars(row), "ratio": row.ratio} for row in comparison.rows],
    }


def chosen(inventory: Path, limit: str, peer: str) -> list[str]:
    """Return the hosts to measure.

    Raises:
        UserError: there is no inventory of that name, or none that can be read.
        ValueError: the inventory does not have what was asked for, or it cannot be measured.
    """
    fleet = Fleet.of(inventory, PROJECT)
    found = hosts_matching(limit, fleet.members)
    if not found:
        raise ValueError(f"{limit} is no host or group of {inventory}")
    if peer and peer not in fleet.hosts:
        raise ValueError(f"the peer {peer} is no host of {inventory}")
    macs = set(fleet.members.get("macs", ()))
    if found & macs or peer in macs:
        raise ValueError(f"{', '.join(sorted((found | {peer}) & macs))}: the tools need Linux")
    if not found - {peer}:
        raise ValueError(f"{peer} cannot be its own peer")
    return [host for host in fleet.hosts if host in found and host != peer]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, judge, print; return a `Status`."""
    parser = argparse.ArgumentParser(prog="python -m fleet.latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--limit", required=True, help="hosts or groups to measure, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each test (default: 60)")
    parser.add_argument("--peer", default="", help="host of the inventory that answers ping-pongs over the network")
    parser.add_argument("--set-baseline", action="store_true", help="store the run as the host's baseline")
    parser.add_argument("--force", action="store_true", help="also in trading hours")
    parser.add_argument("--verbose", action="store_true", help="Ansible's output live")
    options = parser.parse_args(arguments)
    if not SHORTEST <= options.seconds <= LONGEST:
        parser.error(f"--seconds: {SHORTEST} to {LONGEST}")
    try:
        hosts = chosen(options.inventory, options.limit, options.peer)
    except (UserError, ValueError) as error:
        parser.error(str(error))
    run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    minutes = (6 + bool(options.peer)) * options.seconds / 60 * 1.2 + 1
    print(f"measuring {', '.join(hosts)}, about {minutes:.0f} min each; CPUs that keep house are loaded", flush=True)
    outcome = playbook.run_playbook(
        "playbooks/latency.yml", options.inventory.resolve(), _words(options, hosts, run), options.verbose
    )
    playbook.report(outcome)
    reports = [_conclude(host, run, options.set_baseline) for host in hosts]
    return _say(reports)


def _words(options: argparse.Namespace, hosts: Sequence[str], run: str) -> list[str]:
    """Return what the playbook is told."""
    variables = {
        "latency_run": run,
        "latency_run_seconds": options.seconds,
        "latency_run_peer": options.peer,
        "latency_run_force": options.force,
        "latency_run_results": str(RESULTS),
        # Each of up to 7 tests, start and end of every call, and a slow machine.
        "latency_run_limit": 9 * options.seconds + 900,
    }
    limit = ",".join([*hosts, *([options.peer] if options.peer else [])])
    return ["--limit", limit, "--extra-vars", json.dumps(variables)]


def _conclude(host: str, run: str, store: bool) -> Report:
    folder = RESULTS / host / run
    if not (folder / "raw.json").exists():
        return Report(host, Verdict("bad", "Not measured; the run above says why.", Status.NOT_MEASURED))
    return finish(folder, RESULTS / host / "baseline.json", store)


def _say(reports: Sequence[Report]) -> int:
    console = terminal.console()
    for report in reports:
        colour = COLOURS[report.verdict.kind]
        terminal.say(console, f"{report.host}:", report.verdict.line, colour)
        if report.page is not None:
            terminal.say(console, "  page:", str(report.page.relative_to(PROJECT)))
    status = max(report.verdict.status for report in reports)
    following = {
        Status.FINE: "next: SET_BASELINE=1 stores a run that others are compared with",
        Status.NOT_MEASURED: "next: mend what is named above and run it again",
        Status.REGRESSION: "next: look at the page; what changed since the baseline stands above its last table",
    }
    print(following[status])
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
