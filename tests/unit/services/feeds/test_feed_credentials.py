# SPDX-License-Identifier: Apache-2.0
"""A secret comes out of its file as one word, or the file is named and what it holds is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from station.errors import StationError
from station.feeds.credentials import read_token


@pytest.mark.parametrize("content", ["0123abcd", "0123abcd\n", "  0123abcd \r\n"])
def test_space_around_the_token_does_not_matter(tmp_path: Path, content: str):
    (tmp_path / "tiingo").write_text(content)
    assert read_token(tmp_path / "tiingo") == "0123abcd"


@pytest.mark.parametrize("content", [b"", b"\n", b"secret one\n", b"secret\nsecret\n", b"secr\xe9t", b"secr\x00et"])
def test_what_is_no_single_word_is_refused_without_quoting_it(tmp_path: Path, content: bytes):
    (tmp_path / "tiingo").write_bytes(content)
    with pytest.raises(StationError, match="tiingo: ") as caught:
        read_token(tmp_path / "tiingo")
    assert "secr" not in str(caught.value)


def test_a_missing_file_says_where_credentials_come_from(tmp_path: Path):
    with pytest.raises(StationError, match=r"tiingo: FileNotFoundError: give the service LoadCredential="):
        read_token(tmp_path / "tiingo")
