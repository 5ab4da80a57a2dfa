# SPDX-License-Identifier: Apache-2.0
"""What a service writes to stderr."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from station import logs
from station.domain.operation import Health
from station.events import HealthEvent


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    text = io.StringIO()
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    logs.configure("replay", text)
    yield text
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = before[0], before[1]


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def event(correlation_id: str | None) -> HealthEvent:
    return HealthEvent(
        agent_id="replay",
        run=7,
        sequence=3,
        timestamp=1,
        available=1,
        correlation_id=correlation_id,
        payload=Health(state="ready"),
    )


def test_a_line_is_one_json_object_with_service_level_and_time(output: io.StringIO) -> None:
    structlog.get_logger().info("bus answers", streams=2)
    (line,) = lines(output)
    assert (line["event"], line["streams"], line["service"], line["level"]) == ("bus answers", 2, "replay", "info")
    assert line["timestamp"].endswith("Z")


def test_lines_about_an_event_carry_its_ids_and_later_lines_do_not(output: io.StringIO) -> None:
    log = structlog.get_logger()
    with logs.about(event("replay/7-1")):
        log.warning("late")
    log.warning("idle")
    late, idle = lines(output)
    assert (late["correlation_id"], late["event_id"]) == ("replay/7-1", "replay/7-3")
    assert "correlation_id" not in idle


def test_an_event_that_begins_a_chain_is_its_own_correlation(output: io.StringIO) -> None:
    with logs.about(event(None)):
        structlog.get_logger().info("handled")
    assert lines(output)[0]["correlation_id"] == "replay/7-3"


def test_libraries_write_the_same_lines_from_warnings_on(output: io.StringIO) -> None:
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("broken pipe")
    (line,) = lines(output)
    assert (line["event"], line["level"], line["service"]) == ("broken pipe", "warning", "replay")


def test_a_traceback_is_in_the_line_and_no_value_of_a_variable_is(output: io.StringIO) -> None:
    def refuse(secret: str) -> None:
        raise RuntimeError(f"refused {len(secret)} letters")

    password = " ".join(["correct", "horse"])
    try:
        refuse(password)
    except RuntimeError:
        structlog.get_logger().exception("stopped")
    (line,) = lines(output)
    assert "RuntimeError: refused 13 letters" in line["exception"]
    assert "correct horse" not in output.getvalue()
