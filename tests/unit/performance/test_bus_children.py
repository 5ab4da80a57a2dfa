# SPDX-License-Identifier: Apache-2.0
"""Processes of a bench: they answer, or the bench says so, and none outlives it."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from fleet.errors import UserError
from tests.performance.bus.children import Child, Usage, busy_s, usage

PATIENCE_S = 60


def end_early(_bench: Connection) -> None:
    raise SystemExit(3)


def sleep(_bench: Connection) -> None:
    time.sleep(10 * PATIENCE_S)


def test_one_that_ends_early_is_an_error_of_one_line():
    with Child(end_early) as child, pytest.raises(UserError, match="end_early ended early"):
        child.hear(PATIENCE_S)


def test_one_that_says_nothing_is_not_waited_for_and_is_gone_afterwards():
    with Child(sleep) as child:
        with pytest.raises(UserError, match="sleep says nothing for 0 s"):
            child.hear(0.01)
        assert Path(f"/proc/{child.pid}").exists()
    assert not Path(f"/proc/{child.pid}").exists()


def test_usage_is_read_whatever_the_program_is_called(tmp_path: Path):
    folder = tmp_path / "7"
    folder.mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    (folder / "stat").write_text(f"7 (a ) b) S 1 7 7 0 -1 0 0 0 0 0 {3 * ticks} {2 * ticks} 0 0 20 0 1 0 5\n")
    (folder / "status").write_text("Name:\ta ) b\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\nThreads:\t1\n")
    assert usage(7, tmp_path) == Usage(cpu_s=5.0, rss=2 << 20, anonymous=1 << 20)


def test_waiting_is_not_being_busy(tmp_path: Path):
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = (1, 2, 3, 1000, 1000, 4, 5, 6, 0, 0)  # user nice system idle iowait irq softirq steal guests
    (tmp_path / "stat").write_text(f"cpu  {' '.join(str(one * ticks) for one in seconds)}\ncpu0 1 1\n")
    assert busy_s(tmp_path) == 21
