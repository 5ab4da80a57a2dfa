# SPDX-License-Identifier: Apache-2.0
"""A host as checks ask it: what fails is told in words, and a host that is away is asked once."""

from __future__ import annotations

import shlex
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

from fleet.run import words
from fleet.run.checks import HostAwayError

LONG = 80  # characters of an argument that is a program, rather than a name


class Told(CommandResult):
    """What came of a command, in words wherever it is printed; testinfra's own errors print it."""

    def __repr__(self) -> str:
        """Return the command without what runs it as root, and how it ended."""
        asked = shlex.split(self.command.decode()) or [""]
        return words.ended(asked[-1] if asked[0] == "sudo" else " ".join(asked), self.rc, [0], self.stdout, self.stderr)


class Reached(Host):
    """A host of testinfra.

    Attributes:
        name: in the inventory.
        place: where it is reached, in words.
        away: why it cannot be reached, once that is known.
    """

    name, place, away = "", "", ""

    def run(self, command: str, *args: str, **options: Any) -> Any:
        """Run a command; what every other way of asking the host comes to."""
        if self.away:
            raise HostAwayError(self.away)
        try:
            return Told(**vars(super().run(command, *args, **options)))
        except RuntimeError as error:  # testinfra's word for status 255: ssh's own, or the command's
            (result,) = error.args
            said = str(result.stderr).strip().splitlines() or ["the connection ended"]
            if command != "true" and self.run("true").rc == 0:
                return Told(**vars(result))
            self.away = f"{self.name} cannot be reached at {self.place}: {said[-1].rpartition(': ')[2]}"
            raise HostAwayError(self.away) from error

    def run_expect(self, expected: list[int], command: str, *args: str, **options: Any) -> Any:
        """Run a command that ends with one of some statuses."""
        __tracebackhide__ = True
        result = self.run(command, *args, **options)
        if result.rc not in expected:
            # A program that was given as an argument says nothing to a reader.
            shown = self.backend.quote(command, *("..." if "\n" in word or len(word) > LONG else word for word in args))
            raise AssertionError(words.ended(shown, result.rc, expected, result.stdout, result.stderr))
        return result

    def check_output(self, command: str, *args: str, **options: Any) -> str:
        """Return what a command printed that ended with 0."""
        __tracebackhide__ = True
        return str(self.run_expect([0], command, *args, **options).stdout).rstrip("\r\n")
