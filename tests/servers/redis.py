# SPDX-License-Identifier: Apache-2.0
"""A Redis of one's own on a UNIX socket, with the append-only file as the role `redis` sets it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry
from station.bus.wire import Server

from fleet.paths import PROJECT
from lab import programs
from roles.redis.filter_plugins.redis_acl import DEFAULT_USER
from tests.servers.process import Process


def users() -> Mapping[str, str]:
    """Return the role's users and their rules."""
    defaults = yaml.safe_load((PROJECT / "roles" / "redis" / "defaults" / "main.yml").read_text())
    rules: dict[str, str] = defaults["redis_users"]
    return rules


def access() -> tuple[str, ...]:
    """Return options that let in the role's users only; the password of each is its name."""
    words = ["--user", *DEFAULT_USER.split()[1:]]
    for name, rules in users().items():
        words += ["--user", name, "on", f">{name}", *rules.split()]
    return tuple(words)


@dataclass
class Redis(Process):
    """The server; its packages have to be there (`programs.provide`).

    Attributes:
        folder: of its data, with a short name: that of a UNIX socket has 107 characters at most.
        options: further words of its command line.
        release: where the program is from.
        appendfsync: as in redis.conf.
    """

    folder: Path
    options: tuple[str, ...] = ()
    release: programs.Programs = programs.REDIS
    appendfsync: str = "everysec"

    @property
    def log(self) -> Path:
        """Return the file of what it says."""
        return self.folder / "redis.log"

    @property
    def socket(self) -> Path:
        """Return where it listens."""
        return self.folder / "redis.sock"

    def server(self, user: str = "", password: str = "", timeout: float = 5.0) -> Server:
        """Return how a bus reaches it; the password of a user of `access` is its name."""
        return Server(self.socket, user, password or user, timeout)

    def client(self, user: str | None = None) -> redis.Redis:
        """Return the bare client, which does what no bus would."""
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.socket), username=user, password=user, retry=retry)

    def launch(self) -> None:
        """Start the program without waiting for anything."""
        words = [*programs.command(self.release, "usr/bin/redis-server"), "--port", "0"]
        words += ["--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", self.appendfsync]
        self._spawn([*words, *self.options])

    def answers(self) -> bool:
        """Say whether it has read its file."""
        try:
            self.client().ping()
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
        return True

    def forget(self, since: Callable[[], None]) -> None:
        """Do something, then crash as if none of it had been written to the file yet.

        With `appendfsync everysec` Redis answers while it holds back writes, for up to two seconds while an fsync takes
        that long (redis.io/docs, latency: "AOF and disk I/O").
        """
        kept = self.folder / "kept"
        shutil.copytree(self.folder / "appendonlydir", kept)
        since()
        self.kill()
        shutil.rmtree(self.folder / "appendonlydir")
        kept.rename(self.folder / "appendonlydir")
