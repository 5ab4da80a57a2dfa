# SPDX-License-Identifier: Apache-2.0
"""An interrupted installation of a Debian leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import mmdebstrap

_NAMESPACES = mmdebstrap.COMMAND[:-1]
_MAY = subprocess.run([*_NAMESPACES, "true"], capture_output=True, check=False).returncode == 0
pytestmark = pytest.mark.skipif(not _MAY, reason="this user may not make namespaces: installing a Debian needs root")


def test_whoever_is_killed_while_it_runs_leaves_no_process_and_no_mount(tmp_path: Path) -> None:
    target = tmp_path / "proc"
    target.mkdir()
    said = tmp_path / "pid"
    work = f"mount -t proc proc {target} && readlink {target}/self > /dev/null && echo ready > {said} && sleep 600.25"
    runner = f"import subprocess; subprocess.run({[*_NAMESPACES, 'sh', '-c', work]!r})"
    parent = subprocess.Popen([sys.executable, "-c", runner])
    _until(said.exists)
    assert _running("600.25")

    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=10)

    _until(lambda: not _running("600.25"))
    assert not os.path.ismount(target)


def _running(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"sleep" and word.encode() in words:
            found.append(path.parent.name)
    return found


def _until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not true() and time.monotonic() < limit:
        time.sleep(0.02)
    assert true()
