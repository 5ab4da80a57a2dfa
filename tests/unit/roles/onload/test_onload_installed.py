# SPDX-License-Identifier: Apache-2.0
"""A release is installed, kept, or taken back. A host that keeps a list of commands plays dpkg, apt and DKMS."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet.host.host_command import Done
from roles.onload.library.onload_installed import Host, OnloadError, State, converge, decide, first_error

OLD, NEW = "0" * 16, "1" * 16
RELEASES = {OLD: "9.2.0", NEW: "9.2.1"}
VERSIONS = {"onload-user": "9.2.1", "onload-dkms": "9.2.1"}


class FakeHost(Host):
    """Installs by remembering; `refuses` are versions whose module does not compile."""

    def __init__(self, store: Path, refuses: Sequence[str] = ()) -> None:
        super().__init__(store, "6.12.0-test")
        self.refuses = refuses
        self.installed: dict[str, str] = {}
        self.built: set[str] = set()
        self.commands: list[str] = []

    def run(self, *words: str) -> Done:
        self.commands.append(" ".join(words))
        match words:
            case ["dpkg-query", *_]:
                return self.answer("".join(f"{name} installed {version}\n" for name, version in self.installed.items()))
            case ["dpkg-deb", *_, path]:
                name, version, _ = path.rsplit("/", 1)[1].split("_")
                return self.answer(f"{name} {version}")
            case ["apt-get", *_] if "purge" in words:
                self.installed, self.built = {}, set()
            case ["apt-get", *_]:
                self.installed = dict(path.rsplit("/", 1)[1].split("_")[:2] for path in words if path.endswith(".deb"))
                self.built = set() if self.version in self.refuses else {self.kernel}
                if not self.built:
                    return Done(100, "", "E: Sub-process /usr/bin/dpkg returned an error code (1)")
            case ["modinfo", *_]:
                return Done(0 if self.kernel in self.built else 1)
            case ["dkms", "autoinstall", *_] if self.version not in self.refuses:
                self.built.add(self.kernel)
        return self.answer("")

    @property
    def version(self) -> str:
        return self.installed.get("onload-dkms", "")

    @staticmethod
    def answer(text: str) -> Done:
        return Done(0, text)

    def build_error(self) -> str:
        return ""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path


def files(store: Path, release: str) -> list[dict[str, str]]:
    """Lay the files of a release down, as the role does just before, and return them as pinned."""
    (store / release).mkdir(exist_ok=True)
    entries = []
    for name in VERSIONS:
        path = store / release / f"{name}_{RELEASES[release]}_all.deb"
        path.write_text(release)
        entries.append({"path": str(path), "sha256": hashlib.sha256(release.encode()).hexdigest()})
    return entries


@pytest.mark.parametrize(
    ("state", "versions", "actions"),
    [
        (State(), {}, ["build", "install", "record"]),
        (State(), VERSIONS, ["install", "record"]),
        (State(NEW, VERSIONS, True), VERSIONS, []),
        (State(NEW, VERSIONS, False), VERSIONS, ["modules"]),
        (State(OLD, VERSIONS, True), VERSIONS, ["install", "record"]),
        (State(NEW, {"onload-user": "9.2.1"}, True), VERSIONS, ["install", "record"]),
        (State("", VERSIONS, True), VERSIONS, ["install", "record"]),
    ],
)
def test_what_is_done_follows_from_what_is_there(state, versions, actions):
    assert decide(state, NEW, versions) == actions


def test_a_release_is_installed_once_in_one_transaction_and_recorded(store):
    host = FakeHost(store)
    assert converge(host, files(store, NEW), NEW, check_mode=False) == ["install", "record"]
    installing = [command for command in host.commands if " install " in command]
    assert len(installing) == 1
    assert all(f"{name}_9.2.1_all.deb" in installing[0] for name in VERSIONS)
    assert (store / "current").readlink().name == NEW
    assert converge(host, files(store, NEW), NEW, check_mode=False) == []


def test_a_dry_run_installs_nothing_whether_the_files_are_there_or_not(store):
    host = FakeHost(store)
    assert converge(host, files(store, NEW), NEW, check_mode=True) == ["install", "record"]
    absent = [{"path": str(store / "absent.deb"), "sha256": "0" * 64}]
    assert converge(host, absent, "2" * 16, check_mode=True) == ["install", "record"]
    assert not any("apt-get" in command for command in host.commands)


def test_a_file_that_is_not_the_pinned_one_never_reaches_dpkg(store):
    host = FakeHost(store)
    wanted = files(store, NEW)
    (store / NEW / "onload-dkms_9.2.1_all.deb").write_text("altered")
    with pytest.raises(OnloadError, match="nothing was installed"):
        converge(host, wanted, NEW, check_mode=False)
    assert not any("dpkg-deb" in command or "apt-get" in command for command in host.commands)


def test_an_upgrade_keeps_the_release_before_and_removes_older_ones(store):
    host = FakeHost(store)
    (store / ("2" * 16)).mkdir()
    converge(host, files(store, OLD), OLD, check_mode=False)
    converge(host, files(store, NEW), NEW, check_mode=False)
    assert ((store / "current").readlink().name, (store / "previous").readlink().name) == (NEW, OLD)
    assert sorted(path.name for path in store.iterdir()) == [OLD, NEW, "current", "previous"]


def test_an_upgrade_that_does_not_build_brings_the_release_before_back(store):
    host = FakeHost(store, refuses=["9.2.1"])
    converge(host, files(store, OLD), OLD, check_mode=False)
    with pytest.raises(OnloadError, match=rf"the release before \({OLD}\) is installed again"):
        converge(host, files(store, NEW), NEW, check_mode=False)
    assert host.version == "9.2.0"
    assert host.module_there()
    assert (store / "current").readlink().name == OLD


def test_a_first_installation_that_does_not_build_is_removed_again(store):
    host = FakeHost(store, refuses=["9.2.1"])
    with pytest.raises(OnloadError, match="the packages are removed again"):
        converge(host, files(store, NEW), NEW, check_mode=False)
    assert host.installed == {}
    assert not (store / "current").exists()


def test_after_a_new_kernel_only_the_modules_are_built(store):
    host = FakeHost(store)
    converge(host, files(store, NEW), NEW, check_mode=False)
    host.built.clear()
    host.commands.clear()
    assert converge(host, files(store, NEW), NEW, check_mode=False) == ["modules"]
    assert host.module_there()
    assert not any("apt-get" in command for command in host.commands)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("make: Entering\nonload.c:2: error: too new\nmake: *** Error 2\n", "onload.c:2: error: too new"),
        ("nothing useful\n", "nothing useful"),
        ("", "no log"),
    ],
)
def test_the_reason_of_a_failed_build_is_its_first_error(log, line):
    assert first_error(log) == line
