# SPDX-License-Identifier: Apache-2.0
"""What is done to a station. Each returns what was drawn and seen, and returns when the fault is over."""

from __future__ import annotations

import random
import signal
import struct
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml
from station import codec
from station.events import MarketEvent

from tests.faults import load, reading
from tests.faults.disk import Disk
from tests.faults.rig import Rig
from tests.servers.process import until
from tests.servers.services import Service

Moments = Mapping[str, Any]
Strike = Callable[[Rig, random.Random], Moments]
_STEPS_S = (3600, -3600, 86_400 * 3650, -86_400 * 30, 1, -1)
_ANCHORED_S = 30.0


def kill(*names: str) -> Strike:
    """Return what ends processes as a crash does."""

    def strike(rig: Rig, _: random.Random) -> Moments:
        struck = [process for name in names if (process := rig.units[name].program.process) is not None]
        for process in struck:
            process.kill()
        for process in struck:
            process.wait()
        return {}

    return strike


def stall(name: str, seconds: float) -> Strike:
    """Return what stops a process where it stands, and lets it go on."""

    def strike(rig: Rig, _: random.Random) -> Moments:
        program = rig.units[name].program
        program.stall()
        time.sleep(seconds)
        program.resume()
        return {"starts": rig.units[name].starts}

    return strike


def fill(rig: Rig, rng: random.Random) -> Moments:
    """Fill the disk, and give the room back."""
    held = rng.uniform(2, 6)
    disk = _disk(rig)
    disk.fill()
    time.sleep(held)
    disk.free()
    return {"full_s": round(held, 3)}


def cut_power(rig: Rig, _: random.Random) -> Moments:
    """Take the power away, and boot again."""
    disk = _disk(rig)
    rig.unsupervise()
    programs = rig.programs()
    durable = int(rig.metric(load.RECORDER, "journal_records"))
    # Who was promised something stops first, so that nothing is promised after the disk's last moment.
    for program in reversed(programs):
        program.stall()
    cut_us = time.monotonic_ns() // 1000
    hashes = [digest.decode() for _, digest, _ in reading.lines(rig.places.journal)][:durable]
    disk.cut()
    for program in programs:
        program.kill()
    checked = disk.come_back()
    rig.boot()
    return {"cut_us": cut_us, "durable": hashes, "fsck": checked}


def tear(rig: Rig, rng: random.Random) -> Moments:
    """Let the recorder die in the middle of a line."""
    rig.unsupervise()
    rig.station.kill(load.RECORDER)
    newest = max(rig.places.journal.glob("*.segment"))
    *_, (sequence, digest, record) = reading.lines(rig.places.journal)
    line = b"%d\t%b\t%b" % (sequence + 1, digest, record)
    torn = line[: rng.randint(1, len(line))]
    with newest.open("ab") as file:
        file.write(torn)
    rig.station.services[load.RECORDER].launch()
    rig.supervise()
    return {"torn_bytes": len(torn)}


def second_recorder(rig: Rig, _: random.Random) -> Moments:
    """Start another recorder over the same journal; it has to refuse."""
    known = yaml.safe_load(rig.station.services[load.RECORDER].path.read_text())
    folder = rig.places.station / "second" / "services"
    folder.mkdir(parents=True)
    path = folder / "second.yml"
    path.write_text(yaml.safe_dump({**known, "metrics_port": known["metrics_port"] - 1}))
    second = Service(path, rig.places.station / "credentials")
    second.launch()
    until(lambda: not second.alive(), "the second recorder ends")
    status = second.stop()
    second.close()
    return {"status": status, "said": second.log.read_text().splitlines()[-1][-200:]}


def poison(rig: Rig, rng: random.Random) -> Moments:
    """Publish what is no event, and an event that the agent's strategy cannot bear."""
    now = time.time_ns() // 1000
    # Its difference from the average is beyond what decimals can say.
    unbearable = MarketEvent(
        agent_id="poison",
        run=now // 1000,
        sequence=2,
        timestamp=now,
        available=now,
        payload=load.bar(load.POISONED, Decimal("9E+999999")),
    )
    first = msgspec.structs.replace(
        unbearable, sequence=1, timestamp=now - 1, payload=load.bar(load.POISONED, Decimal(1))
    )
    client = rig.redis.client("admin")
    for event in (first, unbearable):
        client.xadd(load.POISON_STREAM, {"e": codec.encode(event)}, id=event.entry_id)
    client.xadd(load.POISON_STREAM, {"e": rng.randbytes(40)}, id=f"{unbearable.run}-3")
    return {}


def step_clock(rig: Rig, rng: random.Random) -> Moments:
    """Set the wall clock of the services, let them work, begin one anew, and set it back."""
    seconds = rng.choice(_STEPS_S)
    restarted = rng.choice((load.RECORDER, load.FEED, load.AGENT))
    rig.shift.write_bytes(struct.pack("=q", seconds * 1_000_000))
    time.sleep(1)
    rig.units[restarted].program.send(signal.SIGKILL)
    time.sleep(rng.uniform(2, 4))
    rig.shift.write_bytes(bytes(8))
    return {"step_s": seconds, "restarted": restarted}


def part(rig: Rig, rng: random.Random) -> Moments:
    """Cut the network between host and anchor."""
    until(rig.anchor.kept.exists, "a checkpoint is kept", _ANCHORED_S)
    rig.anchor.close()
    before = rig.anchor.kept.stat().st_size
    alarmed = until(lambda: rig.metric(load.RECORDER, "journal_anchor_trouble") == 1, "the alarm", _ANCHORED_S)
    time.sleep(rng.uniform(0, 2))
    grown = rig.anchor.kept.stat().st_size - before
    rig.anchor.open()
    late = until(lambda: rig.anchor.kept.stat().st_size > before, "a checkpoint arrives", _ANCHORED_S)
    until(lambda: rig.metric(load.RECORDER, "journal_anchor_trouble") == 0, "the alarm ends", _ANCHORED_S)
    return {"alarm_s": round(alarmed, 3), "kept_meanwhile": grown, "late_s": round(late, 3)}


def flip(journal: Path, rng: random.Random) -> tuple[int, Callable[[], None]]:
    """Flip one bit of a segment; return the record that it is in, and what undoes it."""
    path = rng.choice(sorted(journal.glob("*.segment")))
    offset, bit = rng.randrange(path.stat().st_size), 1 << rng.randrange(8)

    def turn() -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ bit]))

    before = path.read_bytes()[:offset].count(b"\n")
    turn()
    return int(path.name.split(".")[0]) + before, turn


def _disk(rig: Rig) -> Disk:
    if rig.disk is None:
        raise ValueError("this fault needs a disk of its own")
    return rig.disk
