# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests of the services."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import programs
from tests.servers.redis import Redis

# What Debian 12 and Ubuntu 24.04 have.
REDIS_7 = programs.Programs("redis-7", programs.REDIS.packages, {"Debian": "bookworm", "Ubuntu": "noble"})


@pytest.fixture
def new_redis() -> Iterator[Callable[..., Redis]]:
    """Return a function that starts a server with further options; after the test all are gone with their data."""
    servers: list[Redis] = []

    def start(*options: str, release: programs.Programs = programs.REDIS) -> Redis:
        programs.provide(release)
        # Not below tmp_path: the name of a UNIX socket has 107 characters at most.
        server = Redis(Path(tempfile.mkdtemp(prefix="redis-")), options, release)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()
        shutil.rmtree(server.folder)


@pytest.fixture
def redis_7_server(new_redis: Callable[..., Redis]) -> Redis:
    """Return a running server of the release before, empty."""
    return new_redis(release=REDIS_7)


@pytest.fixture
def redis_server(new_redis: Callable[..., Redis]) -> Redis:
    """Return a running server, empty."""
    return new_redis()
