# SPDX-License-Identifier: Apache-2.0
"""How the role onload installs and goes back, with stand-ins for the vendor's packages, on the distribution's kernel.

The stand-ins have the vendor's names, a wrapper that reads profiles, and an empty kernel module that DKMS really builds
for the running kernel. About the bypass itself they say nothing.
"""

from collections.abc import Callable
from typing import Any

import pytest

HOST = "vm-stock"
# The machine has no card of the vendor's; its own virtual one stands for it.
ADAPTERS = ["1af4:*"]
SERVICES = {"station@execution.service": "latency"}


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


# One test, because each step stands on the one before; DKMS builds at the installation and at the way back.
def test_a_release_is_installed_survives_a_bad_upgrade_and_is_removed(apply, stand_in):
    good, bad = stand_in("9.2.1.0"), stand_in("9.2.2.0", "broken")
    try:
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
