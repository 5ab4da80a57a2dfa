# SPDX-License-Identifier: Apache-2.0
"""`station data`: bars in files, at vendors and in QuestDB. A feed's own file says which bars, and where they are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

from station import config
from station.bus.producer import Producer
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.cli.questdb import access, add_access
from station.cli.words import Verbs, credentials, group, verb
from station.clock import SystemClock
from station.config import FeedService
from station.config.feeds import ExchangeFeed, LiveFeed, ReplayFeed, TiingoFeed
from station.errors import StationError
from station.feeds import data, intervals, reading
from station.feeds.credentials import read_token
from station.feeds.data import BusSink
from station.feeds.port import ClosedBar, Feed, Finding
from station.feeds.quality import Inspector
from station.feeds.questdb import Series, Table, basic, client
from station.feeds.report import Gaps
from station.feeds.sessions import Sessions
from station.retry import Patience

# What is loaded by hand has a stream of its own, because each stream has one writer, and no agent trades on it.
NAME = "history"
STREAM = f"md:{NAME}"
STATE = Path("/var/lib/station/history")
_CLOCK = SystemClock()


def add(verbs: Verbs) -> None:
    """Add the commands."""
    own = group(verbs, "data", "check and load bars, find gaps and fill them; each takes the file of a feed")
    check = verb(own, "check", "say what is odd about the bars of a feed", _check, "exit status 1: something is")
    load = verb(own, "load", f"publish the bars of a feed that QuestDB lacks, on {STREAM}", _load)
    gaps = verb(own, "gaps", "say which bars of a feed QuestDB lacks", _gaps, "exit status 1: some")
    fill = verb(
        own,
        "backfill",
        "publish what QuestDB lacks, from the vendor",
        _backfill,
        "exit status 1: some are still missing",
    )
    for made in (check, load, gaps, fill):
        made.add_argument("file", type=Path, metavar="FILE", help="of the feed, as `station run` takes it")
        made.add_argument("--start", metavar="TIME", help="bars that close after it, such as 2025-11-21")
        made.add_argument("--end", metavar="TIME", help="and not after this (now)")
    for made in (load, gaps, fill):
        add_access(made)
    for made in (load, fill):
        made.add_argument("--state", type=Path, default=STATE, metavar="FOLDER", help=f"of the producer ({STATE})")


def _check(arguments: argparse.Namespace) -> int:
    service = _feed_service(arguments.file)
    feed = _feed(service)
    found = data.check(_bars(feed, _span(arguments, service)), feed.interval, _sessions(service))
    sys.stdout.write(f"{found}\n")
    return int(not found.clean)


def _load(arguments: argparse.Namespace) -> int:
    service = _feed_service(arguments.file)
    feed, table = _feed(service), _table(arguments)
    missing = _Missing(table, feed.interval)
    with _sink(service, arguments.state) as sink:
        bars = filter(missing, _bars(feed, _span(arguments, service)))
        sys.stdout.write(f"{data.load(bars, sink, Inspector(feed.interval, _sessions(service)))}\n")
    return 0


def _gaps(arguments: argparse.Namespace) -> int:
    found = _find(arguments, _feed_service(arguments.file))
    sys.stdout.write(f"{found}\n")
    return int(bool(found.gaps))


def _backfill(arguments: argparse.Namespace) -> int:
    service = _feed_service(arguments.file)
    found = _find(arguments, service)
    with _sink(service, arguments.state) as sink:
        filled = data.backfill(_feed(service), found.gaps, sink, _known_sessions(service))
    sys.stdout.write(f"{filled}\n")
    return int(bool(filled.left or filled.stopped))


class _Missing:
    """Says which bars QuestDB lacks; asked once a symbol and origin."""

    def __init__(self, table: Table, interval: int) -> None:
        self._table, self._interval = table, interval
        self._there: dict[tuple[str, str], frozenset[int]] = {}

    def __call__(self, bar: ClosedBar) -> bool:
        key = (bar.symbol, bar.bar.source)
        if key not in self._there:
            series = Series(*key, self._interval)
            self._there[key] = frozenset(self._table.closes(series, 0, _CLOCK.now()))
        return bar.closed_at not in self._there[key]


def _find(arguments: argparse.Namespace, service: FeedService) -> Gaps:
    sessions, span = _known_sessions(service), _span(arguments, service)
    table, interval = _table(arguments), intervals.parse(service.feed.interval)
    closes = {
        symbol: table.closes(Series(symbol, _origin(service), interval), *span) for symbol in service.feed.symbols
    }
    return data.gaps(closes, span, interval, sessions)


def _feed_service(file: Path) -> FeedService:
    service = config.load(file)
    if not isinstance(service, FeedService):
        raise StationError(f"{file}: is the file of {service.kind} {service.name}; name that of a feed")
    return service


def _feed(service: FeedService) -> Feed:
    # Late: the vendors' clients are slow to import, and half of the commands need none.
    from station.feeds.rest import COMMAND  # noqa: PLC0415 - as below
    from station.runtime import sources  # noqa: PLC0415

    options = service.feed
    if isinstance(options, ReplayFeed):
        folder = credentials(options.table.password_file) if options.table else Path()
        return sources.replay(service.name, options, {}, folder, _CLOCK)
    folder = credentials(options.token_file) if isinstance(options, TiingoFeed) else Path()
    return sources.live(options, folder, _CLOCK, _notice, COMMAND)


def _bars(feed: Feed, span: tuple[int, int]) -> Iterator[ClosedBar]:
    for symbol in feed.symbols:
        yield from feed.history(symbol, *span)


def _span(arguments: argparse.Namespace, service: FeedService) -> tuple[int, int]:
    start = arguments.start
    if start is None and isinstance(service.feed, LiveFeed):
        raise StationError("--start is missing: a vendor has more history than anybody wants")
    end = _CLOCK.now() if arguments.end is None else _moment("--end", arguments.end)
    return 0 if start is None else _moment("--start", start), end


def _moment(option: str, text: str) -> int:
    try:
        return reading.micros(text)
    except ValueError:
        raise StationError(f'{option} "{text}": write a time such as 2025-11-21 or 2025-11-21T14:30Z') from None


def _sessions(service: FeedService) -> Sessions | None:
    from station.runtime import sources  # noqa: PLC0415 - as above

    return sources.sessions_of(service.feed) if isinstance(service.feed, LiveFeed) else None


def _known_sessions(service: FeedService) -> Sessions:
    sessions = _sessions(service)
    if sessions is None:
        raise StationError(
            f"{service.name}: nobody knows which bars are due; "
            "it takes a feed whose market_hours is always or names a market"
        )
    return sessions


def _origin(service: FeedService) -> str:
    options = service.feed
    if isinstance(options, ExchangeFeed):
        return options.exchange
    if isinstance(options, TiingoFeed):
        return f"tiingo-{options.market}"
    raise StationError(f"{service.name}: a replay has no vendor; name a feed of one")


def _table(arguments: argparse.Namespace) -> Table:
    wanted = access(arguments)
    return Table(client(f"http://{wanted.host}:{wanted.port}", basic(wanted.user, wanted.password), _CLOCK))


@contextmanager
def _sink(service: FeedService, state: Path) -> Iterator[BusSink]:
    state.mkdir(parents=True, exist_ok=True)
    redis = service.redis
    password = read_token(credentials(redis.password_file) / redis.password_file)
    patience = Patience(_CLOCK, Event().is_set)
    with (
        closing(RedisBus(Server(Path(redis.socket), redis.user, password))) as bus,
        closing(Producer(bus, STREAM, NAME, patience, state / "producer")) as producer,
    ):
        producer.start()
        yield BusSink(producer, _CLOCK)


def _notice(finding: Finding) -> None:
    sys.stderr.write(f"{finding.symbol}: {finding.kind}: {finding.detail}\n")
