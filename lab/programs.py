# SPDX-License-Identifier: Apache-2.0
"""Programs of another release, unpacked beside the machine's own: nothing is installed, started or put on any path.

A test against a real server, or an emulator newer than the machine, comes from the distribution's packages with the
libraries these were built for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.errors import UserError
from fleet.paths import BUILD
from lab import archive

FOLDER = BUILD / "programs"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Programs:
    """Packages that are unpacked together.

    Attributes:
        name: of the folder under build/programs.
        packages: their names, the same in both distributions; what they depend on comes along.
        suites: the release they are taken from, by distribution.
    """

    name: str
    packages: tuple[str, ...]
    suites: Mapping[str, str] = field(default_factory=lambda: archive.SUITES)

    @property
    def root(self) -> Path:
        """Return the folder that stands for / of the packages."""
        return FOLDER / self.name


REDIS = Programs("redis", ("redis-server", "redis-tools"))


def provide(programs: Programs) -> Path:
    """Return the folder with the unpacked packages, filled if it has not been from this recipe.

    Raises:
        UserError: no apt or mmdebstrap, no archive, or a package cannot be had.
    """
    distribution = archive.own()
    suite = programs.suites[distribution]
    # Another recipe is another folder.
    recipe, note = " ".join((suite, *programs.packages)), programs.root / ".recipe"
    if note.is_file() and note.read_text() == recipe:
        return programs.root
    _require_tools()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{programs.name}-", dir=FOLDER) as work:
        fresh = Path(work, "root")
        _unpack(programs, fresh, distribution, suite)
        (fresh / ".recipe").write_text(recipe)
        if programs.root.exists():
            programs.root.rename(Path(work, "old"))
        fresh.rename(programs.root)
    return programs.root


def command(programs: Programs, program: str) -> list[str]:
    """Return the words that start a program with the libraries it was built for.

    Args:
        programs: what `provide` has unpacked.
        program: its path below /, such as `usr/bin/redis-server`.

    Raises:
        UserError: the packages hold no such program.
    """
    path = programs.root / program
    # Before Debian 13 a part of the libraries lies in /lib.
    libraries = [*programs.root.glob("usr/lib/*-linux-gnu"), *programs.root.glob("lib/*-linux-gnu")]
    loaders = [loader for folder in libraries for loader in folder.glob("ld-linux*.so.*")]
    if not path.exists() or not loaders:
        raise UserError(f"no {program} in {programs.root}: remove that folder, then run it again")
    return [str(loaders[0]), "--library-path", ":".join(map(str, libraries)), str(path)]


def _require_tools() -> None:
    missing = [name for name in ("apt-get", "mmdebstrap") if not shutil.which(name, path=PATH)]
    if missing:
        raise UserError(
            f"no {' and no '.join(missing)} here: on Debian or Ubuntu `apt-get install mmdebstrap`, then again"
        )


def _unpack(programs: Programs, root: Path, distribution: str, suite: str) -> None:
    options = (f"--components={archive.COMPONENTS[distribution]}", f"--include={','.join(programs.packages)}")
    words = ["mmdebstrap", "--variant=extract", *options, suite, str(root), *archive.sources(distribution, suite)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"PATH": PATH})
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        reason = [line for line in lines if line.startswith("E:")] or lines[-1:] or ["mmdebstrap gives no reason"]
        raise UserError(f"cannot unpack {', '.join(programs.packages)} of {distribution} {suite}: {reason[0]}")
