# SPDX-License-Identifier: Apache-2.0
"""Redis, QuestDB and the recorder as processes, a steady stream through them, and the recorder's way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from station.bus import ids
from station.bus.port import Bus
from station.bus.producer import Producer
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.clock import SystemClock
from station.journal.recorder import GROUP
from station.journal.verifier import verify
from station.retry import Patience

from fleet.errors import UserError
from tests.performance.bus import chain, events, flow
from tests.performance.bus.children import Child, busy_s, usage
from tests.performance.bus.events import STREAM, Say
from tests.performance.bus.flow import Run, Sample
from tests.servers.process import until
from tests.servers.questdb import QuestDB
from tests.servers.redis import Redis
from tests.servers.services import Service
from tools import report

RECOVERY = report.Goal(below=10)
RECOVERIES = 3
_WHILE_KILLED = 1000  # events/s that go on meanwhile
_WORK_S = 3.0  # between two kills
_TURN_S = 0.01  # between two batches of the producer
_MOST = 1000  # events of a batch
_START_S = 60.0
_SAMPLE_S = 1.0
_SAY_S = 10.0
_DRAIN_S = 600.0
_SEARCH_S = 60.0  # how long a lower rate is tried


@dataclass(frozen=True)
class Wanted:
    """How much is measured.

    Attributes:
        rate: events a second.
        seconds: that the stream lasts.
        behind: events that the recorder has behind it when it is killed.
    """

    rate: float
    seconds: float
    behind: int


def produce(bench: Connection, server: Server, folder: Path, rate: float) -> int:
    """Publish at a rate until told to stop, and return how many events that were, the word of its start among them.

    Args:
        bench: says when.
        server: of the bus.
        folder: for the producer's state.
        rate: events a second; what is late is made up for.
    """
    bus = RedisBus(server)
    producer = Producer(bus, STREAM, "bench", Patience(SystemClock(), lambda: True), folder / "producer.state")
    producer.start()
    bench.send("ready")
    sent, began = 0, time.monotonic()
    while not bench.poll():
        due = min(int((time.monotonic() - began) * rate) - sent, _MOST)
        if due > 0:
            # Each a microsecond after the other: QuestDB keeps one bar of a symbol and a time.
            now = time.time_ns() // 1000 - due
            producer.publish([events.bar(sent + one, now + one) for one in range(due)])
            sent += due
        if due < _MOST:
            time.sleep(_TURN_S)
    producer.close()
    bus.close()
    return 1 + sent


class Spine:
    """Redis, QuestDB and the recorder at work, as processes, and one look at how far events have come.

    Attributes:
        recorder: the service.
        published: events of all producers so far.
    """

    def __init__(self, bus: Bus, redis: Redis, questdb: QuestDB, recorder: Service, folder: Path) -> None:
        """Set it up.

        Args:
            bus: a connection that may look at it.
            redis: with the role's users; runs.
            questdb: runs.
            recorder: writes to both; runs.
            folder: for the producers' state.
        """
        self.recorder, self.published = recorder, 0
        self._bus, self._redis, self._questdb, self._folder = bus, redis, questdb, folder

    def run(self, rate: float, seconds: float, say: Say) -> Run:
        """Let a producer publish for a time, look on, and wait until everything is stored.

        Args:
            rate: events a second.
            seconds: how long.
            say: tells how far it is.

        Raises:
            UserError: the producer ended.
        """
        with self.publishing(rate) as producer:
            pids = {"producer": producer.pid, **self._pids()}
            samples, usages = [self.look(0.0)], [{name: usage(pid) for name, pid in pids.items()}]
            busy, began = busy_s(), time.monotonic()
            said = began
            while (elapsed := time.monotonic() - began) < seconds:
                time.sleep(min(_SAMPLE_S, seconds - elapsed))
                samples.append(self.look(time.monotonic() - began))
                usages.append({name: usage(pid) for name, pid in pids.items()})
                if time.monotonic() - said >= _SAY_S:
                    said = time.monotonic()
                    say(flow.line(rate, samples, usages))
            busy = busy_s() - busy
        self.drain(say)
        last, published = samples[-1], flow.rate_of(samples)
        costs = flow.costs(usages, last.at_s)
        others = max(0.0, busy / last.at_s - sum(cost.cpu for cost in costs.values()))
        return Run(rate, published, last.unread, last.unstored, flow.growth(samples), costs, others)

    def search(self, lacking: Run, seconds: float, say: Say) -> Run:
        """Return a run at the greatest rate found that holds, below one that does not.

        Args:
            lacking: the run that does not hold.
            seconds: how long each try is.
            say: tells how far it is.
        """
        rate = lacking.taken
        while not lacking.holds and rate > _WHILE_KILLED:
            rate *= 0.95
            say(f"that does not hold; trying {rate:,.0f} events/s for {seconds:.0f} s")
            lacking = self.run(rate, seconds, say)
            rate = min(rate, lacking.taken)
        return lacking

    def fill(self, number: int, rate: float, say: Say) -> None:
        """Publish until there are so many events, and wait until they are stored."""
        seconds = (number - self.published) / rate
        if seconds > 0:
            say(f"publishing up to {number:,} events, {seconds:.0f} s")
            self.run(rate, seconds, say)

    def recoveries(self, times: int, say: Say) -> list[float]:
        """Kill the recorder at work, and return the seconds from each next start until it is ready."""
        seconds = []
        with self.publishing(_WHILE_KILLED):
            for turn in range(1, times + 1):
                time.sleep(_WORK_S)
                self.recorder.kill()
                began = time.monotonic()
                self.recorder.start()
                seconds.append(time.monotonic() - began)
                say(f"recorder ready after SIGKILL {turn} of {times}: {seconds[-1]:.2f} s")
        self.drain(say)
        return seconds

    def drain(self, say: Say) -> None:
        """Wait until everything that was published is in QuestDB."""
        said = time.monotonic()

        def empty() -> bool:
            nonlocal said
            behind = self.look(0.0).behind
            if time.monotonic() - said >= _SAY_S:
                said = time.monotonic()
                say(f"{behind:,} events are still on their way")
            return behind == 0

        until(empty, "the last events reach QuestDB", _DRAIN_S)

    def check(self, journal: Path) -> int:
        """Return how many records the journal has, once it is sure that every event is there and in QuestDB.

        Raises:
            UserError: one is not.
        """
        verdict = verify(journal, [chain.SIGNER.verifier], {})
        if not verdict.ok:
            raise UserError(f"no figures: the journal is {verdict.text()}")
        stored = self._questdb.query("SELECT count() FROM journal WHERE type <> 'JournalEvent'")[0][0]
        if stored != self.published:
            raise UserError(f"no figures: {self.published:,} events were published, QuestDB has {stored:,}")
        return verdict.checked

    @contextmanager
    def publishing(self, rate: float) -> Iterator[Child]:
        """Yield a producer that publishes, and count what it did."""
        with Child(produce, self._redis.server("agents"), self._folder, rate) as producer:
            producer.hear(_START_S)
            yield producer
            producer.tell("stop")
            self.published += producer.hear(_START_S)

    def look(self, at_s: float) -> Sample:
        """Return how it stands."""
        self.recorder.hear()  # or it would wait until somebody does
        state = next((state for state in self._bus.groups(STREAM) if state.group == GROUP), None)
        if state is None:
            return Sample(at_s, 0, 0, 0)
        head, delivered = ids.parse(state.head), ids.parse(state.delivered)
        # One producer: its ids have no holes, and a new run begins after the one before was drained.
        unread = head[1] - (delivered[1] if delivered[0] == head[0] else 0)
        return Sample(at_s, head[1], unread, state.pending)

    def _pids(self) -> dict[str, int]:
        programs = {"Redis": self._redis, "recorder": self.recorder, "QuestDB": self._questdb}
        return {name: program.process.pid for name, program in programs.items() if program.process is not None}


def measure(spine: Spine, journal: Path, wanted: Wanted, say: Say) -> list[report.Row]:
    """Return the rows.

    Args:
        spine: what runs.
        journal: the folder of the recorder's segments.
        wanted: how much.
        say: tells how far it is.
    """
    say(f"{wanted.rate:,.0f} events/s through bus, chain and QuestDB for {wanted.seconds:.0f} s ...")
    run = spine.run(wanted.rate, wanted.seconds, say)
    holding = spine.search(run, min(_SEARCH_S, wanted.seconds), say)
    spine.fill(wanted.behind, holding.taken, say)
    seconds = spine.recoveries(RECOVERIES, say)
    say("verifying what was written ...")
    number = spine.check(journal)
    name = f"recorder ready after SIGKILL, {number:,} records behind it"
    return [
        *flow.rows(wanted.seconds, run, holding),
        report.row(f"{name}, median of {RECOVERIES}", median(seconds), "s", goal=RECOVERY),
        report.row(f"{name}, slowest", max(seconds), "s", goal=RECOVERY),
    ]
