# SPDX-License-Identifier: Apache-2.0
"""Each fault once, with real processes: `python -m tests.faults --short`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import PROJECT
from tests.faults.catalogue import FAULTS

SEED = 1
SHORT = [fault.name for fault in FAULTS if not fault.long]


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Return what was found, by fault; a fault that needs root and a loop device has nothing without them."""
    folder: Path = tmp_path_factory.mktemp("faults")
    words = [
        sys.executable,
        "-m",
        "tests.faults",
        "--short",
        "--jobs",
        "3",
        "--seed",
        str(SEED),
        "--results",
        str(folder),
    ]
    subprocess.run(words, cwd=PROJECT, check=False)
    return {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("*.jsonl")}


@pytest.mark.parametrize("name", SHORT)
def test_nothing_that_was_promised_is_lost_made_up_or_doubled(histories, name):
    assert name in histories, "it was not run here: it needs root and a loop device"
    (found,) = histories[name]
    assert found["problems"] == []
    assert found["counts"]["acknowledged"] > 0
    assert found["recovery_s"] is not None
