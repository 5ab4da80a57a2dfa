# SPDX-License-Identifier: Apache-2.0
"""Rows into QuestDB: by the journal's own writer, and by the official client alone with the same rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from questdb.ingress import Sender, TimestampMicros
from station.journal.follower import BATCH_BYTES, replay
from station.journal.questdb import QuestDB, Server
from station.journal.rows import BarRow, JournalRow, Rows, rows_of
from station.journal.segments import Reader

from tests.performance.bus import chain
from tests.performance.bus.events import Say
from tests.servers.process import until
from tools import report

GOAL = report.Goal(ratio_above=0.8)
_APPLIED_S = 120.0
_Fields = dict[str, Any]  # what the client's row() takes


def measure(server: Server, number: int, rounds: int, say: Say) -> list[report.Row]:
    """Let both take turns, now one first, now the other, and return the rows.

    Args:
        server: a QuestDB.
        number: records of each round; all but one are a row of `journal` and one of `bars`.
        rounds: of each.
        say: tells how far it is.
    """
    rates: dict[str, list[float]] = {"ours": [], "bare": [], "replay": []}
    with ExitStack() as stack:
        tables = {name: stack.enter_context(closing(QuestDB(server, f"{name}_"))) for name in rates}
        for client in tables.values():
            client.prepare()
        for turn in range(1, rounds + 1):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=chain.MEMORY)))
            # Later than those of the round before: no row takes the place of another.
            chain.append(folder, chain.journal(number, first=turn * number))
            for name, (count, do) in _ways(server, tables, folder, odd=turn % 2 == 1).items():
                began = time.monotonic()
                do()
                rates[name].append(count / (time.monotonic() - began))
                until(partial(_applied, tables[name]), "QuestDB applies what it took", _APPLIED_S)
            spelled = ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items())
            say(f"QuestDB, {number:,} records, round {turn} of {rounds}: {spelled}")
    return rows({name: median(found) for name, found in rates.items()})


def rows(rates: Mapping[str, float]) -> list[report.Row]:
    """Return the rows of rates: `ours` and `bare` in rows/s, `replay` in records/s."""
    return [
        report.row("rows into QuestDB, journal and bars", rates["ours"], "rows/s", rates["bare"], GOAL),
        report.row("records from segments into QuestDB (station journal replay)", rates["replay"], "records/s"),
    ]


def _ways(
    server: Server, tables: Mapping[str, QuestDB], folder: Path, *, odd: bool
) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return how many are counted and what stores them, in the order of a round."""
    whole = list(batches(folder))
    count = sum(len(batch.journal) + len(batch.bars) for batch in whole)
    # The client's arguments are made before, so that it does nothing but its own work.
    fields = [(list(map(bar_fields, batch.bars)), list(map(journal_fields, batch.journal))) for batch in whole]

    def ours() -> None:
        for batch in whole:
            tables["ours"].write(batch.journal, batch.bars)

    both: list[tuple[str, tuple[int, Callable[[], object]]]] = [
        ("ours", (count, ours)),
        ("bare", (count, lambda: _send(server, fields))),
    ]
    records = sum(len(batch.journal) for batch in whole)
    return dict([*(both if odd else both[::-1]), ("replay", (records, lambda: replay(folder, tables["replay"])))])


def _send(server: Server, sent: Sequence[tuple[Sequence[_Fields], Sequence[_Fields]]]) -> None:
    sender = Sender.from_conf(
        f"http::addr={server.host}:{server.port};", username=server.user, password=server.password, auto_flush=False
    )
    with sender:
        for bars, journal in sent:
            for table, batch in (("bare_bars", bars), ("bare_journal", journal)):
                with sender.transaction(table) as transaction:
                    for fields in batch:
                        transaction.row(**fields)


def batches(folder: Path) -> Iterator[Rows]:
    """Yield the rows of a journal, as many at once as the follower writes."""
    with closing(Reader.at_beginning(folder)) as reader:
        while lines := reader.read(size=BATCH_BYTES):
            yield rows_of(lines)


def _applied(client: QuestDB) -> bool:
    return not any(state.waiting for state in client.states())


def journal_fields(row: JournalRow) -> _Fields:
    """Return a row of `journal` as the client takes it."""
    known = row._asdict()
    symbols = {name: known.pop(name) for name in ("stream", "agent_id", "type")}
    known["recorded"] = TimestampMicros(known["recorded"])
    return {"symbols": symbols, "at": TimestampMicros(known.pop("ts")), "columns": known}


def bar_fields(row: BarRow) -> _Fields:
    """Return a row of `bars` as the client takes it."""
    known = row._asdict()
    symbols = {name: known.pop(name) for name in ("symbol", "source")}
    return {"symbols": symbols, "at": TimestampMicros(known.pop("ts")), "columns": known}
