# SPDX-License-Identifier: Apache-2.0
"""A station to be hurt: real Redis, real QuestDB, recorder, feed, agent and probe, kept running as systemd would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import yaml
from station.bus.redis_stream import RedisBus
from station.bus.state_file import BOOT
from station.errors import StationError, Unavailable
from station.journal.questdb import QuestDB as Store
from station.journal.verifier import Verdict, verify

from fleet.paths import PROJECT
from tests.faults import load
from tests.faults.anchor import AnchorHost
from tests.faults.disk import Disk
from tests.faults.probe import NAME, Notes, read
from tests.faults.probe import STREAM as PROBED
from tests.servers import redis, supervisor
from tests.servers.process import Process, until
from tests.servers.questdb import QuestDB
from tests.servers.redis import Redis
from tests.servers.services import Station
from tests.servers.supervisor import Supervisor, Unit

T = TypeVar("T")
REDIS, QUESTDB = "redis", "questdb"
PROCESSES = (REDIS, QUESTDB, load.RECORDER, load.FEED, load.AGENT)
PATIENCE_S = 120.0
_SHIFT = Path(__file__).parent / "clock_shift"
_REDIS_BUS = PROJECT / "roles" / "redis" / "files" / "redis-bus.sh"
_MIB = 1 << 20
_REDIS_ROOM_MIB = 8  # of the small disks here; on a host redis_min_free_mib


@dataclass
class Probe(Process):
    """The producer that notes what was confirmed."""

    redis: Redis
    folder: Path
    notes_path: Path
    environment: Mapping[str, str]

    @property
    def log(self) -> Path:
        """Return the file of what it says."""
        return self.notes_path.with_suffix(".log")

    @property
    def notes(self) -> Notes:
        """Return what it has noted."""
        return read(self.notes_path)

    def launch(self) -> None:
        """Start the program without waiting for anything."""
        words = [str(self.redis.socket), str(self.folder / "producer"), str(self.notes_path)]
        self._spawn([sys.executable, "-m", "tests.faults.probe", *words], {**os.environ, **self.environment})

    def answers(self) -> bool:
        """Say whether anything was confirmed."""
        return bool(self.notes.confirmed)


@dataclass(frozen=True)
class Places:
    """Where the parts of a station keep their data."""

    redis: Path
    questdb: Path
    journal: Path
    station: Path


class Rig:
    """One station, for one repetition.

    Attributes:
        units: what the supervisor looks after, by name.
        anchor: the other host.
        disk: the image that a part of it lies on, if the fault needs one.
        shift: the file whose content is added to the services' wall clock.
    """

    def __init__(self, root: Path, places: Places, questdb: QuestDB, appendfsync: str, disk: Disk | None) -> None:
        self.places, self.questdb, self.disk = places, questdb, disk
        for place in (places.redis, places.station):
            place.mkdir()
        self.redis = Redis(places.redis, redis.access(), appendfsync=appendfsync)
        self.anchor = AnchorHost(root / "anchor", load.SIGNER.verifier)
        wanted = load.services(places.station, places.journal, questdb.http, self.anchor.socket)
        self.shift = root / "shift"
        self.shift.write_bytes(bytes(8))
        # One mapping for all: what is started after a power cut is told of another boot.
        self._environment = environment = {
            "PYTHONPATH": str(_SHIFT),
            "FAULTS_CLOCK_SHIFT": str(self.shift),
            BOOT: "1",
        }
        self.station = Station(places.station, self.redis.socket, wanted, load.SIGNER.text(), environment)
        (places.station / NAME).mkdir()
        self.probe = Probe(self.redis, places.station / NAME, root / "notes", environment)
        self.units = {
            REDIS: Unit(self.redis, supervisor.REDIS, self._may_start),
            QUESTDB: Unit(questdb, supervisor.QUESTDB),
            **{name: Unit(service, supervisor.SERVICE) for name, service in self.station.services.items()},
            NAME: Unit(self.probe, supervisor.SERVICE),
        }
        self._supervisor: Supervisor | None = None

    def start(self) -> None:
        """Start everything and wait until events flow."""
        self.anchor.open()
        self.redis.start()
        if self.questdb.process is None:
            self.questdb.start()
        self._forget_tables()
        if self.disk is not None:
            self.disk.settle()
        for service in self.station.services.values():
            service.launch()
        for name, service in self.station.services.items():
            until(service.answers, f"{name} is ready", alive=service.alive)
        self.probe.start()
        self.supervise()

    def boot(self) -> None:
        """Start everything as a host does when it gets power again, and look after it."""
        self._environment[BOOT] = str(int(self._environment[BOOT]) + 1)
        for unit in self.units.values():
            unit.before()
            unit.program.launch()
        self.supervise()

    def supervise(self) -> None:
        """Start again what dies, from now on."""
        self._supervisor = Supervisor(self.units)
        self._supervisor.__enter__()

    def unsupervise(self) -> None:
        """Let everything be as it is, from now on."""
        if self._supervisor is not None:
            self._supervisor.__exit__()
            self._supervisor = None

    def programs(self) -> list[Process]:
        """Return all programs, in the order in which a host starts them."""
        return [unit.program for unit in self.units.values()]

    def recover(self, ended: float) -> float | None:
        """Wait until all works and an event that was tried after the fault is in QuestDB; return the seconds since.

        Args:
            ended: when the fault ended, seconds of the monotonic clock.
        """
        with suppress(TimeoutError):
            until(self._works, "every service is ready", PATIENCE_S, self._hopeful)
            until(lambda: self._is_stored(int(ended * 1e6)), "an event is stored", PATIENCE_S, self._hopeful)
            return time.monotonic() - ended
        return None

    def finish(self) -> list[str]:
        """Let the load end, drain, and stop; return what did not go as it should."""
        troubles: list[str] = []

        def step(what: str, do: Callable[[], T], instead: T) -> T:
            try:
                return do()
            except (TimeoutError, StationError, Unavailable) as error:
                troubles.append(f"{what}: {error}")
                return instead

        step("feed", lambda: until(self._played, "all bars are stored", PATIENCE_S, self._hopeful), 0.0)
        statuses = {NAME: self.probe.stop()}
        for name, group in ((load.FEED, load.AGENT), (load.AGENT, "journal")):
            done = partial(self._drained, group)
            step("drain", lambda done=done: until(done, "everything is acknowledged", PATIENCE_S, self._hopeful), 0.0)  # type: ignore[misc]
            statuses[name] = self.station.end(name)
        # What the agent said at its end.
        step("drain", lambda: until(done, "everything is acknowledged", PATIENCE_S, self._hopeful), 0.0)
        statuses[load.RECORDER] = self.station.end(load.RECORDER)
        self.unsupervise()
        troubles += [f"{name} stays down: {unit.failed}" for name, unit in self.units.items() if unit.failed]
        troubles += [f"{name} ended with status {status}" for name, status in statuses.items() if status]
        nothing: list[str] = []
        return troubles + [f"table {table} is suspended" for table in step("tables", self._suspended, nothing)]

    def verify(self) -> Verdict:
        """Compare segments, checkpoints, the anchor's copy and QuestDB."""
        with closing(Store(self.questdb.server())) as store:
            anchors = {"oversight": self.anchor.kept}
            return verify(self.places.journal, [load.SIGNER.verifier], anchors, store)

    def metric(self, name: str, figure: str) -> float:
        """Return a figure that a service tells Prometheus.

        Raises:
            OSError: it does not answer.
        """
        port = yaml.safe_load(self.station.services[name].path.read_text())["metrics_port"]
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"station_{figure} ")))

    def logs(self) -> list[Path]:
        """Return the files of what all of them said."""
        return [program.log for program in self.programs() if program.log.exists()]

    def close(self) -> None:
        """End everything but QuestDB, which others may need, and which may be stopped."""
        self.unsupervise()
        self.questdb.resume()
        self.station.close()
        self.probe.kill()
        self.redis.kill()
        self.anchor.close()

    def _may_start(self) -> bool:
        """Do what the unit of Redis does before each start."""
        words = ["sh", str(_REDIS_BUS), "cut-zeros", str(self.places.redis)]
        subprocess.run(words, stderr=subprocess.DEVNULL, check=False)
        free = os.statvfs(self.places.redis)
        return free.f_bavail * free.f_frsize >= _REDIS_ROOM_MIB * _MIB

    def _works(self) -> bool:
        settled = all(unit.settled for unit in self.units.values())
        return settled and all(service.alive() and service.answers() for service in self.station.services.values())

    def _hopeful(self) -> bool:
        return not any(unit.failed for unit in self.units.values())

    def _forget_tables(self) -> None:
        for table in ("journal", "bars"):
            self.questdb.query(f"DROP TABLE IF EXISTS {table}")

    def _is_stored(self, since_us: int) -> bool:
        later = [event.entry for event in self.probe.notes.confirmed.values() if event.at_us > since_us]
        if not later:
            return False
        # An entry's id stands at the beginning of its record.
        sql = f"SELECT count() FROM journal WHERE stream = '{PROBED}' AND record LIKE '{{\"entry\":\"{later[0]}\"%'"  # noqa: S608
        with suppress(Unavailable):
            return bool(self.questdb.query(sql)[0][0])
        return False

    def _played(self) -> bool:
        with suppress(Unavailable):
            return int(self.questdb.query("SELECT count() FROM bars WHERE source = 'test'")[0][0]) >= load.BARS
        return False

    def _drained(self, group: str) -> bool:
        with closing(RedisBus(self.redis.server("journal"))) as bus, suppress(Unavailable):
            states = [state for stream in bus.streams() for state in bus.groups(stream)]
            waiting = [state for state in states if state.group == group and (state.lag or state.pending)]
            return bool(states) and not waiting
        return False

    def _suspended(self) -> list[str]:
        rows: list[list[Any]] = self.questdb.query("SELECT name FROM wal_tables() WHERE suspended")
        return [row[0] for row in rows]
