# SPDX-License-Identifier: Apache-2.0
"""Programs unpacked beside the machine's own: made once, started with their own libraries, refused in one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import UserError
from lab import archive, programs
from lab.programs import Programs

TOOLS = Programs("tools", ("tool", "library"), {"Debian": "trixie", "Ubuntu": "noble"})
MIRROR = "https://mirror.example/debian"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(programs, "FOLDER", tmp_path / "programs")
    monkeypatch.setattr(archive, "own", lambda: "Debian")
    monkeypatch.setattr(archive, "find_mirrors", lambda _: archive.Mirrors(MIRROR, MIRROR))
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    return tmp_path / "programs"


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for mmdebstrap: what it was asked; it puts one program and the loader where packages do."""
    asked: list[list[str]] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        root = Path(words[-2])
        for path in ("usr/bin/tool", f"{LIBRARIES}/ld-linux-x86-64.so.2"):
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(words[-3])
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_packages_of_a_suite_are_unpacked_from_this_machines_mirror(unpacked: list[list[str]], folder: Path):
    assert programs.provide(TOOLS) == folder / "tools"
    [words] = unpacked
    assert words[0] == "mmdebstrap"
    assert {"--variant=extract", "--components=main", "--include=tool,library"} <= set(words)
    assert (words[-3], words[-1]) == ("trixie", MIRROR)
    assert [path.name for path in folder.iterdir()] == ["tools"]


def test_what_is_unpacked_is_not_unpacked_again(unpacked: list[list[str]]):
    programs.provide(TOOLS)
    programs.provide(TOOLS)
    assert len(unpacked) == 1


def test_another_release_takes_the_place_of_the_one_before(unpacked: list[list[str]]):
    programs.provide(TOOLS)
    root = programs.provide(Programs("tools", TOOLS.packages, {"Debian": "forky"}))
    assert (root / "usr/bin/tool").read_text() == "forky"
    assert len(unpacked) == 2


def test_on_an_ubuntu_they_come_from_its_archive_with_universe(
    unpacked: list[list[str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive, "own", lambda: "Ubuntu")
    # What is unpacked lies where the last three words but the addresses say.
    monkeypatch.setattr(archive, "sources", lambda *_: [MIRROR])
    programs.provide(TOOLS)
    [words] = unpacked
    assert "--components=main,universe" in words
    assert words[-3] == "noble"


def test_what_was_half_unpacked_is_not_taken_for_done(folder: Path, unpacked: list[list[str]]):
    (folder / "tools/usr").mkdir(parents=True)
    programs.provide(TOOLS)
    assert len(unpacked) == 1


@pytest.mark.usefixtures("unpacked")
def test_a_program_is_started_by_its_own_loader_with_its_own_libraries(folder: Path):
    programs.provide(TOOLS)
    libraries = folder / "tools" / LIBRARIES
    assert programs.command(TOOLS, "usr/bin/tool") == [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        str(libraries),
        str(folder / "tools/usr/bin/tool"),
    ]


def test_libraries_beside_usr_are_found_too(folder: Path):
    for path in ("usr/bin/tool", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", f"{LIBRARIES}/libtool.so"):
        (folder / "tools" / path).parent.mkdir(parents=True)
        (folder / "tools" / path).touch()
    root = folder / "tools"
    loader, _, libraries, _ = programs.command(TOOLS, "usr/bin/tool")
    assert loader == str(root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    assert libraries == f"{root / LIBRARIES}:{root / 'lib/x86_64-linux-gnu'}"


@pytest.mark.usefixtures("unpacked")
def test_a_program_that_is_not_in_the_packages_is_named():
    programs.provide(TOOLS)
    with pytest.raises(UserError, match=r"no usr/bin/other in .*/tools: remove that folder, then run it again"):
        programs.command(TOOLS, "usr/bin/other")


def test_a_machine_without_the_tools_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"^no apt-get and no mmdebstrap here: .* `apt-get install mmdebstrap`"):
        programs.provide(TOOLS)


def test_a_failure_is_one_line_with_the_archives_own_reason_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, folder: Path
):
    words = "I: running apt-get update...\nE: Unable to locate package tool\nE: apt-get failed\n"
    failed = subprocess.CompletedProcess([], 1, "", words)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError) as caught:
        programs.provide(TOOLS)
    assert str(caught.value) == ("cannot unpack tool, library of Debian trixie: E: Unable to locate package tool")
    assert list(folder.iterdir()) == []
