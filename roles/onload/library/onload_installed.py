#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Install Onload's packages from pinned files, prove that the running kernel got its modules, or go back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: onload_installed
short_description: Install Onload from pinned files, with modules for the running kernel
description:
  - Installs the two packages C(onload-user) and C(onload-dkms) together, or builds them first from a source release.
  - Checks the SHA-256 of each file on the host before dpkg reads it.
  - A release counts as installed when DKMS has built its module for the running kernel. Otherwise the release that was
    there before is installed again, or the packages are removed if there was none, and the task fails with one line.
  - Never loads or unloads a module, because that takes the card's links down.
options:
  packages:
    description: The files on the host.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      sha256: {description: SHA-256., type: str, required: true}
  release:
    description: Name of exactly these files; the name of the folder in C(store) where they lie.
    type: str
    required: true
  store:
    description: Folder of the releases. The installed one and the one before are kept.
    type: path
    default: /var/lib/fleet/onload
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Install Onload
  onload_installed:
    release: 0123456789abcdef
    packages:
      - {path: /var/lib/fleet/onload/0123456789abcdef/onload-user_9.2.1_amd64.deb, sha256: "..."}
      - {path: /var/lib/fleet/onload/0123456789abcdef/onload-dkms_9.2.1_all.deb, sha256: "..."}
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in order.
  type: list
  elements: str
  returned: always
pending:
  description: Modules that are installed and that the running kernel has not loaded, or has loaded in another version.
  type: list
  elements: str
  returned: always
profiles:
  description: Names of the profiles that the release ships and the host has.
  type: list
  elements: str
  returned: always
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import host_command
else:
    from ansible.module_utils import host_command

NAMES = ("onload-user", "onload-dkms")
# sfc is the card's driver, which the release brings in place of the kernel's own; onload is the stack.
MODULES = ("sfc", "onload")
PROFILES = Path("/usr/libexec/onload/profiles")
APT = (
    *("apt-get", "--yes", "--quiet", "--no-install-recommends"),
    *("--option=Dpkg::Options::=--force-confold", "--option=DPkg::Lock::Timeout=600"),
)


class OnloadError(Exception):
    """The release could not be installed; the message is one line."""


@dataclass(frozen=True)
class State:
    """What the host has: release on record, versions of fully installed packages, a module for the running kernel."""

    release: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    module: bool = False


def decide(state: State, release: str, versions: Mapping[str, str]) -> list[str]:
    """Say what has to be done.

    Args:
        state: What the host has.
        release: The wanted release.
        versions: Versions of its packages, empty while they are not built.

    Returns:
        Actions in order: build, install, modules, record.
    """
    if not versions:
        return ["build", "install", "record"]
    # A run that was killed before it left a record installs again, and so does another file of the same version.
    if state.versions != versions or state.release != release:
        return ["install", "record"]
    return [] if state.module else ["modules"]


