# SPDX-License-Identifier: Apache-2.0
"""The bench's journal is one that the station's own verifier accepts, and no other counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from station.errors import StationError
from station.journal.segments import segments

from tests.performance.bus import chain

RECORDS = 2_500


def test_what_is_appended_verifies(tmp_path: Path):
    chain.append(tmp_path, chain.journal(RECORDS))
    chain.check(tmp_path, RECORDS)


def test_a_journal_that_lacks_records_gives_no_figure(tmp_path: Path):
    chain.append(tmp_path, chain.journal(RECORDS - 1))
    with pytest.raises(StationError, match="2,499 records"):
        chain.check(tmp_path, RECORDS)


def test_nor_does_one_that_was_altered(tmp_path: Path):
    chain.append(tmp_path, chain.journal(RECORDS))
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"SYM042", b"SYM043", 1))
    with pytest.raises(StationError, match="altered at record"):
        chain.check(tmp_path, RECORDS)


def test_hashing_alone_depends_on_every_record_and_their_order():
    records = chain.journal(10)
    changed = [records, records[::-1], records[:-1], [b"x", *records[1:]], [*records[:-1], b"x"]]
    assert len({chain.hash_alone(one) for one in changed}) == len(changed)


def test_the_rates_have_hashlib_as_their_baseline():
    append, verify = chain.rows({"hashes": 350_000, "append": 210_000, "verify": 190_000}, size=395.6)
    assert append.metric == "chain in memory, 396 bytes a record, append"
    assert (append.baseline, append.ratio, append.met) == (350_000, 0.6, True)
    assert (verify.value, verify.met) == (190_000, False)
