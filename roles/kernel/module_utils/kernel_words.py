# SPDX-License-Identifier: Apache-2.0
"""Words of the kernel that the control machine and the modules on a host read alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

GENERIC, REALTIME = "generic", "realtime"
# Debian's -rt-, Ubuntu's -realtime; Ubuntu's -lowlatency has no PREEMPT_RT.
REALTIME_RELEASE = re.compile(r"-(rt|realtime)(-|$)")
VERSION = re.compile(r"[\d.]+([+~][\w.]+)?(-\d+)?-?")
PAGE_KIB: Mapping[str, int] = MappingProxyType({"2M": 2048, "1G": 1048576})
REPEATABLE = frozenset({"console", "memmap", "video"})  # each further one adds to the others


def flavour_of(release: str) -> str:
    """Return the flavour of a kernel by its release, as `uname -r` prints it."""
    return REALTIME if REALTIME_RELEASE.search(release) else GENERIC


def variant_of(release: str) -> str:
    """Return what distinguishes a distribution's kernels of one version: `generic`, `oem`, `amd64`, `rt-amd64` ..."""
    return VERSION.sub("", release, count=1)


def name_of(argument: object) -> str:
    """Return an argument's parameter; the kernel takes - and _ in it for the same (kernel-parameters.txt)."""
    return str(argument).partition("=")[0].replace("-", "_")
