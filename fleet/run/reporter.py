# SPDX-License-Identifier: Apache-2.0
"""The plugin of pytest for checks of real hosts: an event for each check, and words about what was found."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from fleet.run import words
from fleet.run.checks import NO_HOST, NOT_CHECKED, HostAwayError
from fleet.run.follow import DESCRIPTOR


class Reporter:
    """Writes to the descriptor that `fleet.run.follow` gives, if there is one."""

    def __init__(self) -> None:
        # Not handed on: what a check runs may write events of its own kind.
        descriptor = os.environ.pop(DESCRIPTOR, "")
        self._descriptor = int(descriptor) if descriptor.isdigit() else -1
        self._began = 0.0

    def _write(self, event: str, **fields: object) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, json.dumps({"event": event, **fields}).encode() + b"\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell how many checks there will be."""
        counts = Counter((_host(item), _role(item)) for item in session.items)
        self._write("plan", checks=[[host, role, count] for (host, role), count in counts.items()])

    def pytest_runtest_logstart(self) -> None:
        """A check begins."""
        self._began = time.monotonic()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Tell which check begins."""
        self._write("start", host=_host(item), role=_role(item), at=self._began)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell how a check ended; what fails when it is cleared away is told on top."""
        report = yield
        if report.when == "call" or not report.passed:
            state, message = _outcome(report.outcome, call.excinfo.value if call.excinfo else None)
            seconds = round(time.monotonic() - self._began, 3)
            told = {"name": _name(item), "state": state, "message": message, "seconds": seconds}
            self._write("check", host=_host(item), role=_role(item), **told)
        return report

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str]:
        """Say what was declared and what was found; where that is cut, the log has both whole."""
        sides = (f"{side}: {thing!r}" for side, thing in (("left", left), ("right", right)))
        return [words.compared(op, left, right), *(side for side in sides if len(side) > words.LIMIT)]


def _outcome(outcome: str, error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return outcome, ""
    if isinstance(error, HostAwayError):
        return NOT_CHECKED, str(error)
    if isinstance(error, pytest.skip.Exception):
        return outcome, str(error.msg)
    return outcome, words.reason(error)


def _parameters(item: pytest.Item) -> Any:
    return getattr(item, "callspec", None)


def _host(item: pytest.Item) -> str:
    given = _parameters(item)
    return str(given.params.get("_name", NO_HOST)) if given else NO_HOST


def _role(item: pytest.Item) -> str:
    return Path(item.path).stem.removeprefix("test_")


def _name(item: pytest.Item) -> str:
    """Return what a check says: its function's name as a sentence, with what it was given."""
    given = _parameters(item)
    sentence = str(getattr(item, "originalname", item.name)).removeprefix("test_").replace("_", " ")
    more = f"-{given.id}-".replace(f"-{_host(item)}-", "-", 1).strip("-") if given else ""
    return f"{sentence} ({more})" if more else sentence
