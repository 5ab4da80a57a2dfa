# SPDX-License-Identifier: Apache-2.0
"""Files of feeds, and a bus that the commands reach instead of a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from station.bus.memory import MemoryBus, Streams
from station.cli import data, status

from tests.unit.services.cli.cli_kit import write


@pytest.fixture
def feed_file(tmp_path: Path) -> Path:
    lines = [f"{number * 3600},1.1,1.2,1.0,1.1,0" for number in (1, 2, 3, 5)]
    (tmp_path / "bars.csv").write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    return write(
        tmp_path / "replay.yml",
        kind="feed",
        name="replay",
        stream="md:replay",
        metrics_port=9201,
        feed={
            "source": "replay",
            "symbols": ["EURUSD"],
            "interval": "1h",
            "files": [
                {
                    "path": str(tmp_path / "bars.csv"),
                    "origin": "test",
                    "stamped": "close",
                    "symbol": "EURUSD",
                    "unit": "s",
                }
            ],
        },
    )


@pytest.fixture
def live_file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "kraken.yml",
        kind="feed",
        name="kraken",
        stream="md:kraken",
        metrics_port=9202,
        feed={
            "source": "exchange",
            "exchange": "kraken",
            "symbols": ["BTC/USD"],
            "interval": "1h",
            "market_hours": "always",
        },
    )


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Streams:
    """Return what a bus holds that the commands reach instead of a server."""
    shared = Streams()
    for module in (status, data):
        monkeypatch.setattr(module, "RedisBus", lambda _: MemoryBus(shared))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("redis-journal", "redis-agents", "questdb-http"):
        (tmp_path / name).write_text("secret\n")
    return shared
