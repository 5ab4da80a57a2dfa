# SPDX-License-Identifier: Apache-2.0
"""Anchors: what was signed is kept elsewhere, and nothing that hangs or refuses stops anybody."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from station.journal import anchors
from station.journal.anchors import Anchor, Listener

from tests.unit.services.journal.anchor_kit import Store, note

JOURNAL = "station.example/journal"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture(params=["unix", "tcp"])
def listener(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Listener]:
    """Yield an anchor's socket on this host, then one of another."""
    with store.listening(tmp_path / "socket" if request.param == "unix" else None) as place:
        yield Listener(place)


@contextmanager
def saying(*parts: bytes, closes: bool = True, drips: bytes = b"") -> Iterator[Listener]:
    """Yield a socket behind which one request is answered as told; one that drips goes on byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard = threading.Event()

        def serve() -> None:
            channel, _ = server.accept()
            with channel:
                while channel.recv(4096):
                    pass
                for part in parts:
                    channel.sendall(part)
                while not closes and not heard.wait(0.005):
                    with suppress(OSError):
                        channel.sendall(drips)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Listener(f"127.0.0.1:{server.getsockname()[1]}", timeout_s=0.2)
        finally:
            heard.set()
            thread.join(10)


def test_a_note_that_is_kept_is_counted(listener, store):
    anchor = Anchor("oversight", listener)
    assert anchor.hand_over(note(5))
    assert (anchor.state.kept, anchor.state.trouble) == (1, "")
    assert store.file.read_bytes() == note(5)


def test_a_refusal_is_told_apart_from_silence(listener):
    anchor = Anchor("oversight", listener)
    anchor.hand_over(note(5))
    assert anchor.hand_over(note(4))
    assert (anchor.state.refused, anchor.state.failed) == (1, 0)
    assert "anchor oversight has another history: refused: it has 4 records" in anchor.state.trouble
    anchor.hand_over(note(6))
    assert anchor.state.trouble == ""


def test_what_an_anchor_keeps_is_fetched_whole(listener):
    found = BytesIO()
    listener.fetch(JOURNAL, found)
    assert found.getvalue() == b""
    listener(note(5))
    listener(note(6))
    listener.fetch(JOURNAL, found)
    assert found.getvalue() == note(5) + note(6)


def test_more_than_one_block_is_fetched_whole(listener, store):
    kept = b"".join(note(size) for size in range(1, 2000))
    assert len(kept) > 4 * anchors._BLOCK
    store.file.write_bytes(kept)
    found = BytesIO()
    listener.fetch(JOURNAL, found)
    assert found.getvalue() == kept


def test_an_anchor_that_does_not_know_the_journal_is_no_empty_one(listener):
    with pytest.raises(OSError, match="unusable: no key of a journal other is known here"):
        listener.fetch("other", BytesIO())


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "no answer"),
        ([b"has 10\n", b"12345"], "5 bytes came of the 10 that it has"),
        ([b"has 10 \n"], "has 10"),
        ([b"x" * 10_000], "x+"),
        ([b"has %d\n" % (anchors.LARGEST_BYTES + 1)], "it keeps 1,073,741,825 bytes, too many to ask for; copy them"),
    ],
)
def test_half_an_answer_is_none(parts, reason):
    with saying(*parts) as listener, pytest.raises(OSError, match=f"^{reason}"):
        listener.fetch(JOURNAL, BytesIO())


def test_an_anchor_that_sends_more_than_it_says_is_not_listened_to():
    wrong = "bytes came of the 10 that it has"
    with saying(b"has 10\n", closes=False, drips=b"1" * 8) as listener, pytest.raises(OSError, match=wrong):
        listener.fetch(JOURNAL, BytesIO())


def test_an_anchor_that_answers_otherwise_is_counted():
    for parts, closes, reason in (
        ([], True, "no answer"),
        ([], False, "no answer: timed out"),
        ([b"kept"], False, "no answer: timed out"),
        ([b"unusable: no space\n"], True, "unusable: no space"),
        ([b"x" * 100_000], False, "x+"),
    ):
        with saying(*parts, closes=closes) as listener:
            anchor = Anchor("aibox", listener)
            assert not anchor.hand_over(note(5))
        assert (anchor.state.failed, anchor.state.refused, anchor.state.kept) == (1, 0, 0)
        assert re.fullmatch(f"anchor aibox: {reason}", anchor.state.trouble)


def test_an_anchor_that_sends_a_byte_now_and_then_gets_no_more_time():
    with saying(closes=False, drips=b"x") as listener:
        anchor = Anchor("aibox", listener)
        assert not anchor.hand_over(note(5))
    assert anchor.state.trouble == "anchor aibox: no answer: timed out"


def test_a_socket_that_is_not_there_is_no_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for place, reason in (
        (f"{tmp_path}/none", "[Errno 2] No such file or directory"),
        (f"127.0.0.1:{port}", "[Errno 111] Connection refused"),
    ):
        anchor = Anchor("oversight", Listener(place))
        assert not anchor.hand_over(note(5))
        assert anchor.state.trouble == f"anchor oversight: no answer: {reason}"


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
