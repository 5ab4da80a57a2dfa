# SPDX-License-Identifier: Apache-2.0
"""The services of one station as processes, each told what its unit on a host would tell it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.servers import questdb
from tests.servers.process import Process, free_port
from tests.servers.redis import users

_DATAGRAM = 4096


@dataclass
class Service(Process):
    """One service, which speaks to us as to systemd.

    Attributes:
        path: its file, in a folder beside which it logs.
        credentials: the folder of its secrets.
        environment: further variables.
        alive_at: when it last said that it gets on, seconds of the monotonic clock.
    """

    path: Path
    credentials: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: bool = field(default=False, init=False)
    alive_at: float = field(default=0.0, init=False)
    _ear: socket.socket = field(init=False)
    _address: str = field(init=False)

    def __post_init__(self) -> None:
        """Open the socket that the service speaks to."""
        self._address = f"station-{os.getpid()}-{self.path.stem}-{time.monotonic_ns()}"
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._ear.bind(f"\0{self._address}")

    @property
    def log(self) -> Path:
        """Return the file of what it says."""
        return self.path.parent.parent / f"{self.path.stem}.log"

    def launch(self) -> None:
        """Start the program without waiting for anything."""
        self.hear()
        self.ready, self.alive_at = False, time.monotonic()
        environment = {
            **os.environ,
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            "NOTIFY_SOCKET": f"@{self._address}",
            **self.environment,
        }
        self._spawn([sys.executable, "-m", "station", "run", str(self.path)], environment)

    def answers(self) -> bool:
        """Say whether it has said that it is ready."""
        self.hear()
        return self.ready

    def hear(self) -> None:
        """Take in what it has said."""
        with suppress(BlockingIOError):
            while True:
                states = self._ear.recv(_DATAGRAM).split(b"\n")
                self.ready = self.ready or b"READY=1" in states
                self.alive_at = time.monotonic()

    def close(self) -> None:
        """End it, if it runs, and hear no more."""
        self.kill()
        self._ear.close()


class Station:
    """The services of one host.

    Attributes:
        folder: of everything they keep.
        services: by name, in the order in which they start.
    """

    def __init__(
        self,
        folder: Path,
        redis: Path,
        services: Sequence[Mapping[str, Any]],
        journal_key: str,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write their files.

        Args:
            folder: empty.
            redis: the socket of a server with `redis.access`.
            services: what their files say, except what is the same for all of a host.
            journal_key: the key that signs checkpoints, as text.
            environment: further variables of their processes.
        """
        self.folder = folder
        for name in ("halt", "services", "credentials"):
            (folder / name).mkdir()
        secrets = {f"redis-{name}": name for name in users()}
        secrets |= {"journal-key": journal_key, "questdb-http": questdb.PASSWORD}
        for name, secret in secrets.items():
            (folder / "credentials" / name).write_text(f"{secret}\n")
        self.services = {service["name"]: self._add(service, redis, environment) for service in services}

    def start(self, name: str) -> None:
        """Start a service and wait until it is ready.

        Raises:
            RuntimeError: it does not get there.
        """
        self.services[name].start()

    def end(self, name: str) -> int:
        """Stop a service as systemd does and return its exit status."""
        return self.services[name].stop()

    def kill(self, name: str) -> None:
        """End a service as a crash does."""
        self.services[name].kill()

    def stall(self, name: str) -> None:
        """Stop a service where it stands."""
        self.services[name].stall()

    def resume(self, name: str) -> None:
        """Let a service go on."""
        self.services[name].resume()

    def close(self) -> None:
        """End all of them."""
        for service in self.services.values():
            service.close()

    def _add(self, service: Mapping[str, Any], redis: Path, environment: Mapping[str, str]) -> Service:
        name, folder = service["name"], self.folder
        user = "journal" if service["kind"] == "recorder" else "agents"
        common: dict[str, Any] = {
            "metrics_port": free_port(),
            "halt_folder": str(folder / "halt"),
            "state_folder": str(folder / name),
            "redis": {"socket": str(redis), "user": user, "password_file": f"redis-{user}"},
        }
        for own in (common["state_folder"], service.get("folder", folder)):
            Path(own).mkdir(exist_ok=True)
        path = folder / "services" / f"{name}.yml"
        path.write_text(yaml.safe_dump({**common, **service}, sort_keys=False))
        return Service(path, folder / "credentials", environment)
