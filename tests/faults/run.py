# SPDX-License-Identifier: Apache-2.0
"""One repetition: a fresh station, load, the fault at a seeded moment, recovery, and the count."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from station.errors import StationError, Unavailable

from fleet.paths import BUILD
from tests.faults import load, reading
from tests.faults.catalogue import Fault
from tests.faults.disk import Disk
from tests.faults.history import Promise, Repetition, count
from tests.faults.rig import Places, Rig
from tests.servers.questdb import QuestDB

FOLDER = BUILD / "faults"
# Long enough for every stream to be known to the recorder, short enough for the feed not to be at its end.
_LOAD_S = (1.5, 3.5)
_SECOND_US = 1_000_000


class Workshop:
    """Where repetitions are made; they share one QuestDB where the fault is not about its disk."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.root = Path(tempfile.mkdtemp(prefix="station-"))
        self._shared: QuestDB | None = None

    def repeat(self, fault: Fault, number: int) -> Repetition:
        """Make one repetition."""
        rng = random.Random(f"{self._seed}/{fault.name}/{number}")  # noqa: S311 - to be repeated, not to be secret
        with self._rig(fault) as rig:
            try:
                rig.start()
                found = _strike(rig, fault, number, self._seed, rng)
            except (OSError, RuntimeError, StationError, Unavailable, subprocess.TimeoutExpired) as error:
                found = Repetition(
                    fault.name, number, self._seed, {}, {}, None, "", [f"{type(error).__name__}: {error}"]
                )
            if not found.passed:
                _keep(
                    [*rig.logs(), *rig.places.journal.glob("*.segment")],
                    FOLDER / "failed" / f"{fault.name}-{self._seed}-{number}",
                )
            return found

    def close(self) -> None:
        """End what is shared, and remove everything."""
        if self._shared is not None:
            self._shared.stop()
        shutil.rmtree(self.root)

    @contextmanager
    def _rig(self, fault: Fault) -> Iterator[Rig]:
        root = self.root / "r"
        root.mkdir()
        disk = Disk(root / "disk", fault.size_mib) if fault.disk else None
        home = dict.fromkeys(("redis", "questdb", "journal", "station"), root)
        if disk is not None:
            home |= {name: disk.path for name in home if fault.disk in {name, "all"}}
        places = Places(**{name: folder / name for name, folder in home.items()})
        own = home["questdb"] != root
        rig = Rig(root, places, self._questdb(places.questdb if own else None), fault.appendfsync, disk)
        try:
            yield rig
        finally:
            rig.close()
            if own:
                rig.questdb.kill()
            if disk is not None:
                disk.unmount()
            shutil.rmtree(root)

    def _questdb(self, folder: Path | None) -> QuestDB:
        if folder is not None:
            folder.mkdir()
            return QuestDB(folder)
        if self._shared is None:
            shared = self.root / "questdb"
            shared.mkdir()
            self._shared = QuestDB(shared)
        return self._shared


def _verified(rig: Rig) -> tuple[str, list[str]]:
    """Return what the verifier says, and what of it is a problem."""
    try:
        verdict = rig.verify()
    except StationError as error:
        return str(error), [str(error)]
    if verdict.ok and verdict.stored != verdict.checked:
        return verdict.text(), [f"QuestDB has {verdict.stored} of {verdict.checked} records"]
    return verdict.text(), [] if verdict.ok else [verdict.text()]


def _keep(files: Sequence[Path], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)


def _strike(rig: Rig, fault: Fault, number: int, seed: int, rng: random.Random) -> Repetition:
    began = time.monotonic()
    after_s = rng.uniform(*_LOAD_S)
    time.sleep(after_s)
    moments = dict(fault.strike(rig, rng))
    ended = time.monotonic()
    recovery = rig.recover(ended)
    problems = [] if recovery is not None else ["no new event is stored"]
    problems += rig.finish()
    promise = Promise(
        tried=rig.probe.notes.tried,
        bars=load.closes(),
        strengths=load.strengths(),
        durable=moments.pop("durable", []),
        window_us=int(fault.window_s * _SECOND_US),
        cut_us=moments.pop("cut_us", 0),
    )
    journal = reading.journal(rig.places.journal)
    counted = count(promise, journal)
    said, altered = _verified(rig)
    problems += counted.problems() + altered + fault.see(rig, rng, moments)
    counts = {
        "acknowledged": counted.acknowledged,
        "in_doubt": len(promise.tried) - counted.acknowledged,
        "records": len(journal.hashes),
        "durable": len(promise.durable),
        "lost": len(counted.lost),
        "in_window": counted.in_window,
        "unnoticed": len(counted.unnoticed),
        "repeated": counted.repeated,
        "phantom": len(counted.phantom),
        "duplicates": len(counted.duplicates),
        "gaps": len(journal.gaps),
    }
    at = {"after_s": round(after_s, 3), "fault_s": round(ended - began - after_s, 3), **moments}
    recovered = None if recovery is None else round(recovery, 3)
    return Repetition(fault.name, number, seed, at, counts, recovered, said, problems)
