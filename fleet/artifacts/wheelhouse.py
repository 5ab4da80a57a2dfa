# SPDX-License-Identifier: Apache-2.0
"""What a host without network installs the services from: `python -m fleet.artifacts.wheelhouse PYTHON_VERSION FOLDER`.

Builds the wheel of the project, fetches those of requirements/services.txt for the host's Python, and prints the id of
the release. FOLDER/<id> then holds the wheels and requirements.txt, which is the lock and the project's own wheel. What
is there is taken as it is, so that a second run needs no network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.markers import Marker
from packaging.version import InvalidVersion, Version

from fleet.errors import UserError
from fleet.paths import PROJECT

LOCK = Path("requirements", "services.txt")
PYTHONS = ("3.11", "3.12", "3.13")
# The C library of Debian 12, the oldest system of the fleet, and what is older.
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)), "manylinux2014_x86_64")
# Any fixed time gives the same bytes from the same sources; this is the first that a zip file can say.
EPOCH = "315532800"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+==\S+)(?:\s*;(?P<marker>.*?))?(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)"
)
_DIGITS = 12


def locked(text: str, python: str) -> list[str]:
    """Return the requirements of a lock that one Python takes, one a line, without conditions.

    Args:
        text: of the lock.
        python: full version, such as 3.11.2.

    Raises:
        UserError: a line is no requirement with hashes.
    """
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        match = _REQUIREMENT.fullmatch(line)
        if not match:
            raise UserError(f"{LOCK}: {line[:60]!r} is no requirement with its hashes; run `make lock`")
        if not match["marker"] or Marker(match["marker"]).evaluate(_environment(python)):
            found.append(" ".join((match["name"], *match["hashes"].split())))
    return found


def _environment(python: str) -> dict[str, str]:
    """Return what conditions are asked about: the host, not the machine this runs on."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": python,
        "python_version": minor(python),
        "sys_platform": "linux",
    }


def minor(python: str) -> str:
    """Return 3.11 of 3.11.2.

    Raises:
        UserError: the services are not tested with such a Python.
    """
    try:
        version = Version(python)
    except InvalidVersion:
        raise UserError(f"{python!r} is no version of Python; write one such as 3.11.2") from None
    found = f"{version.major}.{version.minor}"
    if found not in PYTHONS:
        raise UserError(f"no services for Python {python}; they are tested with {', '.join(PYTHONS)}")
    return found


def own_line(wheel: Path) -> str:
    """Return the requirement of a wheel's exact bytes."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def digest(*parts: str) -> str:
    """Return the short hash of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGITS]


def build(project: Path, folder: Path) -> Path:
    """Build the project's wheel; the same sources give the same bytes.

    Raises:
        UserError: it cannot be built.
    """
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    _run(words, project, "cannot build the wheel of the services")
    (wheel,) = folder.glob("*.whl")
    return wheel


def download(lines: Sequence[str], python: str, folder: Path) -> None:
    """Fetch the wheels of locked requirements for another Python than this one.

    Raises:
        UserError: one cannot be had.
    """
    lock = folder / "requirements.txt"
    lock.write_text("".join(f"{line}\n" for line in lines))
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    words += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={minor(python)}"]
    words += [*(f"--platform={name}" for name in PLATFORMS), f"--dest={folder}", f"--requirement={lock}"]
    _run(words, folder, f"cannot fetch locked wheels for Python {minor(python)}")
    lock.unlink()


def provide(project: Path, python: str, folder: Path) -> str:
    """Make the folder of a release if it is not there, and return the release's id.

    Args:
        project: the project's root.
        python: full version of the host's Python.
        folder: where releases are.

    Raises:
        UserError: something of it cannot be built or fetched.
    """
    lock = project / LOCK
    if not lock.is_file():
        raise UserError(f"{lock} is missing; run `make lock`")
    lines = locked(lock.read_text(), python)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=folder) as work:
        wheel = build(project, Path(work))
        lines_of_all = [*lines, own_line(wheel)]
        release = digest(minor(python), *lines_of_all)
        if (folder / release).is_dir():
            return release
        for other in _wheels(lines, python, folder):
            os.link(other, Path(work, other.name))
        (Path(work) / "requirements.txt").write_text("".join(f"{line}\n" for line in lines_of_all))
        _keep(Path(work), folder / release)
    return release


def _wheels(lines: Sequence[str], python: str, folder: Path) -> Iterator[Path]:
    """Yield the wheels of others, which most releases have in common."""
    shared = folder / f"locked-{digest(minor(python), *lines)}"
    if not shared.is_dir():
        with tempfile.TemporaryDirectory(prefix=".locked-", dir=folder) as work:
            download(lines, python, Path(work))
            _keep(Path(work), shared)
    yield from sorted(shared.glob("*.whl"))


def _keep(work: Path, place: Path) -> None:
    # In one step: what is half made is never taken for whole. The files are links, so nothing is copied.
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as new:
        whole = Path(new, "whole")
        whole.mkdir()
        for file in work.iterdir():
            os.link(file, whole / file.name)
        whole.rename(place)


def _run(words: Sequence[str], folder: Path, what: str) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith("ERROR:")] or lines
        raise UserError(f"{what}: {reasons[-1] if reasons else 'no reason given'}")


def main(arguments: list[str] | None = None) -> int:
    """Print the id of the release, or one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m fleet.artifacts.wheelhouse", description=__doc__)
    parser.add_argument("python", metavar="PYTHON_VERSION", help="of the host, such as 3.13.5")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where releases are kept")
    options = parser.parse_args(arguments)
    try:
        print(provide(PROJECT, options.python, options.folder.absolute()))
    except UserError as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
