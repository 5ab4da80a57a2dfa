# SPDX-License-Identifier: Apache-2.0
"""`station journal`: what it prints and which exit status it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from station import codec
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.cli import journal, main
from station.clock import SystemClock
from station.errors import Unavailable
from station.journal import service as at_work
from station.journal.checkpoint import Signer, VerifierKey
from station.journal.opening import Author

from tests.unit.services.cli.cli_kit import Said, event, told, write
from tests.unit.services.journal.anchor_kit import Store, note

SIGNER = Signer("station.example/journal", bytes(range(32)))


class Away:
    """A database that does not answer."""

    def __getattr__(self, _: str) -> Any:
        raise Unavailable("away")


@pytest.fixture
def journal_folder(tmp_path: Path, streams: Streams) -> Path:
    """Return a journal of three events, closed."""
    folder = tmp_path / "journal"
    folder.mkdir()
    (tmp_path / "keys").write_text(f"{SIGNER.verifier.text()}\n")
    bus = MemoryBus(streams)
    bus.publish([Entry("md:replay", f"7-{number}", codec.encode(event(number))) for number in (1, 2, 3)])
    made = at_work.start(folder, Author(SIGNER, {}), bus=bus, store=Away(), clock=SystemClock())
    made.step(0)
    made.close()
    return folder


def test_a_clean_journal_verifies(journal_folder: Path, tmp_path: Path, capsys: Said) -> None:
    words = [
        "journal",
        "verify",
        "--folder",
        str(journal_folder),
        "--keys",
        str(tmp_path / "keys"),
        "--without-questdb",
    ]
    found, output, _ = told(words, capsys)
    assert found == 0
    assert output.startswith("4 records are as they were written, 4 of them signed")
    assert json.loads(told([*words, "--json"], capsys)[1])["checked"] == 4


def test_an_altered_journal_is_status_1_with_record_and_kind(
    journal_folder: Path, tmp_path: Path, capsys: Said
) -> None:
    segment = next(journal_folder.glob("*.segment"))
    segment.write_bytes(segment.read_bytes().replace(b"7-2", b"7-9"))
    words = [
        "journal",
        "verify",
        "--folder",
        str(journal_folder),
        "--keys",
        str(tmp_path / "keys"),
        "--without-questdb",
    ]
    found, output, _ = told(words, capsys)
    assert found == 1
    assert output.startswith("altered at record 3: hash: ")


def test_a_verification_that_cannot_be_done_is_status_2(journal_folder: Path, tmp_path: Path, capsys: Said) -> None:
    words = ["journal", "verify", "--folder", str(journal_folder), "--without-questdb", "--keys"]
    assert told([*words, str(tmp_path / "nowhere")], capsys)[0] == 2
    found, _, error = told([*words, str(tmp_path / "keys"), "--anchor", "vps"], capsys)
    assert found == 2
    assert 'station: --anchor "vps": write NAME=FILE' in error


@pytest.fixture
def verified(journal_folder: Path, tmp_path: Path) -> list[str]:
    """Return the words that verify the journal with the anchors of its recorder's file, which has none yet."""
    recorder = write(tmp_path / "journal.yml", kind="recorder", name="journal", metrics_port=9301)
    words = ["journal", "verify", "--folder", str(journal_folder), "--keys", str(tmp_path / "keys")]
    return [*words, "--without-questdb", "--recorder", str(recorder)]


def name_anchors(tmp_path: Path, *anchors: dict[str, str]) -> None:
    file = tmp_path / "journal.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "anchors": list(anchors)}))


def test_the_anchors_of_the_recorder_are_asked(
    verified: list[str], journal_folder: Path, tmp_path: Path, capsys: Said
) -> None:
    store = Store(tmp_path)
    kept = (journal_folder / "checkpoints").read_bytes()
    with store.listening(tmp_path / "socket") as here, store.listening() as there:
        name_anchors(tmp_path, {"name": "oversight", "socket": here}, {"name": "aibox", "address": there})
        store.file.write_bytes(kept)
        found, output, _ = told(verified, capsys)
        assert (found, output) == (
            0,
            "4 records are as they were written, 4 of them signed, 4 anchored at oversight, 4 anchored at aibox\n",
        )
        store.file.write_bytes(kept + note(9))
        found, output, _ = told(verified, capsys)
        assert found == 1
        assert "a checkpoint that oversight keeps is of another chain" in output


def test_an_anchor_that_does_not_answer_is_status_2_unless_it_is_left_out_by_name(
    verified: list[str], journal_folder: Path, tmp_path: Path, capsys: Said
) -> None:
    name_anchors(tmp_path, {"name": "aibox", "socket": f"{tmp_path}/none"})
    found, _, error = told(verified, capsys)
    assert found == 2
    assert f"anchor aibox at {tmp_path}/none: [Errno 2] No such file or directory" in error
    assert "go on without it: --without-anchor aibox" in error
    assert told([*verified, "--without-anchor", "aibox"], capsys)[0] == 0
    copied = told([*verified, "--anchor", f"aibox={journal_folder}/checkpoints"], capsys)
    assert copied[0] == 0
    assert "4 anchored at aibox" in copied[1]
    found, _, error = told([*verified, "--without-anchor", "vps"], capsys)
    assert found == 2
    assert "--without-anchor vps: there is no such anchor, there is aibox" in error


def test_a_file_that_is_no_recorders_is_refused(verified: list[str], tmp_path: Path, capsys: Said) -> None:
    write(
        tmp_path / "journal.yml",
        kind="agent",
        name="momentum",
        metrics_port=9303,
        stream="strat:momentum",
        strategy={"name": "Momentum"},
        reads=["md:replay"],
        symbols=["EURUSD"],
    )
    found, _, error = told(verified, capsys)
    assert found == 2
    assert "journal.yml: is no recorder's file; name that one with --recorder" in error


def test_the_journal_of_this_host_is_not_verified_without_the_file_that_names_its_anchors(
    verified: list[str], journal_folder: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FOLDER", journal_folder)
    monkeypatch.setattr(journal, "RECORDER", tmp_path / "none.yml")
    found, _, error = told(verified[:-2], capsys)
    assert found == 2
    assert "none.yml: cannot be read: No such file or directory" in error


def test_the_database_is_asked_unless_it_is_left_out(
    journal_folder: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "QuestDB", lambda server: pytest.fail(f"{server.host}:{server.port} {server.user}"))
    words = ["journal", "verify", "--folder", str(journal_folder), "--keys", str(tmp_path / "keys")]
    with pytest.raises(pytest.fail.Exception, match="db:9001 reader"):
        main([*words, "--questdb", "db:9001", "--questdb-user", "reader"])
    assert told([*words, "--questdb", "db"], capsys)[0] == 2


def test_a_journal_is_exported_a_file_a_day(journal_folder: Path, tmp_path: Path, capsys: Said) -> None:
    words = ["journal", "export", str(tmp_path / "out"), "--folder", str(journal_folder)]
    found, output, _ = told(words, capsys)
    assert found == 0
    (file,) = (tmp_path / "out").iterdir()
    assert output == f"{file}: records 1 to 4\n"
    assert told([*words, "--since", "2999-01-01"], capsys)[1] == "no records\n"


def test_a_new_key_prints_both_halves(capsys: Said) -> None:
    private, public = told(["journal", "key", "station.example/journal"], capsys)[1].splitlines()
    assert Signer.parse(private).verifier == VerifierKey.parse(public)
