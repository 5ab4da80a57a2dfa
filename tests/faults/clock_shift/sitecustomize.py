# SPDX-License-Identifier: Apache-2.0
"""Python imports this at its start when the folder is on its path: the wall clock of the process can then be set.

No other process and no kernel time is touched: the station's services read the wall clock by `time.time_ns` alone.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

_FORMAT = "=q"  # microseconds that are added


def _shifted(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    shift = mmap.mmap(file, struct.calcsize(_FORMAT), prot=mmap.PROT_READ)
    real = time.time_ns
    time.time_ns = lambda: real() + 1000 * int(struct.unpack(_FORMAT, shift[:])[0])


_shifted(os.environ["FAULTS_CLOCK_SHIFT"])
