# SPDX-License-Identifier: Apache-2.0
"""packages: apt is asked only for what dpkg does not have, or has for another package's sake."""

from __future__ import annotations

import pytest

from plugins.action.packages import explained
from plugins.modules.packages import missing, states_of

STATES = """\
acl installed
chrony config-files
curl half-configured
libc6 installed
libc6 installed
redis-server not-installed
"""
MARKS = """\
Package: acl
Architecture: amd64
Auto-Installed: 0

Package: libc6
Architecture: amd64
Auto-Installed: 1
"""


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("acl", False),
        ("chrony", True),
        ("curl", True),
        ("redis-server", True),
        ("unheard-of", True),
        ("acl=2.3*", True),
        ("ac*", True),
    ],
)
def test_apt_is_asked_unless_the_package_is_installed(name: str, asked: bool) -> None:
    assert missing([name], STATES, MARKS) == ([name] if asked else [])


def test_a_package_installed_for_another_one_is_left_to_apt_which_marks_it() -> None:
    assert missing(["libc6"], STATES, MARKS) == ["libc6"]
    assert missing(["libc6"], STATES, "") == []


def test_all_names_are_judged_and_keep_their_order() -> None:
    assert missing(["redis-server", "acl", "chrony"], STATES, MARKS) == ["redis-server", "chrony"]
    assert missing([], STATES, MARKS) == []


def test_the_real_dpkg_knows_itself_and_nothing_else() -> None:
    assert missing(["dpkg", "unheard-of-package"], states_of(["dpkg", "unheard-of-package"]), "") == [
        "unheard-of-package"
    ]
    assert states_of([]) == ""


@pytest.mark.parametrize("words", ["E: Unable to correct problems, you have held broken packages.\n", "other"])
def test_what_the_pins_keep_from_being_installed_names_them(words: str) -> None:
    said = explained({"failed": True, "msg": words})["msg"]
    assert ("base_held_packages" in said) == ("held broken" in words)
    assert explained({"msg": words}) == {"msg": words}
