# SPDX-License-Identifier: Apache-2.0
"""Words of the kernel that the control machine and the modules on a host read alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

GENERIC, REALTIME = "generic", "realtime"
# Debian's -rt-, Ubuntu's -realtime and -lowlatency.
REALTIME_RELEASE = re.compile(r"-(rt|realtime|lowlatency)(-|$)")
PAGE_KIB: Mapping[str, int] = MappingProxyType({"2M": 2048, "1G": 1048576})
REPEATABLE = frozenset({"console", "memmap", "video"})  # each further one adds to the others


def flavour_of(release: str) -> str:
    """Return the flavour of a kernel by its release, as `uname -r` prints it."""
    return REALTIME if REALTIME_RELEASE.search(release) else GENERIC


def name_of(argument: object) -> str:
    """Return an argument's parameter; the kernel takes - and _ in it for the same (kernel-parameters.txt)."""
    return str(argument).partition("=")[0].replace("-", "_")
