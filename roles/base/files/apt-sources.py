#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Say whether apt can read its sources, and which files hold an archive that two of them describe differently."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ETC = "/etc/apt"
CONFLICT = re.compile(r"regarding source (\S+?)/? ")


def complaints(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the sources in a copy of /etc/apt, nothing when apt reads them."""
    words = ["apt-get", "indextargets", "--option", f"Dir::Etc={folder}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    yield from [line for line in done.stderr.splitlines() if line.startswith("E:")][:1]
    archive = CONFLICT.search(done.stderr)
    if archive:
        files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
        names = [str(file) for file in files if file.is_file() and archive[1] in file.read_text(errors="replace")]
        yield f"it is in {' and '.join(names)}: name the older file in `replaces` of base_apt_sources, or remove it"


if __name__ == "__main__":
    found = [line.replace(sys.argv[1], ETC) for line in complaints(Path(sys.argv[1]))]
    print(*found, sep="\n")
    sys.exit(bool(found))
