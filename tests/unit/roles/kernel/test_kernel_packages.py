# SPDX-License-Identifier: Apache-2.0
"""Which packages a kernel comes with, and which of them are held; what the owner holds stays the owner's."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.kernel.filter_plugins.kernel_packages import kernel_holds, kernel_packages

PINNED = "6.12.57-amd64"
IMAGE, HEADERS = f"linux-image-{PINNED}", f"linux-headers-{PINNED}"
NAMES = st.lists(st.sampled_from([IMAGE, HEADERS, "linux-image-6.1-amd64", "linux-libc-dev"]), unique=True)


def facts(**changes) -> dict[str, Any]:
    microcode = {"package": "intel-microcode", "installed": "", "candidate": ""}
    extra = ["linux-modules-extra-6.8.0-45-generic"]
    return {"dkms": [], "held": [], "held_here": [], "microcode": microcode, "modules_extra": extra} | changes


def wanted(**changes) -> dict[str, str]:
    return {"version": "", "flavour": "generic", "distribution": "Debian"} | changes


@pytest.mark.parametrize(
    ("wish", "plain", "with_dkms"),
    [
        (wanted(), [], []),
        (wanted(version=PINNED), [IMAGE], [IMAGE, HEADERS]),
        (
            wanted(version="6.8.0-45-generic", distribution="Ubuntu"),
            [f"linux-{kind}-6.8.0-45-generic" for kind in ("image", "modules-extra")],
            [f"linux-{kind}-6.8.0-45-generic" for kind in ("image", "headers", "modules-extra")],
        ),
        (
            # Ubuntu's 7.0 has all modules in one package.
            wanted(version="7.0.0-42-generic", distribution="Ubuntu"),
            ["linux-image-7.0.0-42-generic"],
            ["linux-image-7.0.0-42-generic", "linux-headers-7.0.0-42-generic"],
        ),
        (wanted(flavour="realtime"), ["linux-image-rt-amd64"], ["linux-image-rt-amd64", "linux-headers-rt-amd64"]),
        (
            wanted(flavour="realtime", distribution="Ubuntu"),
            ["linux-image-realtime"],
            ["linux-image-realtime", "linux-headers-realtime"],
        ),
        (
            wanted(flavour="realtime", version="6.12.57-rt-amd64"),
            ["linux-image-6.12.57-rt-amd64"],
            ["linux-image-6.12.57-rt-amd64", "linux-headers-6.12.57-rt-amd64"],
        ),
    ],
)
def test_a_kernel_comes_with_headers_where_dkms_has_something_to_build_and_only_there(wish, plain, with_dkms):
    assert kernel_packages(facts(), wish) == plain
    assert kernel_packages(facts(dkms=["onload"]), wish) == with_dkms


def test_microcode_is_installed_where_a_source_offers_it():
    offered = {"package": "intel-microcode", "installed": "", "candidate": "3.2"}
    assert kernel_packages(facts(microcode=offered), wanted(version=PINNED)) == ["intel-microcode", IMAGE]


def test_every_package_of_the_pin_is_held():
    assert kernel_holds(facts(dkms=["onload"]), wanted(version=PINNED)) == {
        "hold": [HEADERS, IMAGE],
        "unhold": [],
        "record": [HEADERS, IMAGE],
    }


def test_what_the_owner_holds_by_hand_is_neither_let_go_nor_recorded():
    seen = facts(held=["linux-image-6.1-amd64", IMAGE])
    assert kernel_holds(seen, wanted()) == {"hold": [], "unhold": [], "record": []}
    assert kernel_holds(seen, wanted(version=PINNED)) == {"hold": [], "unhold": [], "record": []}


def test_what_this_role_held_is_let_go_when_another_release_is_pinned():
    seen = facts(held=["linux-image-6.1-amd64"], held_here=["linux-image-6.1-amd64"])
    assert kernel_holds(seen, wanted(version=PINNED)) == {
        "hold": [IMAGE],
        "unhold": ["linux-image-6.1-amd64"],
        "record": [IMAGE],
    }


@given(NAMES, NAMES, st.sampled_from(["", PINNED]), st.integers(0, 3))
def test_a_run_cut_off_anywhere_is_finished_by_the_next_which_then_rests(held, here, version, cut):
    wish = wanted(version=version)
    before = set(held) - set(here)

    def take(state, count) -> None:
        todo = kernel_holds(facts(**state), wish)
        steps: list[Callable[[], None]] = [
            lambda: state.update(held=sorted(set(state["held"]) - set(todo["unhold"]))),
            lambda: state.update(held_here=todo["record"]),
            lambda: state.update(held=sorted({*state["held"], *todo["hold"]})),
        ]
        for step in steps[:count]:
            step()

    state = {"held": held, "held_here": here}
    take(state, cut)
    take(state, 3)
    assert kernel_holds(facts(**state), wish) == {"hold": [], "unhold": [], "record": state["held_here"]}
    assert set(state["held"]) == before | ({IMAGE} if version else set())
