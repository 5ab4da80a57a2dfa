# SPDX-License-Identifier: Apache-2.0
"""The base image: what the distribution's installer leaves behind, and nothing more."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from fleet.errors import UserError
from fleet.paths import BUILD
from lab import mmdebstrap
from lab.containers import engine
from lab.containers.hosts import run_inside

SUITES = {"debian:12": "bookworm", "debian:13": "trixie"}
DEFAULT = "debian:13"
PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd-sysv",
)
# An installed machine has the archive's lists, without which a dry run on a bare host finds no package; and it has host
# keys of its own, which each container therefore makes at its first boot.
OPTIONS = ("--variant=minbase", "--skip=cleanup/apt/lists", '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*')
CACHE = BUILD / "lab"


@dataclass(frozen=True)
class Mirrors:
    """The distribution's archives, as the machine's own apt sources name them."""

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
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split("|") for line in done.stdout.splitlines()]
    uris = {label: uri.rstrip("/") for origin, label, uri in rows if origin == distribution}
    if distribution not in uris:
        raise UserError(
            f"no {distribution} archive among this machine's apt sources: add one (with `apt-get update`), "
            "or choose an image of this machine's own distribution by LAB_IMAGE="
        )
    return Mirrors(main=uris[distribution], security=uris.get(f"{distribution}-Security", uris[distribution]))


def provide(client: docker.DockerClient, name: str) -> str:
    """Make sure the engine has the base image and return its tag.

    Args:
        client: the engine.
        name: `debian:13`, `debian:12`, or an image that a registry has, such as `ubuntu:24.04`.

    Raises:
        UserError: the archive or registry cannot be reached, or the image cannot be made.
    """
    recipe = _recipe(name)
    tag = f"station-lab:{name.replace(':', '-')}-{recipe}"
    try:
        client.images.get(tag)
    except ImageNotFound:
        if name in SUITES:
            _import(client, _bootstrap(SUITES[name], recipe), tag)
        else:
            _derive(client, name, tag)
    return tag


def is_cached(name: str) -> bool:
    """Say whether the image was built before, so that `provide` needs no archive."""
    return name in SUITES and _archive(SUITES[name], _recipe(name)).exists()


def _recipe(name: str) -> str:
    return hashlib.sha256(" ".join(("mmdebstrap", name, *OPTIONS, *PACKAGES)).encode()).hexdigest()[:12]


def _archive(suite: str, recipe: str) -> Path:
    return CACHE / f"{suite}-{recipe}.tar"


def _bootstrap(suite: str, recipe: str) -> Path:
    archive = _archive(suite, recipe)
    if archive.exists():
        return archive
    engine.require_root()
    engine.install_packages()
    mirror = find_mirrors("Debian").main
    _require_reachable(f"{mirror}/dists/{suite}/InRelease")
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial.tar")
    command = [
        *mmdebstrap.COMMAND,
        *OPTIONS,
        f"--include={','.join(PACKAGES)}",
        suite,
        str(partial),
        mirror,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        reason = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()[-1:]
        raise UserError(f"cannot build the {suite} image: {reason[0] if reason else 'mmdebstrap failed'}")
    shutil.move(partial, archive)
    return archive


def _require_reachable(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=20):  # noqa: S310 - the address is apt's own
            return
    except (urllib.error.URLError, TimeoutError) as error:
        raise UserError(
            f"cannot reach {url}: {error} (the lab's image is made from the distribution's archive)"
        ) from error


def _import(client: docker.DockerClient, archive: Path, tag: str) -> None:
    repository, version = tag.split(":")
    client.api.import_image_from_file(str(archive), repository=repository, tag=version)


def _derive(client: docker.DockerClient, name: str, tag: str) -> None:
    try:
        client.images.get(name)
    except ImageNotFound:
        try:
            client.images.pull(name)
        except DockerException as error:
            raise UserError(
                f"cannot pull {name}: {getattr(error, 'explanation', error)}; no registry? use LAB_IMAGE={DEFAULT}"
            ) from error
    container = client.containers.run(name, ["sleep", "600"], detach=True)
    try:
        install = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(PACKAGES)}"
        install += " && rm -f /etc/ssh/ssh_host_*"
        code, output = run_inside(container, ["sh", "-c", install], {"DEBIAN_FRONTEND": "noninteractive"})
        if code != 0:
            raise UserError(f"cannot prepare {name}: {output.strip().splitlines()[-1]}")
        repository, version = tag.split(":")
        container.commit(repository, version)
    finally:
        container.remove(force=True)
