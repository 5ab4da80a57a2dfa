# SPDX-License-Identifier: Apache-2.0
"""What the role onload refuses, and how it installs and goes back, with stand-ins for the vendor's packages.

The stand-ins have the vendor's names, a wrapper that reads profiles, and an empty kernel module that DKMS really builds
for the running kernel. About the bypass itself they say nothing.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from fleet.paths import PROJECT

HOST = "vm-trading"
BUILD = PROJECT / "molecule/shared/stand-ins/onload/build.sh"
# The machine has no card of the vendor's; its own virtual one stands for it where the refusal is not the subject.
ADAPTERS = ["1af4:*"]
SERVICES = {"station-execution.service": "latency"}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, str]]]:
    """Return a function that builds a release and gives it as the variable onload_packages."""

    def build(version: str, kind: str = "good") -> list[dict[str, str]]:
        folder = tmp_path_factory.mktemp("onload")
        said = subprocess.run([str(BUILD), str(folder), version, kind], capture_output=True, text=True, check=True)
        packages: list[dict[str, str]] = json.loads(said.stdout)
        return packages

    return build


@pytest.fixture
def apply(play: Callable[..., Any]) -> Callable[..., Any]:
    """Return the play with a card to be found."""
    return lambda packages, check=False, **variables: play(
        "onload", HOST, check=check, onload_packages=packages, **{"onload_adapters": ADAPTERS, **variables}
    )


def refused(result: Any, message: str) -> None:
    assert result.rc != 0
    assert message in result.out
    assert "changed=0" in result.out


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, stand_in):
    user, dkms = stand_in("9.2.1.0")
    gone = dkms | {"file": dkms["file"].replace("onload-dkms", "gone/onload-dkms")}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"onload_services": SERVICES}, "onload_services names units and onload_packages no files"),
        ({"onload_packages": [user, gone]}, "is no file on the control machine"),
        ({"onload_packages": [user, dkms | {"sha256": "0" * 64}]}, "it is not the file that was approved"),
        ({"onload_packages": [user, dkms], "onload_adapters": ["1924:*"]}, "no card for Onload (PCI id 1924:*)"),
    ]
    said = refusals("onload", HOST, [{"onload_adapters": ADAPTERS, **variables} for variables, _ in cases])
    for (variables, message), words in zip(cases, said, strict=True):
        assert message in words, variables


# One test, because each step stands on the one before; DKMS builds at the installation and at the way back.
def test_a_release_is_installed_survives_a_bad_upgrade_and_is_removed(apply, stand_in):
    good, bad = stand_in("9.2.1.0"), stand_in("9.2.2.0", "broken")
    try:
        dry = apply(good, check=True, onload_services=SERVICES)
        assert dry.rc == 0, dry.out
        first = apply(good, onload_services=SERVICES)
        assert first.rc == 0, first.out
        assert "onload of the installed release will be loaded at the next reboot" in first.out
        refused(apply(good, onload_services={"x.service": "fast"}), "onload_services.x.service is 'fast'")

        upgrade = apply(bad, onload_services=SERVICES)
        assert upgrade.rc != 0
        assert "error: #error" in upgrade.out
        assert "is installed again" in upgrade.out
        assert "changed=0" in apply(good, onload_services=SERVICES, check=True).out
    finally:
        removed = apply([])
    assert "the card runs on the kernel's own driver" in removed.out
