# SPDX-License-Identifier: Apache-2.0
"""The archive's addresses come from the machine's own apt sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from fleet.errors import UserError
from lab.containers import image

MAIN = "https://mirror.example/debian"
SECURITY = "https://mirror.example/debian-security"


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
        image.find_mirrors("Debian")


def test_the_archive_of_another_distribution_does_not_count(apt_targets: Callable[[str], None]):
    apt_targets("Ubuntu|Ubuntu|https://mirror.example/ubuntu/\n")
    with pytest.raises(UserError, match="no Debian archive"):
        image.find_mirrors("Debian")


def test_main_and_security_archive_are_told_apart(apt_targets: Callable[[str], None]):
    apt_targets(f"Debian|Debian|{MAIN}/\nDocker|Docker CE|https://x.example\nDebian|Debian-Security|{SECURITY}/\n")
    assert image.find_mirrors("Debian") == image.Mirrors(MAIN, SECURITY)


def test_without_a_security_archive_the_main_one_stands_in(apt_targets: Callable[[str], None]):
    apt_targets(f"Debian|Debian|{MAIN}/\n")
    assert image.find_mirrors("Debian") == image.Mirrors(MAIN, MAIN)
