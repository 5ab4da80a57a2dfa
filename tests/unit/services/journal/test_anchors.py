# SPDX-License-Identifier: Apache-2.0
"""Anchors: what was signed is kept elsewhere, and nothing that hangs or refuses stops anybody."""

from __future__ import annotations

import fcntl
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from station.journal.anchors import Anchor, Command, Socket
from station.journal.chain import Head
from station.journal.checkpoint import Checkpoint, origin_of

from fleet.paths import PROJECT
from tests.unit.services.journal.journal_kit import CHAIN_ID, SIGNER

PROGRAM = PROJECT / "roles" / "agents" / "files" / "anchor.py"


def note(size: int, digest: bytes = b"h", origin: str = "station.example/journal") -> bytes:
    return SIGNER.sign(Checkpoint(origin_of(origin, CHAIN_ID), Head(size, digest.ljust(32, b"."))).text())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "station.checkpoints"


@pytest.fixture
def anchor(file: Path) -> Anchor:
    """Return an anchor whose program is the real one."""
    return Anchor("oversight", Command([sys.executable, str(PROGRAM), str(file)]), every_s=0)


def run(file: Path | str, data: bytes) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(PROGRAM), str(file)], input=data, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    return done.returncode, done.stdout.decode().strip()


def test_notes_are_kept_one_behind_the_other(file):
    for size in (1, 5, 9):
        status, text = run(file, note(size))
        assert status == 0
        assert text.startswith(f"kept {size} ")
    assert file.read_bytes() == note(1) + note(5) + note(9)
    assert file.stat().st_mode & 0o007 == 0


def test_the_same_note_again_is_kept_once(file):
    assert run(file, note(5)) == run(file, note(5))
    assert file.read_bytes() == note(5)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (note(4), "it has 4 records, 5 were signed before"),
        (note(5, b"other"), "it has another record 5 than was signed before"),
        (
            note(9, origin="other"),
            f"its origin is other/{CHAIN_ID.hex()}, not station.example/journal/{CHAIN_ID.hex()}",
        ),
    ],
)
def test_another_history_is_refused(file, second, reason):
    run(file, note(5))
    assert run(file, second) == (3, f"refused: {reason}")
    assert file.read_bytes() == note(5)


@pytest.mark.parametrize("data", [b"", b"hello\n", note(5)[:-1], note(5) + b"x", note(5) + note(6), b"\0" * 10_000])
def test_what_is_no_note_is_not_kept(file, data):
    assert run(file, data) == (2, "standard input is no checkpoint")
    assert not file.exists()


def test_behind_half_a_note_the_next_one_is_whole(file):
    file.write_bytes(note(5) + note(6)[:40])
    assert run(file, note(4))[0] == 3
    assert run(file, note(7))[0] == 0
    assert file.read_bytes() == note(5) + note(6)[:40] + b"\n" + note(7)
    assert run(file, note(6))[0] == 3


def test_a_file_that_is_something_else_is_left_alone(file):
    file.write_bytes(b"my diary\n")
    assert run(file, note(5)) == (2, f"{file} has no checkpoint at its end")
    assert file.read_bytes() == b"my diary\n"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    assert run(tmp_path / "none" / "file", note(5)) == (2, f"{tmp_path}/none/file: No such file or directory")


def test_the_last_note_is_found_in_a_long_file(file):
    file.write_bytes(b"".join(note(size) for size in range(1, 500)))
    assert run(file, note(498))[0] == 3
    assert run(file, note(500))[0] == 0


