# SPDX-License-Identifier: Apache-2.0
"""The recorder over a real Redis, as the role's user for it: what Redis loses is in the journal, or noted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.errors import Unavailable
from station.journal.recorder import Limits
from station.journal.verifier import verify

from tests.servers.redis import access
from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import RUN, SIGNER, STREAM, Station


@pytest.fixture
def redis(new_redis: Callable[..., Any]) -> Any:
    """Return a server with the users of the role."""
    return new_redis(*access())


@pytest.fixture
def station(redis: Any, tmp_path: Path) -> Station:
    limits = Limits(batch=100, keep=50)
    return Station(tmp_path, limits=limits, connect=lambda user: RedisBus(Server(redis.socket, user, user)))


def again(do: Callable[[], None]) -> None:
    """Do something whose first try finds that the connection broke."""
    with suppress(Unavailable):
        do()
        return
    do()


def clean(station: Station) -> bool:
    return verify(station.folder, [SIGNER.verifier], {}, station.store, station.clock).ok


def test_everything_is_recorded_acknowledged_and_trimmed(station):
    station.publish(kit.started(), *kit.bars(2, 400))
    station.publish_bytes(f"{RUN}-401", b"bought the dip")
    station.turn()
    station.clock.sleep(20)
    station.turn()
    assert station.recorded() == [f"{RUN}-{sequence}" for sequence in range(1, 401)]
    assert station.pending() == 0
    assert [letter.entry.data for letter in station.bus.dead_letters("journal")] == [b"bought the dip"]
    assert len(station.bus.read(STREAM, "0-0", 1000)) == 51  # the dead one is newer than what is stored
    assert clean(station)


def test_a_redis_that_was_killed_gives_again_what_was_not_acknowledged(station, redis):
    station.store.away = True
    station.publish(kit.started(), *kit.bars(2, 50))
    station.clock.sleep(1)
    station.recorder.step()
    redis.kill()
    with pytest.raises(Unavailable):
        station.recorder.step()
    redis.start()
    station.store.away = False
    again(station.turn)
    assert station.recorder.counts.acknowledged == 50
    assert station.recorded() == [f"{RUN}-{sequence}" for sequence in range(1, 51)]
    assert station.pending() == 0
    assert clean(station)


def test_what_redis_forgot_after_it_was_recorded_is_no_gap(station, redis):
    station.publish(kit.started(), *kit.bars(2, 20))
    station.turn()

    def record_more() -> None:
        station.publish(*kit.bars(21, 40))
        station.turn()

    redis.forget(record_more)
    redis.start()
    again(lambda: station.publish(kit.started(RUN + 1, previous=(RUN, 40)), *kit.bars(2, 5, RUN + 1)))
    again(station.turn)
    assert station.notes("gap") == []
    assert len(station.recorded()) == 45
    assert station.pending() == 0


def test_what_redis_forgot_before_it_was_recorded_is_a_gap(station, redis):
    station.publish(kit.started(), *kit.bars(2, 20))
    station.turn()
    redis.forget(lambda: station.publish(*kit.bars(21, 40)))
    redis.start()
    # The producer died too: otherwise it would publish again what was confirmed.
    station.producer = station.connect("agents")
    station.publish(kit.started(RUN + 1, previous=(RUN, 40)), *kit.bars(2, 5, RUN + 1))
    again(station.turn)
    assert station.notes("gap") == [{"stream": STREAM, "run": str(RUN), "first": "21", "last": "40"}]
    assert len(station.recorded()) == 25
    assert clean(station)
