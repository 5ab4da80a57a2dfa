# SPDX-License-Identifier: Apache-2.0
"""How a kernel parameter and its value are spelt; shared by the module, the plan and the rules."""

from __future__ import annotations

SWAP = str.maketrans("./", "/.")


def key_path(key: str) -> str:
    """Return the path of a key below /proc/sys, by the rule of sysctl.d(5).

    The first separator decides: after a slash everything stands as it is, after a dot the two are interchanged.
    """
    first = next((character for character in key if character in "./"), "/")
    return key.translate(SWAP) if first == "." else key


def canonical(key: str) -> str:
    """Return the one spelling of a key, with dots, that two spellings of it share."""
    return key_path(key).translate(SWAP)


def normalise(value: object) -> str:
    """Return a value as the kernel's words with single spaces."""
    return " ".join(str(value).split())
