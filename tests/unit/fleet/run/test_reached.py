# SPDX-License-Identifier: Apache-2.0
"""A host that is asked by checks: its failures are words, and nobody waits for it twice."""

from __future__ import annotations

import pytest
from testinfra.backend.base import BaseBackend, CommandResult

from fleet.run.checks import HostAwayError
from fleet.run.reached import Reached


class Played:
    """Answers by the command: a status, and what it complains."""

    quote = staticmethod(BaseBackend.quote)

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers, self.asked = answers, 0

    def run(self, command: str, *_: str) -> CommandResult:
        self.asked += 1
        status, complaint = self.answers.get(command.split(maxsplit=1)[0], (0, ""))
        result = CommandResult(self, status, command.encode(), "said\n", complaint)
        if status == 255:
            raise RuntimeError(result)  # as testinfra's ssh does
        return result


def host(backend: Played) -> Reached:
    found = Reached(backend)
    found.name, found.place = "vps", "10.0.0.9 port 22"
    return found


def test_what_ends_well_gives_its_output():
    assert host(Played()).check_output("date") == "said"


def test_a_command_that_fails_is_told_with_its_last_complaint():
    with pytest.raises(AssertionError, match=r"^`cat /x` ended with status 1: no such file$"):
        host(Played(cat=(1, "cat:\nno such file\n"))).check_output("cat %s", "/x")


def test_a_program_that_is_an_argument_is_not_told():
    with pytest.raises(AssertionError, match=r"^`python3 -c \.\.\.` ended with status 1: "):
        host(Played(python3=(1, "KeyError"))).check_output("python3 -c %s", "import os\nprint(os)")


def test_a_host_that_does_not_answer_is_away_and_asked_no_more():
    silent = (255, "ssh: connect to host 10.0.0.9 port 22: Connection timed out\n")
    backend = Played(true=silent, date=silent)
    away = host(backend)
    for _ in range(3):
        with pytest.raises(
            HostAwayError, match=r"^vps cannot be reached at 10\.0\.0\.9 port 22: Connection timed out$"
        ):
            away.run("date")
    assert backend.asked == 2


def test_a_command_that_itself_ends_with_255_does_not_make_its_host_away():
    backend = Played(date=(255, "odd"))
    assert host(backend).run("date").rc == 255
    assert host(backend).run("uptime").rc == 0


def test_what_came_of_a_command_is_words_wherever_it_is_printed():
    backend = Played(cat=(1, "cat: /x: No such file\n"))
    result = host(backend).run("cat /x")
    assert f"Unexpected output {result}" == "Unexpected output `cat /x` ended with status 1: cat: /x: No such file"
    result.command = b"sudo /bin/sh -c 'cat /x'"
    assert str(result).startswith("`cat /x` ended")
