# SPDX-License-Identifier: Apache-2.0
"""Entry ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.bus import ids

entry_ids = st.tuples(st.integers(0, 2**63), st.integers(0, 2**63))


@given(entry_ids)
def test_an_id_is_read_as_it_is_spelled(entry_id):
    assert ids.parse(ids.spell(entry_id)) == entry_id


@given(entry_ids, entry_ids)
def test_nothing_lies_between_an_id_and_the_one_behind_it(entry_id, other):
    assert entry_id < ids.behind(entry_id)
    assert not entry_id < other < ids.behind(entry_id)


@pytest.mark.parametrize("text", ["", "1", "1-", "1-2-3", "a-b", "-1"])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        ids.parse(text)
