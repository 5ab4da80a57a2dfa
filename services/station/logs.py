# SPDX-License-Identifier: Apache-2.0
"""Logs: JSON lines on stderr, from where journald takes them, with the correlation id of the event they are about."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import TextIO

import structlog

from station.events import Event

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,  # without the values of variables: one may be a secret
]


def configure(service: str, output: TextIO = sys.stderr) -> None:
    """Send the logs of this process, those of its libraries from warnings on, to one place.

    Args:
        service: name of the service, in every line.
        output: where lines go.
    """
    render = structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[*_SHARED, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)
    libraries = logging.StreamHandler(output)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=_SHARED
        )
    )
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)


def about(event: Event) -> AbstractContextManager[None]:
    """Give every line of a block the ids of an event."""
    return structlog.contextvars.bound_contextvars(
        correlation_id=event.correlation_id or event.event_id, event_id=event.event_id
    )
