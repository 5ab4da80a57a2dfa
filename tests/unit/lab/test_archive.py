# SPDX-License-Identifier: Apache-2.0
"""The archive's addresses come from the machine's own apt sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from fleet.errors import UserError
from lab import archive

MAIN = "https://mirror.example/debian"
SECURITY = "https://mirror.example/debian-security"
BOOKWORM = f"Debian|Debian|{MAIN}/|oldstable\nDebian|Debian-Security|{SECURITY}/|oldstable-security\n"
# All of Ubuntu's archives have one label.
NOBLE = "".join(
    f"Ubuntu|Ubuntu|https://{name}.example/ubuntu/|noble{pocket}\n"
    for name, pocket in (("archive", ""), ("archive", "-updates"), ("security", "-security"))
)


@pytest.fixture
def apt_targets(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what apt-get answers."""

    def answer(text: str) -> None:
        done = subprocess.CompletedProcess([], 0, stdout=text, stderr="")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    return answer


def test_a_machine_without_sources_of_that_distribution_is_told_what_to_do(apt_targets: Callable[[str], None]):
    apt_targets("")
    with pytest.raises(UserError, match=r"^no Debian archive among this machine's apt sources: add one .* LAB_IMAGE="):
        archive.find_mirrors("Debian")


def test_the_archive_of_another_distribution_does_not_count(apt_targets: Callable[[str], None]):
    apt_targets(NOBLE)
    with pytest.raises(UserError, match="no Debian archive"):
        archive.find_mirrors("Debian")


def test_main_and_security_archive_are_told_apart(apt_targets: Callable[[str], None]):
    apt_targets(f"{BOOKWORM}Docker|Docker CE|https://x.example|stable\n")
    assert archive.find_mirrors("Debian") == archive.Mirrors(MAIN, SECURITY)


def test_without_a_security_archive_the_main_one_stands_in(apt_targets: Callable[[str], None]):
    apt_targets(f"Debian|Debian|{MAIN}/|stable\n")
    assert archive.find_mirrors("Debian") == archive.Mirrors(MAIN, MAIN)


def test_the_lab_is_built_from_the_distribution_whose_archive_is_known_here(apt_targets: Callable[[str], None]):
    apt_targets(NOBLE)
    assert archive.own() == "Ubuntu"
    apt_targets(NOBLE + BOOKWORM)
    assert archive.own() == "Debian"


def test_a_machine_of_neither_distribution_is_told_so(apt_targets: Callable[[str], None]):
    apt_targets("Docker|Docker CE|https://x.example|stable\n")
    with pytest.raises(UserError, match="neither Debian nor Ubuntu among this machine's apt sources"):
        archive.own()


def test_a_machine_without_apt_is_told_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no apt-get here"):
        archive.own()


def test_an_ubuntu_is_made_with_its_updates_and_its_security_archive(apt_targets: Callable[[str], None]):
    apt_targets(NOBLE)
    assert archive.sources("Ubuntu", "noble") == [
        "deb https://archive.example/ubuntu noble main universe",
        "deb https://archive.example/ubuntu noble-updates main universe",
        "deb https://security.example/ubuntu noble-security main universe",
    ]


def test_a_debian_is_made_from_its_main_archive_and_gets_its_sources_from_the_role(apt_targets: Callable[[str], None]):
    apt_targets(BOOKWORM)
    assert archive.sources("Debian", "trixie") == [MAIN]
