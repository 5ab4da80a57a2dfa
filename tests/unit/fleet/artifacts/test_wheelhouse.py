# SPDX-License-Identifier: Apache-2.0
"""A release is the same bytes under the same id, has what the host's Python takes, and is whole or not there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.artifacts import wheelhouse
from fleet.errors import UserError
from fleet.paths import PROJECT

A, B = "a" * 64, "b" * 64
TEXT = f"""\
anyio==4.16.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
    # via httpx
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash=sha256:{A}
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:{A}
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:{B}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with a lock and one module."""
    root = tmp_path / "project"
    (root / "services/station").mkdir(parents=True)
    (root / "services/station/__init__.py").write_text("")
    (root / "requirements").mkdir()
    (root / "requirements/services.txt").write_text(TEXT)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "station"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["services/station"]\n'
    )
    return root


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let downloads leave one wheel, and say for which Python."""
    done: list[str] = []

    def download(lines: list[str], python: str, folder: Path) -> None:
        done.append(python)
        (folder / "anyio-4.16.0-py3-none-any.whl").write_text(lines[0])

    monkeypatch.setattr(wheelhouse, "download", download)
    return done


@pytest.mark.parametrize(
    ("python", "names"),
    [
        ("3.11.2", ["anyio==4.16.0", "async-timeout==5.0.1", "numpy==2.4.6"]),
        ("3.11.7", ["anyio==4.16.0", "numpy==2.4.6"]),
        ("3.13.5", ["anyio==4.16.0", "numpy==2.5.5"]),
    ],
)
def test_conditions_are_asked_about_the_host_and_not_about_this_machine(python: str, names: list[str]) -> None:
    assert [line.split()[0] for line in wheelhouse.locked(TEXT, python)] == names


def test_a_line_keeps_all_its_hashes_and_loses_its_condition() -> None:
    lines = wheelhouse.locked(TEXT, "3.13.5")
    assert lines[0] == f"anyio==4.16.0 --hash=sha256:{A} --hash=sha256:{B}"
    assert lines[1] == f"numpy==2.5.5 --hash=sha256:{B}"


def test_a_requirement_without_a_hash_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"services.txt: 'redis==8.1.0' is no requirement with its hashes; run `make lock`"
    ):
        wheelhouse.locked("redis==8.1.0\n", "3.13.5")


def test_the_real_lock_is_read_for_every_python() -> None:
    text = (PROJECT / wheelhouse.LOCK).read_text()
    for python in ("3.11.2", "3.12.3", "3.13.5"):
        names = [line.split("==")[0] for line in wheelhouse.locked(text, python)]
        assert {"redis", "pyarrow", "questdb"} <= set(names)
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("python", "words"), [("3.10.1", "no services for Python 3.10.1"), ("three", "'three' is no version of Python")]
)
def test_another_python_is_refused_in_one_line(python: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        wheelhouse.minor(python)


def test_a_release_holds_the_lock_the_wheels_and_the_hash_of_its_own(
    project: Path, tmp_path: Path, fetched: list[str]
) -> None:
    release = wheelhouse.provide(project, "3.13.5", tmp_path / "out")
    folder = tmp_path / "out" / release
    wheel = folder / "station-1.0-py3-none-any.whl"
    assert len(release) == 12
    assert fetched == ["3.13.5"]
    assert {file.name for file in folder.iterdir()} == {
        "requirements.txt",
        "anyio-4.16.0-py3-none-any.whl",
        wheel.name,
    }
    own = f"station==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    assert (folder / "requirements.txt").read_text().splitlines() == [*wheelhouse.locked(TEXT, "3.13.5"), own]


def test_the_same_sources_are_the_same_release_without_another_download(
    project: Path, tmp_path: Path, fetched: list[str]
) -> None:
    first = wheelhouse.provide(project, "3.13.5", tmp_path / "out")
    assert wheelhouse.provide(project, "3.13.7", tmp_path / "out") == first
    assert wheelhouse.provide(project, "3.13.5", tmp_path / "elsewhere") == first
    assert fetched == ["3.13.5", "3.13.5"]


def test_another_source_or_python_is_another_release_and_shares_the_locked_wheels(
    project: Path, tmp_path: Path, fetched: list[str]
) -> None:
    first = wheelhouse.provide(project, "3.13.5", tmp_path / "out")
    (project / "services/station/__init__.py").write_text("x = 1\n")
    second = wheelhouse.provide(project, "3.13.5", tmp_path / "out")
    third = wheelhouse.provide(project, "3.12.3", tmp_path / "out")
    assert len({first, second, third}) == 3
    assert fetched == ["3.13.5", "3.12.3"]


def test_a_download_that_fails_is_one_line_and_leaves_nothing_half_made(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run

    def run(words, **options):
        if "download" not in words:
            return real(words, **options)
        return subprocess.CompletedProcess(
            words, 1, "", "WARNING: slow\nERROR: No matching distribution for anyio\nhint\n"
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UserError, match=r"^cannot fetch locked wheels for Python 3.13: ERROR: No matching .* anyio$"):
        wheelhouse.provide(project, "3.13.5", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet.artifacts.wheelhouse", "2.7", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "wheelhouse: no services for Python 2.7; they are tested with 3.11, 3.12, 3.13\n"
