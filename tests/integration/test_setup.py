# SPDX-License-Identifier: Apache-2.0
"""`make setup` in a fresh clone, with the package index: it fills .venv, and nothing else is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from fleet.paths import PROJECT


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for clones and for what set-up must leave alone."""
    return tmp_path_factory.mktemp("setup")


@pytest.fixture(scope="module")
def clone(place: Path) -> Path:
    """Return a clone with the working tree's own files for set-up, in a folder with a blank and a quote."""
    target = place / "the owner's clone"
    subprocess.run(["git", "clone", "--quiet", PROJECT, target], check=True)
    for name in ("Makefile", "requirements", "pyproject.toml"):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, dirs_exist_ok=True)
        else:
            shutil.copy(source, target / name)
    return target


def _setup(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    words = ["make", "-C", str(clone), "setup"]
    return subprocess.run(words, env=environment, umask=0o077, capture_output=True, text=True, check=False)


def _starts(clone: Path) -> bool:
    words = [str(clone / ".venv/bin/ansible-playbook"), "--version"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_another_environment_that_is_active_stays_as_it_is_and_the_clone_gets_its_own(clone: Path, place: Path):
    other, target = place / "other", place / "target"
    venv.create(other, symlinks=True)
    (other / "requirements").mkdir()
    before = sorted(path for path in other.rglob("*"))
    done = _setup(
        clone,
        VIRTUAL_ENV=str(other),
        PATH=f"{other}/bin:{os.environ['PATH']}",
        CONDA_PREFIX=str(other),
        UV_PYTHON=str(other / "bin/python"),
        UV_TARGET=str(target),
        PIP_TARGET=str(target),
        PIP_USER="1",
        PIP_REQUIRE_VIRTUALENV="0",
        CDPATH=str(other),
        PYTHONPATH="/nowhere",
        PYTHONHOME="/nowhere",
        LC_ALL="xx_YY.UTF-8",
    )
    assert done.returncode == 0, done.stderr
    assert _starts(clone)
    assert sorted(path for path in other.rglob("*")) == before
    assert not target.exists()
    # For others on this machine, too, whatever the caller's umask.
    assert (clone / ".venv/bin").stat().st_mode & 0o777 == 0o755


def test_a_clone_that_was_moved_gets_a_new_one(clone: Path, place: Path):
    moved = place / "moved"
    clone.rename(moved)
    try:
        assert not _starts(moved), "its programs name the old place"
        assert _setup(moved).returncode == 0
        assert _starts(moved)
    finally:
        moved.rename(clone)


def test_without_an_index_the_reason_is_the_installers_own_and_nothing_counts_as_installed(place: Path, clone: Path):
    bare = place / "bare"
    shutil.copytree(clone, bare, ignore=shutil.ignore_patterns(".venv", ".git"))
    nothing = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    done = _setup(bare, **nothing, PIP_CACHE_DIR=str(place / "cache"), PIP_DEFAULT_TIMEOUT="1", PIP_RETRIES="0")
    assert done.returncode != 0
    assert "setup: pip cannot install uv into .venv: see above" in done.stderr
    assert not (bare / ".venv/installed").exists()
