# SPDX-License-Identifier: Apache-2.0
"""A program that writes events is followed to its end, whoever watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.paths import PROJECT
from fleet.run import follow

WRITES = """
import json, os, sys
for number in range(3):
    os.write(int(os.environ["FLEET_PROGRESS_FD"]), json.dumps({"event": "x", "number": number}).encode() + b"\\n")
print("words of its own")
sys.exit(7)
"""


def followed(program: str, log: Path, verbose: bool = False) -> tuple[int, list[int]]:
    numbers: list[int] = []

    def take(event: Mapping[str, Any]) -> list[str]:
        numbers.append(event["number"])
        return [f"number {event['number']} of a line that is longer than any place {'x' * 200}"]

    view = follow.View(take, lambda: "")
    return follow.run([sys.executable, "-c", program], os.environ, log, view, verbose), numbers


def test_every_event_is_taken_in_its_words_go_to_the_log_and_its_status_comes_back(tmp_path, capsys):
    assert followed(WRITES, tmp_path / "folder" / "log") == (7, [0, 1, 2])
    assert (tmp_path / "folder" / "log").read_text() == "words of its own\n"
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" of")[0] for line in lines] == ["number 0", "number 1", "number 2"]


def test_who_wants_to_see_its_words_sees_them_alone(tmp_path, capsys):
    assert followed(WRITES, tmp_path / "log", verbose=True) == (7, [0, 1, 2])
    assert capsys.readouterr().out == (tmp_path / "log").read_text() == "words of its own\n"


SLOW = """
import os, signal, sys, time
from pathlib import Path
from fleet.run import follow
program = "import signal, sys, time; signal.signal(2, lambda *_: sys.exit(9)); print('up', flush=True); time.sleep(60)"
log = Path(sys.argv[1])
status = follow.run([sys.executable, "-c", program], os.environ, log, follow.View(lambda event: [], lambda: ""), False)
print(f"told: {status}")
"""


def test_an_interrupted_run_ends_in_its_own_way_and_is_told(tmp_path):
    log = tmp_path / "log"
    words = [sys.executable, "-c", SLOW, str(log)]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 30
        while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said, _ = process.communicate(timeout=30)
    assert said == "told: 9\n"
