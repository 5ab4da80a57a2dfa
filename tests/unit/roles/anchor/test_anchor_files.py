# SPDX-License-Identifier: Apache-2.0
"""The anchor's program: it keeps what a journal's key signed, once and in order, and nothing else."""

from __future__ import annotations

import base64
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from station.journal.checkpoint import Signer

from tests.unit.services.journal.anchor_kit import PROGRAM, Store, note
from tests.unit.services.journal.journal_kit import CHAIN_ID, SIGNER, STRANGER

OTHER = Signer("other.example/journal", bytes([7] * 32))
ORIGIN = f"station.example/journal/{CHAIN_ID.hex()}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_notes_are_kept_one_behind_the_other(store):
    for size in (1, 5, 9):
        status, text = store.ask(note(size))
        assert status == 0
        assert text.startswith(f"kept {size} ")
    assert store.file.read_bytes() == note(1) + note(5) + note(9)
    assert store.file.stat().st_mode & 0o007 == 0


def test_the_same_note_again_is_kept_once(store):
    assert store.ask(note(5)) == store.ask(note(5))
    assert store.file.read_bytes() == note(5)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (note(4), "it has 4 records, 5 were signed before"),
        (note(5, b"other"), "it has another record 5 than was signed before"),
        (
            note(9, chain_id=bytes(16)),
            f"its origin is station.example/journal/{bytes(16).hex()}, not {ORIGIN}",
        ),
    ],
    ids=["older", "forked", "a new chain"],
)
def test_another_history_is_refused(store, second, reason):
    store.ask(note(5))
    assert store.ask(second) == (3, f"refused: {reason}")
    assert store.file.read_bytes() == note(5)


@pytest.mark.parametrize("data", [b"", b"hello\n", note(5)[:-1], note(5) + b"x", note(5) + note(6), b"\0" * 10_000])
def test_what_is_no_note_is_not_kept(store, data):
    assert store.ask(data) == (2, "unusable: it is no checkpoint")
    assert not store.file.exists()


def last_character_changed() -> bytes:
    """Return a note whose signature has another spelling of the same bytes."""
    text, _, signature = note(5).rpartition(b" ")
    plain = signature.strip()
    for letter in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        other = plain.rstrip(b"=")[:-1] + bytes([letter]) + plain[len(plain.rstrip(b"=")) :]
        if other != plain and base64.b64decode(other) == base64.b64decode(plain):
            return text + b" " + other + b"\n"
    pytest.fail("the length of a signature leaves no bits that nobody reads")


@pytest.mark.parametrize(
    "data",
    [
        note(5, signer=STRANGER),
        note(5).replace(b"\n5\n", b"\n6\n"),
        note(5).replace(b"\xe2\x80\x94 station.example", b"\xe2\x80\x94 another.example"),
        note(5).rpartition(b" ")[0] + b" AAAA\n",
        note(5).rpartition(b" ")[0] + b" A\n",
        last_character_changed(),
    ],
    ids=["another key", "changed", "another name", "short", "no base64", "another spelling"],
)
def test_what_the_key_has_not_signed_is_not_kept(store, data):
    assert store.ask(data) == (2, "unusable: none of the journal's keys has signed it")
    assert not store.file.exists()


def test_a_journal_whose_key_is_not_known_is_told_so(store):
    assert store.ask(note(5, signer=OTHER)) == (
        2,
        "unusable: no key of a journal other.example/journal is known here",
    )
    assert list(store.folder.iterdir()) == []


def test_each_journal_has_a_file_of_its_own_that_no_other_key_writes(tmp_path):
    store = Store(tmp_path, SIGNER.verifier, OTHER.verifier)
    assert [store.ask(note(5))[0], store.ask(note(3, signer=OTHER))[0]] == [0, 0]
    assert (store.folder / "other.example%2Fjournal").read_bytes() == note(3, signer=OTHER)
    assert store.file.read_bytes() == note(5)
    stolen = OTHER.sign(note(9).partition(b"\n\n")[0] + b"\n")
    assert store.ask(stolen) == (2, "unusable: none of the journal's keys has signed it")
    renamed = stolen.replace(b"\xe2\x80\x94 other.", b"\xe2\x80\x94 station.")
    assert renamed != stolen
    assert store.ask(renamed) == (2, "unusable: none of the journal's keys has signed it")


def test_a_name_leads_out_of_the_folder_nowhere(tmp_path):
    up = Signer("..", bytes([8] * 32))
    store = Store(tmp_path, up.verifier)
    before = sorted(tmp_path.rglob("*"))
    assert store.ask(note(5, signer=up))[0] == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_key_goes_on_with_the_file_of_the_one_before(tmp_path):
    store = Store(tmp_path, STRANGER.verifier, SIGNER.verifier)
    assert [store.ask(note(5))[0], store.ask(note(6, signer=STRANGER))[0]] == [0, 0]
    assert store.file.read_bytes() == note(5) + note(6, signer=STRANGER)


def test_who_asks_gets_what_is_kept_with_its_length(store):
    assert store.ask(b"read station.example/journal\n") == (0, "has 0")
    store.ask(note(5))
    store.ask(note(6))
    kept = (note(5) + note(6)).decode().strip()
    assert store.ask(b"read station.example/journal\n") == (0, f"has {len(kept.encode()) + 1}\n{kept}")
    assert store.ask(b"read other.example/journal\n")[0] == 2
    assert store.ask(b"read ../anchor.keys\n")[0] == 2


def test_behind_half_a_note_the_next_one_is_whole(store):
    store.file.write_bytes(note(5) + note(6)[:40])
    assert store.ask(note(4))[0] == 3
    assert store.ask(note(7))[0] == 0
    assert store.file.read_bytes() == note(5) + note(6)[:40] + b"\n" + note(7)
    assert store.ask(note(6))[0] == 3


def test_a_file_that_is_something_else_is_left_alone(store):
    store.file.write_bytes(b"my diary\n")
    assert store.ask(note(5)) == (2, f"unusable: {store.file} has no checkpoint at its end")
    assert store.file.read_bytes() == b"my diary\n"


def test_a_file_that_cannot_be_written_and_keys_that_cannot_be_read_are_one_line(store):
    store.folder.rmdir()
    assert store.ask(note(5)) == (2, f"unusable: {store.file}: No such file or directory")
    store.keys.write_text("change-me\n")
    assert store.ask(note(5)) == (2, f"unusable: {store.keys} has a line that is no key")
    store.keys.unlink()
    assert store.ask(note(5)) == (2, f"unusable: {store.keys}: No such file or directory")


def test_the_last_note_is_found_in_a_long_file(store):
    store.file.write_bytes(b"".join(note(size) for size in range(1, 500)))
    assert store.ask(note(498))[0] == 3
    assert store.ask(note(500))[0] == 0


def test_two_at_once_keep_whole_notes_in_order(store):
    threads = [threading.Thread(target=store.ask, args=(note(size),)) for size in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [int(part.split(b"\n")[1]) for part in store.file.read_bytes().split(b"station.example/journal/")[1:]]
    assert sizes == sorted(sizes)
    assert store.file.read_bytes() == b"".join(note(size) for size in sizes)


def test_a_note_waits_for_the_one_that_is_being_kept(store):
    store.file.write_bytes(note(5))
    with store.file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = subprocess.Popen(store.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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


def test_without_keys_and_folder_it_says_how_it_is_used():
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, input="")
    assert (done.returncode, done.stderr) == (2, "usage: anchor KEYS FOLDER < request\n")