def test_two_at_once_keep_whole_notes_in_order(file):
    threads = [threading.Thread(target=run, args=(file, note(size))) for size in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [int(part.split(b"\n")[1]) for part in file.read_bytes().split(b"station.example/journal/")[1:]]
    assert sizes == sorted(sizes)
    assert file.read_bytes() == b"".join(note(size) for size in sizes)


def test_a_note_waits_for_the_one_that_is_being_kept(file):
    file.write_bytes(note(5))
    with file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        words = [sys.executable, str(PROGRAM), str(file)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(note(6))
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        other.write(note(7))
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
    assert process.wait(timeout=10) == 3
    assert process.stdout is not None
    process.stdout.close()


def test_without_a_file_it_says_how_it_is_used():
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, input="")
    assert (done.returncode, done.stderr) == (2, "usage: anchor FILE < note\n")


def test_the_program_needs_nothing_but_python():
    done = subprocess.run([sys.executable, "-I", "-S", str(PROGRAM)], capture_output=True, text=True, check=False)
    assert "usage" in done.stderr


def test_a_note_that_is_kept_is_counted(anchor, file):
    assert anchor.hand_over(note(5))
    assert (anchor.state.kept, anchor.state.trouble) == (1, "")
    assert file.read_bytes() == note(5)


def test_a_refusal_is_told_apart_from_silence(anchor):
    anchor.hand_over(note(5))
    assert anchor.hand_over(note(4))
    assert (anchor.state.refused, anchor.state.failed) == (1, 0)
    assert "anchor oversight has another history: refused: it has 4 records" in anchor.state.trouble
    anchor.hand_over(note(6))
    assert anchor.state.trouble == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["/nowhere/ssh"], "no answer: .*No such file"),
        (["false"], "no answer"),
        (["sh", "-c", "echo Permission denied >&2; exit 255"], "Permission denied"),
        (["sleep", "60"], "no answer: nothing within 0.2 s"),
    ],
)
def test_an_anchor_that_does_not_answer_is_counted(words, reason):
    anchor = Anchor("aibox", Command(words, timeout_s=0.2))
    assert not anchor.hand_over(note(5))
    assert (anchor.state.failed, anchor.state.refused, anchor.state.kept) == (1, 0, 0)
    assert re.match(f"anchor aibox: {reason}", anchor.state.trouble)


class Recalcitrant:
    """A way that fails some times, and remembers what it was given."""

    def __init__(self, failures: int) -> None:
        self.failures, self.given = failures, list[bytes]()
        self.asked, self.release = threading.Event(), threading.Event()

    def __call__(self, note: bytes) -> str:
        self.given.append(note)
        self.asked.set()
        assert self.release.wait(10)
        if len(self.given) <= self.failures:
            raise TimeoutError("silence")
        return "kept"


def test_only_the_newest_note_waits_for_an_anchor_that_hangs():
    way = Recalcitrant(failures=0)
    anchor = Anchor("slow", way, every_s=0)
    thread = threading.Thread(target=anchor.run)
    thread.start()
    anchor.offer(b"1")
    assert way.asked.wait(10)
    for number in (b"2", b"3", b"4"):
        anchor.offer(number)
    anchor.stop()
    way.release.set()
    thread.join(10)
    assert not thread.is_alive()
    assert way.given == [b"1", b"4"]


def test_a_note_that_was_not_answered_is_tried_again_until_there_is_a_newer_one():
    way = Recalcitrant(failures=2)
    way.release.set()
    anchor = Anchor("slow", way, every_s=0)
    thread = threading.Thread(target=anchor.run)
    thread.start()
    anchor.offer(b"1")
    while not anchor.state.kept:
        assert thread.is_alive()
    anchor.stop()
    thread.join(10)
    assert way.given == [b"1", b"1", b"1"]
    assert anchor.state.failed == 2


def test_a_newer_note_takes_the_place_of_one_that_was_not_answered():
    way = Recalcitrant(failures=1)
    anchor = Anchor("slow", way, every_s=0)
    thread = threading.Thread(target=anchor.run)
    thread.start()
    anchor.offer(b"1")
    assert way.asked.wait(10)
    anchor.offer(b"2")
    way.release.set()
    while not anchor.state.kept:
        assert thread.is_alive()
    anchor.stop()
    thread.join(10)
    assert way.given == [b"1", b"2"]


def test_an_anchor_that_never_answers_does_not_keep_the_thread():
    way = Recalcitrant(failures=1000)
    anchor = Anchor("slow", way, every_s=60)
    thread = threading.Thread(target=anchor.run, daemon=True)
    thread.start()
    anchor.offer(b"1")
    assert way.asked.wait(10)
    anchor.stop()
    way.release.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def listener(tmp_path: Path, file: Path) -> Iterator[Path]:
    """Yield a socket behind which the program runs for each connection, as systemd does with Accept=yes."""
    path = tmp_path / "anchor.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for _ in range(2):
                channel, _ = server.accept()
                with channel:
                    command = [sys.executable, str(PROGRAM), str(file)]
                    subprocess.run(command, stdin=channel.fileno(), stdout=channel.fileno(), check=False)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        thread.join(10)


def test_an_anchor_behind_a_socket_keeps_and_refuses_too(listener, file):
    anchor = Anchor("oversight", Socket(listener))
    assert anchor.hand_over(note(5))
    assert anchor.hand_over(note(4))
    assert (anchor.state.kept, anchor.state.refused) == (1, 1)
    assert file.read_bytes() == note(5)


def test_a_socket_that_is_not_there_is_no_answer(tmp_path):
    anchor = Anchor("oversight", Socket(tmp_path / "none"))
    assert not anchor.hand_over(note(5))
    assert anchor.state.trouble == "anchor oversight: no answer: [Errno 2] No such file or directory"
