# SPDX-License-Identifier: Apache-2.0
"""The recorder as a service."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from station.config import RecorderService
from station.errors import StationError, Unavailable
from station.journal.checkpoint import Signer
from station.journal.rows import BarRow, JournalRow
from station.journal.verifier import verify
from station.runtime import recorder
from station.runtime.recorder import RecorderWork

from tests.unit.services.runtime.station_kit import Host, Moody, swing

SIGNER = Signer("station.example/journal", bytes(range(32)))


class Shelf:
    """A database that is away."""

    def __init__(self, *_: object) -> None:
        pass

    def prepare(self) -> None:
        raise Unavailable("away")

    def watermark(self) -> int:
        return 0

    def check(self) -> None:
        pass

    def write(self, journal: Sequence[JournalRow], bars: Sequence[BarRow]) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(recorder, "QuestDB", Shelf)
    monkeypatch.setattr(Moody, "away", False)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal-key").write_text(SIGNER.text())
    (tmp_path / "questdb-http").write_text("secret")
    return Host(tmp_path)


def service(host: Host, **changes: object) -> RecorderService:
    plain = {"kind": "recorder", "name": "recorder", "metrics_port": 9203, "folder": str(host.folder / "journal")}
    return RecorderService(**(plain | changes))  # type: ignore[arg-type]


def started(host: Host) -> RecorderWork:
    work = RecorderWork(service(host), host.around())
    work.start()
    return work


def test_it_records_what_is_on_the_bus_and_its_journal_verifies(host: Host) -> None:
    host.market(swing())
    work = started(host)
    assert not work.ready()
    assert work.step() == 120
    assert work.ready()
    registry = work._around.metrics.registry
    assert registry.get_sample_value("station_events_read_total") == 120
    assert registry.get_sample_value("station_journal_records") == 121
    work.finish()
    work.close()
    verdict = verify(host.folder / "journal", [SIGNER.verifier], {})
    assert (verdict.ok, verdict.checked, verdict.signed) == (True, 121, 121)


def test_while_the_bus_is_away_it_waits_and_gives_no_sign_of_life(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.market(swing(turns=1))
    work = started(host)
    work.step()
    assert work.heartbeat() == 1
    monkeypatch.setattr(Moody, "away", True)
    assert work.step() == 0
    assert work.heartbeat() == 0
    monkeypatch.setattr(Moody, "away", False)
    work.step()
    assert work.heartbeat() == 1
    work.close()


def test_a_second_recorder_refuses_to_start(host: Host) -> None:
    first = started(host)
    with pytest.raises(StationError, match="another recorder"):
        started(host)
    first.close()


def test_without_its_key_it_does_not_start(host: Host) -> None:
    (host.folder / "journal-key").unlink()
    with pytest.raises(StationError, match="journal-key"):
        started(host)


def test_what_it_signs_reaches_its_anchors(host: Host, tmp_path: Path) -> None:
    place = str(tmp_path / "anchor")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        work = RecorderWork(service(host, anchors=({"name": "oversight", "socket": place},)), host.around())
        work.start()
        host.market(swing(turns=1))
        work.step()
        channel, _ = server.accept()
        with channel, channel.makefile("rb") as asked:
            assert asked.read().startswith(b"station.example/journal/")
            channel.sendall(b"kept\n")
        server.close()
        work.close()
