# SPDX-License-Identifier: Apache-2.0
"""Commands reach QuestDB as the recorder of the host does."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from station.cli import questdb
from station.errors import StationError

from tests.unit.services.cli.cli_kit import write


@pytest.fixture(autouse=True)
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the recorder's file would be; the credentials are there."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(questdb, "RECORDER", tmp_path / "journal.yml")
    for name in ("questdb-http", "history"):
        (tmp_path / name).write_text(f"password-of-{name}\n")
    return tmp_path / "journal.yml"


def asked(*words: str) -> questdb.Access:
    parser = argparse.ArgumentParser()
    questdb.add_access(parser)
    return questdb.access(parser.parse_args(words))


def described(recorder: Path, **database: str) -> None:
    write(recorder, kind="recorder", name="journal", metrics_port=9301, questdb=database)


def test_it_is_the_recorders_database(recorder: Path) -> None:
    described(recorder, address="127.0.0.1:9010", user="scribe", password_file="history")
    found = asked()
    assert (found.host, found.port, found.user, found.password) == ("127.0.0.1", 9010, "scribe", "password-of-history")


def test_an_option_comes_before_the_recorders_file(recorder: Path) -> None:
    described(recorder, address="127.0.0.1:9010")
    found = asked("--questdb", "db:9001", "--questdb-user", "reader", "--questdb-credential", "history")
    assert (found.host, found.port, found.user, found.password) == ("db", 9001, "reader", "password-of-history")


def test_without_a_recorder_it_is_the_database_of_its_defaults() -> None:
    found = asked()
    assert (found.host, found.port, found.user, found.password) == (
        "127.0.0.1",
        9000,
        "writer",
        "password-of-questdb-http",
    )


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(StationError, match=r'--questdb "db": write HOST:PORT, such as 127\.0\.0\.1:9000'):
        asked("--questdb", "db")


def test_a_recorders_file_that_is_wrong_is_not_passed_over(recorder: Path) -> None:
    recorder.write_text("kind: recorder\n")
    with pytest.raises(StationError, match=r"journal\.yml"):
        asked()
