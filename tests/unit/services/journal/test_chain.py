# SPDX-License-Identifier: Apache-2.0
"""The hash of the chain: golden values, and every part of what it covers."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.journal.chain import Head, extend, link, origin

CHAIN_ID = bytes(range(16))


def test_the_first_hash_is_made_of_prefix_chain_id_sequence_zeros_and_the_record_s_own_hash():
    # The formula of station.journal.chain, written a second time from its words.
    words = b"audit.v1\x00" + CHAIN_ID + (1).to_bytes(8, "big") + bytes(32) + hashlib.sha256(b"{}").digest()
    assert link(CHAIN_ID, origin(CHAIN_ID), b"{}") == Head(1, hashlib.sha256(words).digest())


def test_the_hash_of_two_records_is_this():
    head = link(CHAIN_ID, link(CHAIN_ID, origin(CHAIN_ID), b"first"), b"second")
    assert head.hash.hex() == "16bc3b4f76ce16f73422855642856dac26912a103e79a3dd2f4e544761e64acf"


def test_a_chain_id_of_another_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        origin(b"abc")


@given(st.lists(st.binary(max_size=100)), st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_many_records_at_once_are_the_same_as_one_after_the_other(records, sequence, last):
    head = Head(sequence, last)
    hashes = extend(CHAIN_ID, head, records)
    for record, digest in zip(records, hashes, strict=True):
        head = link(CHAIN_ID, head, record)
        assert digest == head.hash


@given(st.integers(0, 3), st.binary(max_size=50))
def test_any_other_part_gives_another_hash(part, record):
    head = Head(7, bytes(32))
    other = [
        (CHAIN_ID[::-1], head, record),
        (CHAIN_ID, Head(8, bytes(32)), record),
        (CHAIN_ID, Head(7, bytes(31) + b"x"), record),
        (CHAIN_ID, head, record + b"x"),
    ]
    assert link(CHAIN_ID, head, record).hash != link(*other[part]).hash
