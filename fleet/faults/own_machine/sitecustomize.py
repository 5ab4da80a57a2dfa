# SPDX-License-Identifier: Apache-2.0
"""Python imports this at its start when the folder is on its path: the process has a wall clock and boots of its own.

No other process and no kernel time is touched: the station's services read the wall clock by `time.time_ns` alone, and
the id of the boot from one file.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from station.bus import state_file

_FORMAT = "=q"  # microseconds that are added


def _shifted(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    shift = mmap.mmap(file, struct.calcsize(_FORMAT), prot=mmap.PROT_READ)
    real = time.time_ns
    time.time_ns = lambda: real() + 1000 * int(struct.unpack(_FORMAT, shift[:])[0])


_shifted(os.environ["FAULTS_CLOCK_SHIFT"])
state_file.BOOT_ID = Path(os.environ["FAULTS_BOOT_ID"])
