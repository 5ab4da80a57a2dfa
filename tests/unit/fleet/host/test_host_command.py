# SPDX-License-Identifier: Apache-2.0
"""Running a command."""

from fleet.host import host_command


def test_a_command_answers_in_english_and_is_asked_nothing():
    done = host_command.run(["sh", "-c", "echo $LC_ALL $EXTRA; read answer || echo silent >&2"], 5, {"EXTRA": "more"})
    assert done == host_command.Done(0, "C more\n", "silent\n")


def test_a_command_that_fails_is_described_by_the_end_of_what_it_said():
    done = host_command.run(["sh", "-c", "echo 1; echo 2; echo 3; echo 4 >&2; exit 9"])
    assert (done.status, done.said) == (9, "2 | 3 | 4")
    assert host_command.run(["sh", "-c", "exit 9"]).said == "exit status 9"


def test_a_command_that_hangs_or_does_not_exist_is_answered_by_a_status():
    assert host_command.run(["sleep", "9"], 0.05) == host_command.Done(124, err="sleep: no end within 0 s")
    assert host_command.run(["/no/such/command"]).said == "/no/such/command: No such file or directory"


def test_bytes_that_are_no_text_are_no_traceback():
    assert host_command.run(["printf", r"\377"]).out == "�"
