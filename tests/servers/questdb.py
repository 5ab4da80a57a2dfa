# SPDX-License-Identifier: Apache-2.0
"""A QuestDB of one's own on loopback ports: the release, the configuration and the durability of the role `questdb`."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import zipfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from station.errors import Unavailable
from station.journal.questdb import QuestDB as Client
from station.journal.questdb import Server

from fleet.errors import UserError
from fleet.paths import BUILD, PROJECT, VENV_BIN
from lab import programs
from tests.servers.process import Process, free_port

ROLE = PROJECT / "roles" / "questdb"
JAVA = programs.Programs("java", ("openjdk-21-jre-headless",))
USER, PASSWORD = "writer", "secret"
_PORTS = ("http", "health", "pg")
# What Debian and QuestDB call a machine.
_ARCHITECTURES = {"x86_64": ("amd64", "linux-x86-64"), "aarch64": ("arm64", "linux-aarch64")}


@dataclass
class QuestDB(Process):
    """The server; `provide` has to have been called once.

    Attributes:
        folder: of its data.
        heap_mib: memory of the Java heap, MiB.
        java: further options; by default it starts in half the time, and long work takes twice as long.
    """

    folder: Path
    heap_mib: int = 256
    java: tuple[str, ...] = ("-XX:TieredStopAtLevel=1",)
    _ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in _PORTS}, init=False)

    @property
    def log(self) -> Path:
        """Return the file of what it says."""
        return self.folder / "questdb.log"

    @property
    def http(self) -> str:
        """Return <host>:<port> of its HTTP server."""
        return f"127.0.0.1:{self._ports['http']}"

    def server(self, timeout: float = 30.0) -> Server:
        """Return how the journal reaches it."""
        return Server("127.0.0.1", self._ports["http"], USER, PASSWORD, timeout)

    def query(self, sql: str) -> list[list[Any]]:
        """Return the rows of a statement.

        Raises:
            Unavailable: the server does not answer, or not to that.
        """
        with closing(Client(self.server())) as client:
            return client.query(sql)

    def launch(self) -> None:
        """Start the program without waiting for anything."""
        self._configure()
        words = programs.command(JAVA, f"usr/lib/jvm/java-21-openjdk-{_ARCHITECTURES[platform.machine()][0]}/bin/java")
        words += [f"-Xmx{self.heap_mib}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", *self.java]
        # Made by the first run that ends in good order; those after it start in a third of the time.
        words += ["-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={_jar().with_suffix('.jsa')}"]
        words += [f"-XX:ErrorFile={self.folder}/hs_err_pid%p.log", f"-Dquestdb.libs.dir={_libraries()}"]
        words += ["-p", str(_jar()), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(self.folder)]
        secrets = {f"QDB_{name}_PASSWORD": PASSWORD for name in ("HTTP", "PG", "PG_READONLY")}
        self._spawn(words, {**os.environ, **secrets})

    def answers(self) -> bool:
        """Say whether it answers a query."""
        try:
            self.query("SELECT 1")
        except Unavailable:
            return False
        return True

    def _configure(self) -> None:
        """Do what the role's unit does before each start."""
        known = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
        known |= {f"questdb_{name}_port": port for name, port in self._ports.items()}
        known |= {"ansible_managed": "Written for a test.", "questdb_http_user": USER}
        files = FileSystemLoader(ROLE / "templates")
        # No page for a browser: what HTML means by < and & is nothing here.
        templates = Environment(loader=files, undefined=StrictUndefined, autoescape=False)  # noqa: S701
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        for name in ("server.conf", "log.conf"):
            (conf / name).write_text(templates.get_template(f"{name}.j2").render(known))


def provide() -> None:
    """Fetch Java, the server's jar and its native libraries, if they are not here.

    Raises:
        UserError: one of them cannot be had.
    """
    _link_within(programs.provide(JAVA))
    if not _jar().exists():
        _fetch(_jar())
    digest = hashlib.sha256(_jar().read_bytes()).hexdigest()
    if digest != _release()["sha256"]:
        raise UserError(f"{_jar()} has sha256 {digest}, not that of group_vars/questdb.yml: remove the file")
    if not _libraries().is_dir():
        _unpack(_libraries())


def _release() -> dict[str, str]:
    known: dict[str, str] = yaml.safe_load((PROJECT / "group_vars" / "questdb.yml").read_text())["questdb_release"]
    return known


def _jar() -> Path:
    return BUILD / "artifacts" / f"questdb-{_release()['version']}.jar"


def _libraries() -> Path:
    return _jar().with_suffix("") / _ARCHITECTURES[platform.machine()][1]


def _link_within(root: Path) -> None:
    """Let the links of Java's packages stay inside the folder: they mean the / of an installed machine."""
    for link in (root / "usr" / "lib" / "jvm").rglob("*"):
        if link.is_symlink() and (target := link.readlink()).is_absolute():
            link.unlink()
            link.symlink_to(os.path.relpath(root / target.relative_to("/"), link.parent))


def _fetch(jar: Path) -> None:
    """Fetch the jar as the role does, by Ansible's own module."""
    jar.parent.mkdir(parents=True, exist_ok=True)
    asked = f"group_id=org.questdb artifact_id=questdb version={_release()['version']} dest={jar}"
    words = [str(VENV_BIN / "ansible"), "localhost", "-m", "community.general.maven_artifact", "-a", asked]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=PROJECT)
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise UserError(f"cannot fetch {jar.name}: {' '.join(last)}; put the file into {jar.parent}")


def _unpack(folder: Path) -> None:
    fresh = folder.with_name(f".{folder.name}")
    fresh.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(_jar()) as archive:
        for name in archive.namelist():
            if name.startswith(f"io/questdb/bin/{folder.name}/") and name.endswith(".so"):
                with archive.open(name) as source, (fresh / Path(name).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    fresh.rename(folder)
