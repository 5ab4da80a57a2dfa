# SPDX-License-Identifier: Apache-2.0
"""The faults: what is done, on which disk, and what has to be seen of it besides the promise to all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from station.bus.redis_stream import RedisBus
from station.journal.verifier import Verdict

from tests.faults import load, reading, strikes
from tests.faults.rig import PROCESSES, QUESTDB, REDIS, Rig
from tests.faults.strikes import Moments, Strike

STALLS_S = (1, 10, 60)
LONG_S = 10
_TITLES = {load.RECORDER: "the recorder", load.FEED: "the feed", load.AGENT: "the agent"} | {
    REDIS: "Redis",
    QUESTDB: "QuestDB",
}
_WINDOW_S = 2.0  # what DESIGN promises of a power cut with appendfsync everysec


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: of one word, for commands and files.
        title: for people.
        strike: does it.
        disk: what lies on an image of its own: redis, questdb, journal or all; "" for nothing.
        size_mib: of the image.
        appendfsync: of Redis.
        window_s: what was confirmed so shortly before the power went may be lost, if the loss is noted.
        long: is not in the short run, which has minutes in all.
        see: says what else is not as it should be, after everything has ended.
    """

    name: str
    title: str
    strike: Strike
    disk: str = ""
    size_mib: int = 0
    appendfsync: str = "everysec"
    window_s: float = 0.0
    long: bool = False
    see: Callable[[Rig, random.Random, Moments], list[str]] = lambda *_: []


def _torn(rig: Rig, _: random.Random, moments: Moments) -> list[str]:
    torn = reading.journal(rig.places.journal).torn
    return [] if torn == [moments["torn_bytes"]] else [f"no note of {moments['torn_bytes']} torn bytes"]


def _refused(_: Rig, __: random.Random, moments: Moments) -> list[str]:
    return [] if moments["status"] == 2 else [f"the second recorder ended with status {moments['status']}"]


def _buried(rig: Rig, _: random.Random, __: Moments) -> list[str]:
    bus = RedisBus(rig.redis.server("journal"))
    told = {group: [letter.reason for letter in bus.dead_letters(group)] for group in (load.AGENT, "journal")}
    bus.close()
    wrong = [f"{len(found)} dead letters of {group} instead of 2" for group, found in told.items() if len(found) != 2]
    return wrong + (
        [] if any(why.startswith("failed 3 times") for why in told[load.AGENT]) else ["none after three tries"]
    )


def _anchored(_: Rig, __: random.Random, moments: Moments) -> list[str]:
    return ["a checkpoint arrived while the anchor was away"] if moments["kept_meanwhile"] else []


def _found(rig: Rig, rng: random.Random, _: Moments) -> list[str]:
    """Flip a bit, let the verifier find it, and turn it back."""
    sequence, undo = strikes.flip(rig.places.journal, rng)
    verdict: Verdict = rig.verify()
    undo()
    if verdict.ok:
        return [f"a flipped bit in record {sequence} was not found"]
    return [] if verdict.first_break == sequence else [f"record {sequence} was changed, {verdict.text()}"]


def _faults() -> Iterator[Fault]:
    for name in PROCESSES:
        yield Fault(f"kill-{name}", f"SIGKILL of {_TITLES[name]}", strikes.kill(name))
    yield Fault("kill-all", "SIGKILL of all at once, the producer too", strikes.kill(*PROCESSES, "probe"))
    for name in PROCESSES:
        for seconds in STALLS_S:
            title = f"SIGSTOP of {_TITLES[name]} for {seconds} s"
            yield Fault(f"stall-{name}-{seconds}", title, strikes.stall(name, seconds), long=seconds >= LONG_S)
    yield Fault("full-redis", "disk full under Redis, then freed", strikes.fill, disk="redis", size_mib=64)
    yield Fault(
        "full-redis-always",
        "disk full under Redis with `appendfsync always`",
        strikes.fill,
        disk="redis",
        size_mib=64,
        appendfsync="always",
    )
    yield Fault("full-journal", "disk full under the segments", strikes.fill, disk="journal", size_mib=32)
    yield Fault("full-questdb", "disk full under QuestDB", strikes.fill, disk="questdb", size_mib=1024)
    yield Fault(
        "power-everysec",
        "power cut, `appendfsync everysec`",
        strikes.cut_power,
        disk="all",
        size_mib=1536,
        window_s=_WINDOW_S,
    )
    yield Fault(
        "power-always",
        "power cut, `appendfsync always`",
        strikes.cut_power,
        disk="all",
        size_mib=1536,
        appendfsync="always",
    )
    yield Fault("torn", "torn line at the end of the segments", strikes.tear, see=_torn)
    yield Fault("flipped", "flipped bit in a segment", strikes.kill(load.RECORDER), see=_found)
    yield Fault("two-recorders", "a second recorder", strikes.second_recorder, see=_refused)
    yield Fault("poison", "messages that cannot be handled", strikes.poison, see=_buried)
    yield Fault("clock", "the wall clock of the services is set, by seconds to years", strikes.step_clock)
    yield Fault("partition", "no way between host and anchor", strikes.part, see=_anchored)


FAULTS: Sequence[Fault] = tuple(_faults())
