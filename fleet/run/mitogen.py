# SPDX-License-Identifier: Apache-2.0
"""Mitogen makes Ansible several times faster by keeping one Python a host; used where the pair supports it."""

from __future__ import annotations

import os
import sysconfig
from importlib import metadata
from pathlib import Path

# The first Mitogen that supports a series of ansible-core: Mitogen's changelog (docs/changelog.rst).
OLDEST_MITOGEN: dict[tuple[int, ...], tuple[int, ...]] = {(2, 19): (0, 3, 25), (2, 20): (0, 3, 33), (2, 21): (0, 3, 49)}


def variables() -> dict[str, str]:
    """Return the variables that switch Mitogen on, or none when the installed pair is not a supported one."""
    plugins = Path(sysconfig.get_path("purelib")) / "ansible_mitogen" / "plugins" / "strategy"
    try:
        oldest = OLDEST_MITOGEN.get(_series(metadata.version("ansible-core")))
        supported = oldest is not None and _numbers(metadata.version("mitogen")) >= oldest
    except metadata.PackageNotFoundError:
        supported = False
    if not supported or "ANSIBLE_STRATEGY" in os.environ:
        return {}
    return {
        "ANSIBLE_STRATEGY_PLUGINS": str(plugins),
        "ANSIBLE_STRATEGY": "mitogen_linear",
        # Third-party strategies are deprecated without a replacement; that warning helps none of our users.
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _series(version: str) -> tuple[int, ...]:
    return _numbers(version)[:2]


if __name__ == "__main__":
    print(*(f"{name}={value}" for name, value in variables().items()))