def first_error(log: str) -> str:
    """Return the line of a build's log that says why it failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no log"])[0]


class Host:
    """The commands on the host."""

    def __init__(self, store: Path, kernel: str) -> None:
        """Remember where releases lie and which kernel runs."""
        self.store = store
        self.kernel = kernel

    def run(self, *words: str) -> host_command.Done:
        """Run a command; needrestart restarts nothing behind it."""
        return host_command.run(words, environment={"NEEDRESTART_SUSPEND": "1"})

    def state(self) -> State:
        """Look at packages, module and record."""
        shown = self.run(
            "dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status} ${Version}\\n", *NAMES
        ).out
        words = [line.split() for line in shown.splitlines()]
        versions = {entry[0]: entry[2] for entry in words if len(entry) == 3 and entry[1] == "installed"}
        current = self.store / "current"
        return State(current.readlink().name if current.is_symlink() else "", versions, self.module_there())

    def module_there(self) -> bool:
        """Whether the running kernel can load the stack."""
        return self.run("modinfo", "-k", self.kernel, "-F", "filename", "onload").status == 0

    def pending(self) -> list[str]:
        """Return the modules that would change at the next boot."""
        waiting = []
        for name in MODULES:
            installed = self.run("modinfo", "-k", self.kernel, "-F", "srcversion", name).out.strip()
            loaded = Path("/sys/module") / name / "srcversion"
            running = loaded.read_text(encoding="ascii").strip() if loaded.exists() else ""
            if installed and installed != running and (running or name == "onload"):
                waiting.append(name)
        return waiting

    def packages(self, release: str) -> list[Path]:
        """Return the .deb files of a release, those built from source included."""
        folder = self.store / release
        return sorted(
            path for path in [*folder.glob("*.deb"), *folder.glob("built/*.deb")] if path.name.split("_")[0] in NAMES
        )

    def versions(self, packages: Sequence[Path]) -> dict[str, str]:
        """Return name and version that packages say of themselves."""
        found = {}
        for path in packages:
            shown = self.run("dpkg-deb", "--showformat=${Package} ${Version}", "--show", str(path))
            if shown.status != 0:
                raise OnloadError(f"{path} is not a Debian package: {shown.err.strip()}")
            name, version = shown.out.split()
            found[name] = version
        return found

    def build(self, release: str) -> None:
        """Build the packages from the source release, with the script the vendor ships for that."""
        folder = self.store / release
        archive, work = next(folder.glob("*gz")), folder / "source"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        if self.run("tar", "--extract", "--no-same-owner", f"--directory={work}", f"--file={archive}").status != 0:
            raise OnloadError(f"{archive.name} cannot be unpacked")
        scripts = sorted(work.glob("*/scripts/onload_mkpackage"))
        if not scripts:
            raise OnloadError(
                f"{archive.name} holds no scripts/onload_mkpackage: it is not a source release of Onload 9"
            )
        words = ["--deb", "--user", "--dkms", "--install-deps", "--force", f"{archive}"]
        done = self.run(
            str(scripts[0]), "--resultdir", str(folder / "built"), "--builddir", str(work / "build"), *words
        )
        shutil.rmtree(work)
        if done.status != 0 or {path.name.split("_")[0] for path in self.packages(release)} != set(NAMES):
            raise OnloadError(f"onload_mkpackage: {first_error(done.out + done.err)}")

    def apt_install(self, release: str) -> None:
        """Install a release's packages together, whatever version is there."""
        paths = [str(path) for path in self.packages(release)]
        done = self.run(*APT, "install", "--reinstall", "--allow-downgrades", "--allow-change-held-packages", *paths)
        if done.status != 0:
            raise OnloadError(self.build_error() or f"apt-get: {first_error(done.err)}")

    def require_module(self) -> None:
        """Have DKMS build for the running kernel what it has not built yet."""
        if not self.module_there():
            self.run("dkms", "autoinstall", "-k", self.kernel)
        if not self.module_there():
            raise OnloadError(self.build_error() or f"DKMS made no module onload for the kernel {self.kernel}")

    def install(self, release: str) -> None:
        """Install a release with modules for the running kernel."""
        self.apt_install(release)
        self.require_module()

    def modules(self, release: str) -> None:
        """Get the modules back for a release whose packages are there: a new kernel, or a file that was deleted."""
        try:
            self.require_module()
        except OnloadError:  # DKMS does not notice a deleted file; installing again makes it
            self.install(release)

    def build_error(self) -> str:
        """Return why the newest build failed, empty if none did."""
        logs = sorted(Path("/var/lib/dkms").glob("*onload*/*/build/make.log"), key=os.path.getmtime)
        return f"DKMS for the kernel {self.kernel}: {first_error(logs[-1].read_text(errors='replace'))}" if logs else ""

    def go_back(self, state: State) -> str:
        """Restore what was there before and say what that is."""
        if state.release and self.packages(state.release):
            try:
                self.install(state.release)
            except OnloadError as error:
                return f"and the release before ({state.release}) did not come back either: {error}"
            return f"the release before ({state.release}) is installed again"
        self.run(*APT, "purge", *NAMES)
        return "the packages are removed again, the card runs on the kernel's own driver"

    def record(self, release: str, before: str) -> None:
        """Note which release is installed, keep the one before it, remove older ones."""
        for link, target in (("previous", before), ("current", release)):
            if target and (link == "current" or target != release):
                new = self.store / f".{link}.new"
                new.unlink(missing_ok=True)
                new.symlink_to(target)
                new.replace(self.store / link)
        kept = {path.readlink().name for path in self.store.iterdir() if path.is_symlink()}
        for path in self.store.iterdir():
            if path.is_dir() and not path.is_symlink() and path.name not in kept:
                shutil.rmtree(path)


def check_files(packages: Sequence[Mapping[str, str]]) -> None:
    """Refuse a file on the host that is not the pinned one."""
    for package in packages:
        with Path(package["path"]).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != package["sha256"]:
            raise OnloadError(
                f"{package['path']} has sha256 {found}, pinned is {package['sha256']}: nothing was installed"
            )


def converge(host: Host, packages: Sequence[Mapping[str, str]], release: str, check_mode: bool) -> list[str]:
    """Bring the host to the release and return what was done."""
    state = host.state()
    if not all(Path(package["path"]).exists() for package in packages):
        if check_mode:  # the files would have been copied just before
            return ["install", "record"]
        raise OnloadError(f"the files of release {release} are not in {host.store}")
    check_files(packages)
    actions = decide(state, release, host.versions(host.packages(release)))
    if check_mode:
        return actions
    try:
        for action in actions:
            if action == "record":
                host.record(release, state.release)
            else:
                getattr(host, action)(release)
    except OnloadError as error:
        raise OnloadError(
            f"{error}; {host.go_back(state) if 'install' in actions else 'nothing was changed'}"
        ) from error
    return actions


def main() -> None:
    """Ansible's entry point."""
    package = {"path": {"type": "path", "required": True}, "sha256": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "dict", "required": True, "options": package},
            "release": {"type": "str", "required": True},
            "store": {"type": "path", "default": "/var/lib/fleet/onload"},
        },
        supports_check_mode=True,
    )
    parameters: dict[str, Any] = module.params
    host = Host(Path(parameters["store"]), os.uname().release)
    try:
        actions = converge(host, parameters["packages"], parameters["release"], module.check_mode)
    except OnloadError as error:
        module.fail_json(msg=f"onload: {error}")
    profiles = sorted(path.stem for path in PROFILES.glob("*.opf"))
    module.exit_json(changed=bool(actions), actions=actions, pending=host.pending(), profiles=profiles)


if __name__ == "__main__":
    main()
