# SPDX-License-Identifier: Apache-2.0
"""What tests of the command `station` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from station.cli import main
from station.domain.operation import Health
from station.events import HealthEvent

Said = pytest.CaptureFixture[str]


def told(words: list[str], capsys: Said) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error of a command line."""
    found = main(words)
    output, error = capsys.readouterr()
    return found, output, error


def write(path: Path, **service: Any) -> Path:
    path.write_text(yaml.safe_dump(service, sort_keys=False))
    return path


def event(sequence: int) -> HealthEvent:
    return HealthEvent(
        agent_id="replay", run=7, sequence=sequence, timestamp=1, available=1, payload=Health(state="progress")
    )
