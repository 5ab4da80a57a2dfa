# SPDX-License-Identifier: Apache-2.0
"""The distribution's package archives as this machine's own apt sources name them: what the lab is built from."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import UserError

# What is taken from the archive of each distribution, unless a release is asked for by name.
SUITES: Mapping[str, str] = {"Debian": "trixie", "Ubuntu": "noble"}
# Ubuntu keeps a part of what the lab needs, Redis for one, in its second component.
COMPONENTS = {"Debian": "main", "Ubuntu": "main,universe"}


@dataclass(frozen=True)
class Mirrors:
    """The addresses of one distribution's archives."""

    main: str
    security: str


NO_MIRRORS = Mirrors(main="", security="")  # for images that keep the sources they come with


def find_mirrors(distribution: str) -> Mirrors:
    """Read the archive's addresses from this machine's apt sources.

    Args:
        distribution: `Debian` or `Ubuntu`, as apt calls the origin.

    Raises:
        UserError: none of the sources belongs to that distribution.
    """
    uris = _uris(distribution)
    if distribution not in uris:
        raise UserError(
            f"no {distribution} archive among this machine's apt sources: add one (with `apt-get update`), "
            "or choose an image of this machine's own distribution by LAB_IMAGE="
        )
    return Mirrors(main=uris[distribution], security=uris.get(f"{distribution}-Security", uris[distribution]))


def own() -> str:
    """Return the distribution that the lab is built from here: `Debian` where its archive is known, else `Ubuntu`.

    Raises:
        UserError: the machine's apt sources name neither.
    """
    for distribution in SUITES:
        if _uris(distribution).get(distribution):
            return distribution
    raise UserError(f"neither {' nor '.join(SUITES)} among this machine's apt sources: add one (with `apt-get update`)")


def sources(distribution: str, suite: str) -> list[str]:
    """Return the words that tell mmdebstrap where a release comes from.

    Raises:
        UserError: none of the machine's apt sources belongs to that distribution.
    """
    mirrors = find_mirrors(distribution)
    if distribution != "Ubuntu":
        return [mirrors.main]
    # Role base writes a Debian's sources; an Ubuntu image keeps these.
    components = COMPONENTS[distribution].replace(",", " ")
    pockets = [(mirrors.main, suite), (mirrors.main, f"{suite}-updates"), (mirrors.security, f"{suite}-security")]
    return [f"deb {uri} {pocket} {components}" for uri, pocket in pockets]


def _uris(distribution: str) -> dict[str, str]:
    # The label tells security archives apart on Debian; Ubuntu has one label for all, and its suites tell them apart.
    columns = "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SUITE)"
    words = ["apt-get", "indextargets", "--format", columns, "Created-By: Packages"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UserError("no apt-get here: the lab is built on Debian or Ubuntu") from error
    rows = [line.split("|") for line in done.stdout.splitlines()]
    uris = {}
    for origin, label, uri, suite in rows:
        if origin == distribution:
            security = label.endswith("-Security") or suite.endswith("-security")
            uris[f"{distribution}-Security" if security else label] = uri.rstrip("/")
    return uris
