# SPDX-License-Identifier: Apache-2.0
"""A clone whose programs record how they are called: the verbs are typed as a user types them, and touch no host."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import PROJECT

PARTS = (
    "Makefile",
    "pyproject.toml",
    "ansible.cfg",
    "fleet",
    "lab",
    "playbooks",
    "roles",
    "group_vars",
    "inventory",
    "plugins",
    "requirements",
)
# What the verbs of daily use end in; each writes its words and its environment down, and succeeds.
PROGRAMS = ("ansible-playbook",)
RECORDER = """#!{python}
import json, os, sys
with open({record!r}, "a") as record:
    print(json.dumps({{"program": {name!r}, "words": sys.argv[1:], "environment": dict(os.environ)}}), file=record)
"""
# Python itself is the real one; the modules that reach hosts are recorded.
PYTHON = """#!/bin/sh
case "$1 $2" in
  "-m fleet.latency"|"-m fleet.halt"|"-m lab.containers"|"-m fleet.run.verify") exec "{recorder}" "$@" ;;
  *) exec "{python}" "$@" ;;
esac
"""


@dataclass(frozen=True)
class Typed:
    """What came of a command: its exit status, what it printed, and the calls that it ended in."""

    status: int
    output: str
    calls: list[dict[str, Any]]

    @property
    def words(self) -> list[str]:
        """Return the words of the one program that was started."""
        (call,) = self.calls
        return list(call["words"])

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of that program."""
        (call,) = self.calls
        return dict(call["environment"])


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the working tree, in a folder with a blank and a quote, whose .venv records."""
    place = tmp_path_factory.mktemp("verbs") / "the owner's clone"
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            shutil.copytree(
                source, place / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".vault*")
            )
        else:
            place.mkdir(exist_ok=True)
            shutil.copy(source, place / part)
    programs, record = place / ".venv/bin", place / "record"
    programs.mkdir(parents=True)
    for name in (*PROGRAMS, "recorder"):
        _program(programs / name, RECORDER.format(python=sys.executable, record=str(record), name=name))
    _program(programs / "python", PYTHON.format(recorder=programs / "recorder", python=sys.executable))
    # Set-up itself is not run: it would install into the Python behind the recorder.
    _program(place / "requirements/setup.sh", "#!/bin/sh\necho set up again; exit 3\n")
    (place / ".venv/installed").write_text(f"{place.resolve()}\n{(programs / 'python').resolve()}\n")
    return place


@pytest.fixture
def typed(clone: Path, tmp_path: Path) -> Callable[..., Typed]:
    """Return a function that types `make ...` in another folder."""

    def make(*words: str, environment: Mapping[str, str] | None = None) -> Typed:
        record = clone / "record"
        record.unlink(missing_ok=True)
        variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | dict(
            environment or {}
        )
        command = ["make", "--no-print-directory", "-C", str(clone), *words]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        calls = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return Typed(done.returncode, done.stdout + done.stderr, calls)

    return make


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
