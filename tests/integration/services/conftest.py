# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests of the services."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from station.bus.wire import Server

from fleet import programs

READY_SECONDS = 30
# What Debian 12 and Ubuntu 24.04 have.
REDIS_7 = programs.Programs("redis-7", programs.REDIS.packages, "bookworm")


@dataclass
class RedisServer:
    """A Redis of our own on a UNIX socket, with the append-only file as the role redis sets it."""

    folder: Path
    release: programs.Programs
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def server(self, timeout: float = 5.0) -> Server:
        """Return how a bus reaches it."""
        return Server(self.socket, timeout=timeout)

    def client(self) -> redis.Redis:
        """Return the bare client, which does what no bus would."""
        return redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        words = [*programs.command(self.release, "usr/bin/redis-server"), "--port", "0"]
        words += ["--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "everysec", "--logfile", str(self.folder / "redis.log")]
        self.process = subprocess.Popen([*words, *self.options])
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.client().ping()
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                pass  # not yet
            else:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "redis.log"
                raise RuntimeError(f"redis-server does not start: {log.read_text() if log.exists() else 'no log'}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

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

    def stall(self) -> None:
        """Stop it where it stands."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def new_redis() -> Iterator[Callable[..., RedisServer]]:
    """Return a function that starts a server with further options; after the test all are gone with their data."""
    servers: list[RedisServer] = []

    def start(*options: str, release: programs.Programs = programs.REDIS) -> RedisServer:
        programs.provide(release)
        # Not below tmp_path: the name of a UNIX socket has 107 characters at most.
        server = RedisServer(Path(tempfile.mkdtemp(prefix="redis-")), release, options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()
        shutil.rmtree(server.folder)


@pytest.fixture
def redis_7_server(new_redis: Callable[..., RedisServer]) -> RedisServer:
    """Return a running server of the release before, empty."""
    return new_redis(release=REDIS_7)


@pytest.fixture
def redis_server(new_redis: Callable[..., RedisServer]) -> RedisServer:
    """Return a running server, empty."""
    return new_redis()
