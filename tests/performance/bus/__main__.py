# SPDX-License-Identifier: Apache-2.0
"""Command line of the bench of bus and journal: `python -m tests.performance.bus`, called by `make bench-bus`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from station.bus.redis_stream import RedisBus
from station.errors import StationError, Unavailable

from fleet import terminal
from fleet.errors import UserError
from fleet.paths import PROJECT
from lab import programs
from tests.performance.bus import chain, ingest, latency, spine
from tests.performance.bus.spine import Spine, Wanted
from tests.servers import questdb, redis
from tests.servers.services import Station
from tools import report
from tools.pages import performance

RATE = 10_000  # events/s
BEHIND = 1_000_000  # events
RECORDS = 200_000  # of the chain
ROUNDS, ROUND_S = 5, 8.0
HEAP_MIB = 128  # of QuestDB: the rest of what it is given makes it no faster here
PARTS = ("latency", "chain", "questdb", "flow")
_BYTES_AN_EVENT = 3000  # in segments, append-only file, QuestDB and its log
_ROWS_A_ROUND = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a goal is missed or nothing could be measured."""
    options = _parse(arguments)
    load = os.getloadavg()[0]
    if load > 1:
        print(f"the machine is busy (load {load:.1f}): these figures will not be the machine's own", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        result = [*_measure(options), *report.machine(load)]
    except (UserError, StationError, Unavailable, RuntimeError, TimeoutError) as error:
        print(f"bench-bus: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench-bus: interrupted; nothing is left running, nothing is written", file=sys.stderr)
        return 130
    terminal.console().print(report.table(result))
    if options.only is None:
        print(f"wrote {report.write('bus', result).relative_to(PROJECT)}")
        print(f"wrote {performance.write().relative_to(PROJECT)}")
    return report.missed(result)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.bus", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long the stream lasts (default: 300)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of what takes turns (default: {ROUNDS})")
    parser.add_argument("--behind", type=int, default=BEHIND, help=f"events before SIGKILL (default: {BEHIND:,})")
    parser.add_argument("--only", choices=PARTS, help="one part: its figures are printed and not kept")
    options = parser.parse_args(arguments)
    if options.seconds < 10 or options.rounds < 1:
        parser.error("--seconds: at least 10; --rounds: at least 1")
    return options


def _measure(options: argparse.Namespace) -> list[report.Row]:
    """Run the parts, each with servers of its own."""
    chosen = PARTS if options.only is None else (options.only,)
    programs.provide(programs.REDIS)
    if {"questdb", "flow"} & set(chosen):
        questdb.provide()
    rows: list[report.Row] = []
    for part in chosen:
        # Short: the path of a socket must stay below 108 characters.
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            rows += _PARTS[part](stack, folder, options)
    return rows


def _latency(stack: ExitStack, folder: Path, options: argparse.Namespace) -> list[report.Row]:
    return latency.measure(_redis(stack, folder).server("agents"), folder, options.rounds, ROUND_S, _say)


def _chain(_stack: ExitStack, _folder: Path, options: argparse.Namespace) -> list[report.Row]:
    return chain.measure(RECORDS, options.rounds, _say)


def _ingest(stack: ExitStack, folder: Path, options: argparse.Namespace) -> list[report.Row]:
    return ingest.measure(_questdb(stack, folder).server(), _ROWS_A_ROUND, options.rounds, _say)


def _flow(stack: ExitStack, folder: Path, options: argparse.Namespace) -> list[report.Row]:
    needed = _BYTES_AN_EVENT * (RATE * options.seconds + options.behind)
    if shutil.disk_usage(folder).free < needed:
        raise UserError(f"{folder.parent} has less than {needed / 1e9:.0f} GB free: name another folder by TMPDIR")
    bus, database = _redis(stack, folder), _questdb(stack, folder)
    journal = folder / "station" / "journal"
    journal.parent.mkdir()
    recorder = {"name": "recorder", "kind": "recorder", "folder": str(journal), "questdb": {"address": database.http}}
    station = Station(journal.parent, bus.socket, [recorder], chain.SIGNER.text())
    stack.callback(station.close)
    station.start("recorder")
    eye = stack.enter_context(closing(RedisBus(bus.server("journal"))))
    at_work = Spine(eye, bus, database, station.services["recorder"], folder)
    return spine.measure(at_work, journal, Wanted(RATE, options.seconds, options.behind), _say)


_PARTS = {"latency": _latency, "chain": _chain, "questdb": _ingest, "flow": _flow}


def _redis(stack: ExitStack, folder: Path) -> redis.Redis:
    server = redis.Redis(folder / "redis", redis.access())
    server.folder.mkdir()
    stack.callback(server.kill)
    server.start()
    return server


def _questdb(stack: ExitStack, folder: Path) -> questdb.QuestDB:
    server = questdb.QuestDB(folder / "questdb", HEAP_MIB)
    server.folder.mkdir()
    stack.callback(server.kill)
    server.start()
    return server


_BEGAN = time.monotonic()


def _say(words: str) -> None:
    print(f"{time.monotonic() - _BEGAN:5.0f} s  {words}", flush=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
