# SPDX-License-Identifier: Apache-2.0
"""The sample bars come out of a wheel once, with their licence, and half a folder is never taken for whole."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet.artifacts import wheelhouse
from fleet.errors import UserError
from lab import samples


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the package index: what it was asked."""
    asked: list[str] = []

    def download(lines: Sequence[str], _python: str, folder: Path) -> None:
        asked.extend(lines)
        with zipfile.ZipFile(folder / "sample.whl", "w") as wheel:
            for member in samples.MEMBERS.values():
                wheel.writestr(member, f"of {member}")

    monkeypatch.setattr(samples, "FOLDER", tmp_path / "samples")
    monkeypatch.setattr(wheelhouse, "download", download)
    return asked


def test_the_bars_are_fetched_by_their_hash_once_and_keep_their_licence(fetched: list[str], tmp_path: Path):
    bars = samples.provide()
    assert samples.provide() == bars
    [line] = fetched
    assert "--hash=sha256:" in line
    assert sorted(file.name for file in bars.parent.iterdir()) == ["EURUSD.csv", "LICENSE"]
    assert [file.parent for file in (tmp_path / "samples").glob("*/*.csv")] == [bars.parent]


@pytest.mark.usefixtures("fetched")
def test_what_cannot_be_fetched_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise UserError("cannot fetch locked wheels for Python 3.11: no network")

    monkeypatch.setattr(wheelhouse, "download", refuse)
    with pytest.raises(UserError, match="no network"):
        samples.provide()
    assert list((tmp_path / "samples").iterdir()) == []
