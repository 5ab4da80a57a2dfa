# SPDX-License-Identifier: Apache-2.0
"""The command `station`: what it prints and which exit status it has."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from station import codec
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.cli import main, status
from station.errors import Unavailable
from station.halt import Latch

from tests.unit.services.cli.cli_kit import Said, event, told, write


def test_config_check_is_silent_about_what_is_right(feed_file: Path, capsys: Said) -> None:
    assert told(["config", "check", str(feed_file)], capsys) == (0, "", "")


def test_config_check_says_each_mistake_on_a_line_of_its_own(tmp_path: Path, capsys: Said) -> None:
    bad = write(tmp_path / "bad.yml", kind="feed", name="replay", nam=1)
    found, output, error = told(["config", "check", str(bad)], capsys)
    assert (found, output) == (1, "")
    assert [line.split(": ")[1] for line in error.splitlines()] == ["metrics_port", "stream", "feed", "nam"]


def test_config_show_is_a_table_of_settings_and_sources(feed_file: Path, capsys: Said) -> None:
    found, output, _ = told(["config", "show", str(feed_file)], capsys)
    assert found == 0
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines()}
    assert rows["setting"] == ["value", "from"]
    assert rows["metrics_port"] == ["9201", f"{feed_file}:4"]
    assert rows["watchdog_s"] == ["30", "default"]


def test_config_show_of_a_mistake_is_one_line(tmp_path: Path, capsys: Said) -> None:
    bad = write(tmp_path / "bad.yml", kind="feed", name="replay", metrics_port=9201)
    found, output, error = told(["config", "show", str(bad)], capsys)
    assert (found, output) == (2, "")
    assert error.startswith(f"station: {bad}:1: stream: missing")
    assert error.count("\n") == 1


def test_halt_resume_and_halted_agree(tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ["--folder", str(tmp_path)]
    assert told(["halted", *folder], capsys) == (0, "orders may go out\n", "")
    found, output, _ = told(["halt", "--reason", "drill", *folder], capsys)
    assert found == 0
    assert output.endswith(": drill\n")
    assert told(["halted", *folder], capsys)[:2] == (1, output)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{Latch(tmp_path).words()}\n"))
    assert told(["resume", *folder], capsys)[0] == 0
    assert told(["halted", *folder], capsys)[0] == 0


@pytest.mark.parametrize("typed", ["yes\n", ""])
def test_resume_with_other_words_changes_nothing(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    main(["halt", "--folder", str(tmp_path)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    found, output, _ = told(["resume", "--folder", str(tmp_path)], capsys)
    assert found == 1
    assert output.endswith("other words: still denied\n")
    assert not Latch(tmp_path).allowed().allowed


def test_resume_of_what_is_not_halted_is_refused(tmp_path: Path, capsys: Said) -> None:
    found, _, error = told(["resume", "--folder", str(tmp_path)], capsys)
    assert (found, "nothing is halted" in error) == (2, True)


def test_the_kill_switch_needs_neither_bus_nor_database_nor_vendors() -> None:
    words = "import sys, station.cli; station.cli.main(['halted']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"redis", "httpx", "questdb", "pyarrow", "pydantic", "yaml", "websockets", "prometheus_client"}


@pytest.fixture
def services(tmp_path: Path) -> list[str]:
    (tmp_path / "services").mkdir()
    write(tmp_path / "services" / "recorder.yml", kind="recorder", name="recorder", metrics_port=9203)
    return ["--services", str(tmp_path / "services"), "--seconds", "0.01"]


def test_status_is_a_table_with_a_row_a_group(streams: Streams, services: list[str], capsys: Said) -> None:
    bus = MemoryBus(streams)
    bus.publish([Entry("md:replay", "7-1", codec.encode(event(1))), Entry("md:replay", "7-2", codec.encode(event(2)))])
    bus.consume(["md:replay"], "journal", "recorder", 1)
    found, output, _ = told(["status", *services], capsys)
    heading, row = output.splitlines()
    assert found == 0
    assert heading.split() == ["stream", "events/s", "length", "head", "newest", "group", "lag", "pending"]
    assert row.split()[:4] == ["md:replay", "0.0", "2", "7-2"]
    assert row.split()[-3:] == ["journal", "1", "1"]


def test_status_as_json(streams: Streams, services: list[str], capsys: Said) -> None:
    MemoryBus(streams).publish([Entry("md:replay", "7-1", codec.encode(event(1)))])
    (stream,) = json.loads(told(["status", "--json", *services], capsys)[1])
    assert (stream["name"], stream["head"], stream["groups"]) == ("md:replay", "7-1", [])


@pytest.mark.usefixtures("streams")
def test_status_of_an_empty_bus(services: list[str], capsys: Said) -> None:
    assert told(["status", *services], capsys) == (0, "no streams\n", "")


def test_a_bus_that_is_away_is_one_line(services: list[str], capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("redis at /run/x: Connection refused")

    monkeypatch.setattr(status, "_server", away)
    assert told(["status", *services], capsys) == (2, "", "station: redis at /run/x: Connection refused\n")


def test_without_the_credential_status_says_which_and_where(
    tmp_path: Path, services: list[str], capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found, _, error = told(["status", *services], capsys)
    assert found == 2
    assert error == f'station: no credential "redis-journal" that you may read in {tmp_path}; run the command as root\n'


def test_help_tells_the_exit_statuses(capsys: Said) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "2  it could not be done" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["bogus"], ["config"], ["journal", "verify", "--no"]])
def test_a_command_line_that_says_nothing_is_status_2(words: list[str], capsys: Said) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback(feed_file: Path) -> None:
    command = f"{sys.executable} -m station config show {feed_file} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
