# SPDX-License-Identifier: Apache-2.0
"""Bars that the lab's feed replays: a year of EUR/USD by the hour, taken out of the package gym-anytrading (MIT).

The package is neither installed nor imported, so what it needs is not fetched.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from fleet.artifacts import wheelhouse
from fleet.paths import BUILD

FOLDER = BUILD / "samples"
WHEEL = "gym-anytrading==2.0.0 --hash=sha256:29e88b9d38272ea338c8cfcebc6a0f0302c7a8c02048331ad6a4d22cdd825e54"
# The licence asks to stay with every copy.
MEMBERS = {
    "EURUSD.csv": "gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv",
    "LICENSE": "gym_anytrading-2.0.0.dist-info/LICENSE",
}


def provide() -> Path:
    """Return the file of bars, fetched by its hash if it is not there.

    Raises:
        UserError: the package index does not give it.
    """
    place = FOLDER / WHEEL.split(maxsplit=1)[0]
    if not place.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".samples-", dir=FOLDER) as work:
            wheelhouse.download([WHEEL], wheelhouse.PYTHONS[0], Path(work))
            (wheel,) = Path(work).glob("*.whl")
            whole = Path(work, "whole")
            whole.mkdir()
            with zipfile.ZipFile(wheel) as archive:
                for name, member in MEMBERS.items():
                    (whole / name).write_bytes(archive.read(member))
            # In one step: what is half made is never taken for whole.
            whole.rename(place)
    return place / "EURUSD.csv"
