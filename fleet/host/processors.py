# SPDX-License-Identifier: Apache-2.0
"""What a processor's number says of it, for modules on hosts."""

from __future__ import annotations

from collections.abc import Mapping

# Intel's processors with two kinds of cores, by their model of family 6 (Linux, arch/x86/include/asm/intel-family.h):
# Lakefield, Alder Lake, Raptor Lake, Meteor Lake, Arrow Lake, Lunar Lake, Panther Lake.
HYBRID = frozenset({0x8A, 0x97, 0x9A, 0xB7, 0xBA, 0xBF, 0xAA, 0xAC, 0xB5, 0xC5, 0xC6, 0xBD, 0xCC})


def is_hybrid(said: Mapping[str, str]) -> bool:
    """Tell whether a processor can have two kinds of cores; some of them may be switched off.

    Args:
        said: the fields of one processor in /proc/cpuinfo.
    """
    number = said.get("model", "")
    is_intel = said.get("vendor_id") == "GenuineIntel" and said.get("cpu family") == "6"
    return is_intel and number.isdecimal() and int(number) in HYBRID
