# SPDX-License-Identifier: Apache-2.0
"""What must fit together between the services of one host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from station.config.agents import AgentService
from station.config.document import Document
from station.config.feeds import FeedService
from station.config.messages import Fault, nearest
from station.config.services import AnyService

Loaded = Sequence[tuple[Document, AnyService]]
# What only one service of a host may have, and why.
_SINGLE = {
    "name": "a service has one name",
    "stream": "a stream has one writer",
    "metrics_port": "a port has one listener",
    "state_folder": "a folder has one owner",
}


def between(services: Loaded) -> Iterator[Fault]:
    """Yield a fault for each two services that cannot run side by side, and for each thing that nobody gives."""
    for key, rule in _SINGLE.items():
        yield from _shared(services, key, rule)
    yield from _unwritten(services)
    yield from _unsent(services)


def _shared(services: Loaded, key: str, rule: str) -> Iterator[Fault]:
    owners: dict[object, str] = {}
    for document, service in services:
        value = getattr(service, key)
        first = owners.setdefault(value, document.place((key,)))
        if first != document.place((key,)):
            yield Fault(document, (key,), f"{value} is taken by {first}; {rule}; choose another")


def _unwritten(services: Loaded) -> Iterator[Fault]:
    written = sorted({service.stream for _, service in services})
    for document, service in services:
        if isinstance(service, AgentService):
            for number, stream in enumerate(service.reads):
                if stream not in written:
                    yield Fault(document, ("reads", number), f"no service writes {stream}; {nearest(stream, written)}")


def _unsent(services: Loaded) -> Iterator[Fault]:
    sent: dict[str, set[str]] = defaultdict(set)
    for _, service in services:
        if isinstance(service, FeedService):
            sent[service.stream].update(service.feed.symbols)
    for document, service in services:
        # Only where every stream is a feed's can it be known what comes.
        if isinstance(service, AgentService) and sent.keys() >= set(service.reads):
            known = sorted(set().union(*(sent[stream] for stream in service.reads)))
            for number, symbol in enumerate(service.symbols):
                if symbol not in known:
                    words = f"none of {', '.join(service.reads)} sends {symbol}; {nearest(symbol, known)}"
                    yield Fault(document, ("symbols", number), words)
