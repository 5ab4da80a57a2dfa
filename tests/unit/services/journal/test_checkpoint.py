# SPDX-License-Identifier: Apache-2.0
"""Signed notes: what Go's sumdb/note signs and reads, and nothing that differs in one bit."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import StationError
from station.journal.chain import Head
from station.journal.checkpoint import BadNote, Checkpoint, Signer, VerifierKey, opened, origin_of

from tests.unit.services.journal.journal_kit import CHAIN_ID, SIGNER, STRANGER

# The example in the documentation of golang.org/x/mod/sumdb/note: Ed25519 gives the same signature everywhere.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJ"
    "nAM=\n".encode()
)

CHECKPOINT = Checkpoint(origin_of("station.example/journal", CHAIN_ID), Head(1234, hashlib.sha256(b"head").digest()))
NOTE = SIGNER.sign(CHECKPOINT.text())
KEYS = [SIGNER.verifier]


def test_a_key_in_go_s_spelling_signs_go_s_example_byte_for_byte():
    signer = Signer.parse(GO_PRIVATE + "\n")
    assert signer.sign(GO_TEXT) == GO_NOTE
    assert signer.verifier.text() == GO_PUBLIC
    assert signer.text() == GO_PRIVATE


def test_a_key_in_go_s_spelling_knows_its_own_signature_and_no_other_text():
    key = VerifierKey.parse(GO_PUBLIC)
    signature = base64.b64decode(GO_NOTE.split(b" ")[-1])
    assert key.signed(GO_TEXT, signature)
    assert not key.signed(GO_TEXT + b" ", signature)


def test_the_key_hash_covers_name_line_feed_algorithm_and_key():
    key = SIGNER.verifier
    assert key.hash == hashlib.sha256(b"station.example/journal\n\x01" + key.key).digest()[:4]


def test_a_checkpoint_is_origin_size_and_hash_a_line_each():
    lines = NOTE.decode().split("\n")
    assert lines[:4] == [
        "station.example/journal/000102030405060708090a0b0c0d0e0f",
        "1234",
        base64.b64encode(CHECKPOINT.head.hash).decode(),
        "",
    ]
    assert lines[4].startswith("— station.example/journal ")
    assert lines[5:] == [""]


def test_what_was_signed_comes_back():
    assert opened(NOTE, [STRANGER.verifier, SIGNER.verifier]) == CHECKPOINT


def test_a_note_of_another_key_of_the_same_name_is_refused():
    with pytest.raises(BadNote, match="the checkpoint of 1234 records is not signed by the journal's key"):
        opened(STRANGER.sign(CHECKPOINT.text()), KEYS)


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 7))
def test_a_note_with_any_bit_flipped_is_refused(place, bit):
    flipped = NOTE[:place] + bytes([NOTE[place] ^ 1 << bit]) + NOTE[place + 1 :]
    with pytest.raises(BadNote):
        opened(flipped, KEYS)


def test_a_signature_has_one_spelling():
    # The last character before the padding has two bits that no decoder reads.
    last = NOTE[-3:-2].decode()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(last) ^ 1].encode()
    assert base64.b64decode(NOTE.split(b" ")[-1]) == base64.b64decode((NOTE[:-3] + other + NOTE[-2:]).split(b" ")[-1])
    with pytest.raises(BadNote):
        opened(NOTE[:-3] + other + NOTE[-2:], KEYS)


@given(st.integers(0, len(NOTE) - 1))
def test_a_part_of_a_note_is_refused(length):
    with pytest.raises(BadNote):
        opened(NOTE[:length], KEYS)


@given(st.text(alphabet=st.characters(exclude_characters="+", exclude_categories=("Cs", "Z", "C")), min_size=1))
def test_a_key_of_any_name_comes_back_from_its_text(name):
    signer = Signer(name, b"k" * 32)
    assert VerifierKey.parse(signer.verifier.text()) == signer.verifier
    assert Signer.parse(signer.text()).verifier == signer.verifier


@pytest.mark.parametrize(
    "text",
    ["", "journal", GO_PUBLIC[:-4], GO_PUBLIC.replace("Peter", "Petra"), GO_PUBLIC.replace("ARpc", "ARpd"), GO_PRIVATE],
)
def test_a_text_that_is_no_verifier_key_is_refused(text):
    with pytest.raises(StationError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("text", ["", GO_PUBLIC, GO_PRIVATE[:-3], GO_PRIVATE.replace("AYEK", "AYEL")])
def test_a_damaged_private_key_is_refused_and_not_shown(text):
    with pytest.raises(StationError) as caught:
        Signer.parse(text)
    assert "FALVFGyNhPJEMzD1QIDr" not in str(caught.value)


def test_a_key_comes_from_a_file_and_a_missing_one_is_one_line(tmp_path):
    file = tmp_path / "journal.key"
    file.write_text(SIGNER.text() + "\n")
    assert Signer.load(file).verifier == SIGNER.verifier
    with pytest.raises(StationError, match="has to hold the journal's private key"):
        Signer.load(tmp_path / "none")


@pytest.mark.parametrize(("name", "seed"), [("two words", bytes(32)), ("a+b", bytes(32)), ("", bytes(32)), ("a", b"x")])
def test_a_key_has_a_name_of_one_word_and_32_bytes(name, seed):
    with pytest.raises(StationError, match="a key has a name"):
        Signer(name, seed)
