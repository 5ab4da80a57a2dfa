# SPDX-License-Identifier: Apache-2.0
"""A clock that the test moves and servers that stand for a vendor's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.services.feeds.bench import SteeredClock
from tests.integration.services.feeds.vendors import servers
from tests.unit.services.feeds.feeds_kit import Notes


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def stream() -> Iterator[servers.Stream]:
    """Return a websocket server; the test writes its scripts."""
    with servers.stream() as running:
        yield running


@pytest.fixture
def rest() -> Iterator[servers.Rest]:
    """Return an HTTP server; the test says what it knows."""
    with servers.rest(lambda _: servers.as_json([])) as running:
        yield running
