# SPDX-License-Identifier: Apache-2.0
"""No verb begins with an inventory that is not there, that is no folder, or that has nothing in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check.__main__ import main as check
from fleet.latency.__main__ import main as latency
from fleet.paths import INVENTORIES, PROJECT
from fleet.run import playbook, verify
from fleet.run.playbook import Outcome
from fleet.run.progress import Progress


def site(words: list[str]) -> int:
    return playbook.main(["playbooks/site.yml", *words])


def measured(words: list[str]) -> int:
    try:
        return latency([*words, "--limit", "all"])
    except SystemExit as stopped:
        return int(str(stopped.code))


VERBS = {
    "check": lambda folder: check([str(folder)]),
    "site": lambda folder: site(["--inventory", str(folder)]),
    "verify": lambda folder: verify.main(["--inventory", str(folder)]),
    "latency": lambda folder: measured(["--inventory", str(folder)]),
}


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a run was started")

    monkeypatch.setattr(playbook, "run_playbook", refuse)
    monkeypatch.setattr(verify, "run", refuse)


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelt_folder_is_refused_with_the_nearest(verb, capsys):
    assert VERBS[verb](INVENTORIES / "producton") == 2
    assert "did you mean" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_is_refused_with_its_folder(verb, capsys):
    assert VERBS[verb](INVENTORIES / "production" / "hosts.yml") == 2
    assert f"give the folder that it lies in: {INVENTORIES / 'production'}" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_without_an_inventory_is_refused(verb, tmp_path, capsys):
    (tmp_path / "group_vars").mkdir()
    assert VERBS[verb](tmp_path) == 2
    assert "no inventory in this folder" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["check", "verify", "latency"])
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("all: {hosts: {}}\n", "no hosts"),
        ("all: {hosts: {a: {ansible_host: 10.0.0.1}}}\n", "no groups"),
        ("all:\n  hosts: [\n", "invalid YAML"),
        ("all: {childrens: {b: {hosts: {a: }}}}\n", "did you mean children?"),
    ],
)
def test_hosts_that_are_none_are_refused(verb, tmp_path, capsys, text, word):
    (tmp_path / "hosts.yml").write_text(text)
    (tmp_path / "group_vars").mkdir()
    assert VERBS[verb](tmp_path) in {1, 2}
    said = capsys.readouterr()
    assert word in (said.out + said.err).replace("\n", " ")


def test_a_run_in_which_no_play_had_a_host_has_not_succeeded(tmp_path, capsys, monkeypatch):
    (tmp_path / "hosts.yml").write_text("all: {hosts: {}}\n")
    log = PROJECT / "build" / "logs" / "none.log"
    monkeypatch.setattr(playbook, "run_playbook", lambda *_, **__: Outcome(0, Progress(), log, 0.1))
    assert site(["--inventory", str(tmp_path)]) == 1
    assert "no play has a host of this inventory" in capsys.readouterr().err


def test_ansible_gets_the_password_that_lies_beside_the_inventory(tmp_path):
    assert playbook.passwords(tmp_path) == []
    (tmp_path / ".vault-password").write_text("secret")
    assert playbook.passwords(tmp_path) == ["--vault-id", f"{tmp_path.name}@{Path(tmp_path, '.vault-password')}"]
