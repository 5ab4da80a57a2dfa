# SPDX-License-Identifier: Apache-2.0
"""The base image: what the distribution's installer leaves behind, and nothing more."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from fleet.errors import UserError
from fleet.paths import BUILD
from lab import archive, mmdebstrap
from lab.containers import engine
from lab.containers.hosts import run_inside

# What is made from the distribution's archive, if this machine knows it.
SYSTEMS = {"debian:12": ("Debian", "bookworm"), "debian:13": ("Debian", "trixie"), "ubuntu:24.04": ("Ubuntu", "noble")}
DEFAULTS = {"Debian": "debian:13", "Ubuntu": "ubuntu:24.04"}
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


def default() -> str:
    """Return the image that the lab takes when none is named: of the distribution whose archive is known here."""
    return DEFAULTS[archive.own()]


def provide(client: docker.DockerClient, name: str) -> str:
    """Make sure the engine has the base image and return its tag.

    Args:
        client: the engine.
        name: `debian:13`, `debian:12`, `ubuntu:24.04`, or an image that a registry has.

    Raises:
        UserError: the archive or registry cannot be reached, or the image cannot be made.
    """
    recipe = _recipe(name)
    tag = f"station-lab:{name.replace(':', '-')}-{recipe}"
    try:
        client.images.get(tag)
    except ImageNotFound:
        if _from_archive(name):
            _import(client, _bootstrap(*SYSTEMS[name], recipe), tag)
        else:
            _derive(client, name, tag)
    return tag


def is_cached(name: str) -> bool:
    """Say whether the image was built before, so that `provide` needs no archive."""
    return name in SYSTEMS and _tarball(SYSTEMS[name][1], _recipe(name)).exists()


def _from_archive(name: str) -> bool:
    # An Ubuntu image comes from a registry where the machine knows no Ubuntu archive.
    return name in SYSTEMS and (SYSTEMS[name][0] == "Debian" or archive.own() == "Ubuntu")


def _recipe(name: str) -> str:
    return hashlib.sha256(" ".join(("mmdebstrap", name, *OPTIONS, *PACKAGES)).encode()).hexdigest()[:12]


def _tarball(suite: str, recipe: str) -> Path:
    return CACHE / f"{suite}-{recipe}.tar"


def _bootstrap(distribution: str, suite: str, recipe: str) -> Path:
    tarball = _tarball(suite, recipe)
    if tarball.exists():
        return tarball
    engine.require_root()
    engine.install_packages()
    _require_reachable(f"{archive.find_mirrors(distribution).main}/dists/{suite}/InRelease")
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = tarball.with_suffix(".partial.tar")
    command = [
        *mmdebstrap.COMMAND,
        *OPTIONS,
        f"--components={archive.COMPONENTS[distribution]}",
        f"--include={','.join(PACKAGES)}",
        suite,
        str(partial),
        *archive.sources(distribution, suite),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        reason = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()[-1:]
        raise UserError(f"cannot build the {suite} image: {reason[0] if reason else 'mmdebstrap failed'}")
    shutil.move(partial, tarball)
    return tarball


def _require_reachable(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=20):  # noqa: S310 - the address is apt's own
            return
    except (urllib.error.URLError, TimeoutError) as error:
        raise UserError(
            f"cannot reach {url}: {error} (the lab's image is made from the distribution's archive)"
        ) from error


def _import(client: docker.DockerClient, tarball: Path, tag: str) -> None:
    repository, version = tag.split(":")
    client.api.import_image_from_file(str(tarball), repository=repository, tag=version)


def _derive(client: docker.DockerClient, name: str, tag: str) -> None:
    try:
        client.images.get(name)
    except ImageNotFound:
        try:
            client.images.pull(name)
        except DockerException as error:
            raise UserError(
                f"cannot pull {name}: {getattr(error, 'explanation', error)}; no registry? use LAB_IMAGE={default()}"
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
