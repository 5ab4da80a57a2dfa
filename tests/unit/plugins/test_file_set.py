# SPDX-License-Identifier: Apache-2.0
"""file_set on a real file system: what differs, all or nothing, and no lost command."""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from hypothesis import given
from hypothesis import strategies as st

from fleet.host.host_command import Done
from fleet.host.machine_record import Records
from plugins.modules import file_set as fs

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
PATHS = st.builds(Path, st.sampled_from(["/a", "/b", "/c"]))
STATES = st.builds(fs.State, content=st.sampled_from(["x", "y"]), mode=st.sampled_from([0o600, 0o644]))


class Set:
    """A set of files in a folder, as a task would declare it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = "this"
        self.options: dict[str, Any] = {"name": "test", "files": [], "rehearse": None, "purge": [], "apply": []}

    def add(self, name: str, content: str | None = None, **more: Any) -> "Set":
        entry: dict[str, Any] = {
            "path": str(self.folder / name),
            "content": content,
            "link": None,
            "directory": False,
            "secret": False,
            "mode": "0644",
            "validate": [],
        }
        self.options["files"].append(entry | ME | more)
        return self

    def declare(self, **more: Any) -> "Set":
        self.options |= more
        return self

    def converge(self, check: bool = False) -> dict[str, Any]:
        return dict(fs.converge(self.options, check, Records(self.folder / "records", self.machine)))


@pytest.fixture
def files(tmp_path: Path) -> Set:
    tmp_path.chmod(0o755)
    return Set(tmp_path)


def test_a_new_file_is_written_with_its_mode_and_its_folders(files, tmp_path):
    assert files.add("d/e/x", "one\n", mode="0600").converge()["paths"] == [str(tmp_path / "d/e/x")]
    assert (tmp_path / "d/e/x").read_text() == "one\n"
    assert (tmp_path / "d/e/x").stat().st_mode & 0o777 == 0o600


def test_a_second_run_changes_nothing(files):
    files.add("x", "one").add("y", "two").declare(apply=["true"]).converge()
    assert files.converge() == {"changed": False, "paths": [], "applied": False, "set_aside": [], "diff": []}


def test_a_mode_alone_is_a_difference(files, tmp_path):
    files.add("x", "one").converge()
    (tmp_path / "x").chmod(0o666)
    assert files.converge()["paths"] == [str(tmp_path / "x")]
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_check_mode_reports_and_touches_nothing(files, tmp_path):
    (tmp_path / "old").write_text("o")
    files.add("x", "one").declare(purge=[str(tmp_path / "old")], apply=["touch", str(tmp_path / "applied")])
    result = files.converge(check=True)
    assert result["changed"]
    assert result["applied"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old"]


def test_no_file_is_replaced_when_one_of_them_is_refused(files, tmp_path):
    (tmp_path / "x").write_text("old")
    files.add("x", "new").add("y", "bad", validate=["grep", "-q", "good", "%s"])
    with pytest.raises(fs.FileSetError, match=r"y not written: `grep -q good .*` failed"):
        files.converge()
    assert (tmp_path / "x").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x"]


def test_a_pattern_removes_what_is_not_in_the_set(files, tmp_path):
    (tmp_path / "stale").write_text("s")
    files.add("x", "one").declare(purge=[str(tmp_path / "*")])
    assert files.converge()["paths"] == [str(tmp_path / "x"), str(tmp_path / "stale")]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_command_that_failed_runs_again_although_the_files_are_right(files, tmp_path):
    files.add("x", "one").declare(apply=["test", "-e", str(tmp_path / "ready")])
    with pytest.raises(fs.FileSetError, match="written, not in effect"):
        files.converge()
    assert (tmp_path / "x").read_text() == "one"
    (tmp_path / "ready").touch()
    assert files.converge()["applied"]
    assert not files.converge()["changed"]


def test_a_run_cut_short_before_the_command_does_not_lose_it(files, monkeypatch):
    files.add("x", "one").declare(apply=["true"]).converge()
    files.options["files"][0]["content"] = "two"

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fs, "run", cut)
        with pytest.raises(KeyboardInterrupt):
            files.converge()
    files.options["files"][0]["content"] = "one"
    assert files.converge()["applied"], "back at the recorded content, but in between the file was another"


def test_what_another_machine_put_into_effect_is_put_into_effect_here_and_its_record_kept_aside(files, tmp_path):
    files.add("x", "one").declare(apply=["true"]).converge()
    files.machine = "a clone"
    assert files.converge(check=True)["set_aside"] == ["test"]
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["test"]
    result = files.converge()
    assert (result["changed"], result["applied"], result["set_aside"]) == (True, True, ["test"])
    assert (tmp_path / "records/test.of-another-machine").exists()
    assert files.converge()["changed"] is False


def test_a_removed_file_runs_the_command(files, tmp_path):
    files.add("x", "one").declare(purge=[str(tmp_path / "x"), str(tmp_path / "y")], apply=["true"]).converge()
    (tmp_path / "y").write_text("stale")
    assert files.converge()["applied"]


def test_a_file_that_is_a_link_is_written_where_it_leads(files, tmp_path):
    (tmp_path / "second").symlink_to(tmp_path / "real")
    files.add("second", "text").converge()
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
    assert not files.converge()["changed"]


def test_a_link_replaces_a_file_and_stays(files, tmp_path):
    (tmp_path / "target").write_text("t")
    (tmp_path / "x").write_text("file")
    files.add("x", link=str(tmp_path / "target")).converge()
    assert (tmp_path / "x").readlink() == tmp_path / "target"
    assert not files.converge()["changed"]


def test_a_link_to_nothing_is_refused(files):
    with pytest.raises(fs.FileSetError, match="there is no /no/such/zone on this host"):
        files.add("x", link="/no/such/zone").converge()


def test_a_folder_in_the_way_is_refused(files, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(fs.FileSetError, match="is a directory: move it away"):
        files.add("x", "one").converge()


@pytest.mark.parametrize("entry", [{"content": "a", "link": "/etc"}, {"content": None, "link": None}])
def test_an_entry_with_both_or_neither_content_and_link_is_refused(files, entry):
    with pytest.raises(fs.FileSetError, match="give one of content, template, src, link and directory"):
        files.add("x", **entry).converge()


def test_a_directory_is_made_before_the_files_in_it_and_keeps_its_permissions(files, tmp_path):
    files.add("d/x", "one").add("d", directory=True, mode="0700").converge()
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
    assert not files.converge()["changed"]
    (tmp_path / "d").chmod(0o755)
    assert files.converge()["paths"] == [str(tmp_path / "d")]
    assert (tmp_path / "d/x").read_text() == "one"


def test_a_file_in_the_way_of_a_directory_is_refused_and_kept(files, tmp_path):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(fs.FileSetError, match="is no directory: move it away"):
        files.add("d", directory=True).converge()
    assert (tmp_path / "d").read_text() == "mine"


def test_a_pattern_removes_no_directory(files, tmp_path):
    (tmp_path / "d").mkdir()
    assert not files.declare(purge=[str(tmp_path / "*")]).converge()["changed"]
    assert (tmp_path / "d").is_dir()


def test_the_difference_of_a_secret_does_not_show_it(files):
    files.add("x", "old-secret", secret=True).converge()
    files.options["files"] = []
    (diff,) = files.add("x", "new-secret", secret=True).converge()["diff"]
    assert "secret)" in diff["after"]
    assert not {"old-secret", "new-secret"} & {line for text in diff.values() for line in text.split()}


def test_the_difference_does_not_show_a_file_that_was_its_owner_s_alone_when_it_goes(files, tmp_path):
    files.add("x", "old-secret", secret=True, mode="0600").add("y", "for all").converge()
    hidden, shown = files.declare(files=[], purge=[f"{tmp_path}/[xy]"]).converge()["diff"]
    assert "old-secret" not in hidden["before"]
    assert "for all" in shown["before"]


def test_the_difference_does_not_show_what_was_its_owner_s_alone_when_all_may_read_the_new(files):
    files.add("x", "old-secret", mode="0600").converge()
    files.options["files"] = []
    (diff,) = files.add("x", "for all").converge()["diff"]
    assert "old-secret" not in diff["before"]
    assert "for all" in diff["after"]


def test_no_log_of_the_host_and_no_result_has_a_secret(tmp_path, monkeypatch, capsys):
    logged: list[str] = []
    monkeypatch.setattr(
        AnsibleModule, "log", lambda _self, message, log_args=None: logged.append(f"{message}{log_args}")
    )
    path = str(tmp_path / "key")
    entry = {"path": path, "secret": True, "mode": "0600", **ME}
    with patch_module_args({"name": "test", "files": [entry], "secrets": {path: "hunter2"}}), pytest.raises(SystemExit):
        fs.main()
    assert (tmp_path / "key").read_text() == "hunter2"
    assert "Invoked with" in "".join(logged)
    assert "hunter2" not in "".join(logged) + capsys.readouterr().out


def test_an_unknown_owner_is_refused(files):
    with pytest.raises(fs.FileSetError, match="nobody-here"):
        files.add("x", "one", owner="nobody-here").converge()


def test_a_path_named_twice_is_refused(files):
    with pytest.raises(fs.FileSetError, match="names a path twice"):
        files.add("x", "one").add("x", "two").converge()


def test_a_command_that_does_not_exist_is_one_line(files):
    with pytest.raises(fs.FileSetError, match="no-such-command: No such file or directory"):
        files.declare(apply=["no-such-command"]).converge()


@given(st.dictionaries(PATHS, STATES), st.dictionaries(PATHS, st.none() | STATES))
def test_what_was_decided_leads_to_what_was_declared(wanted, present):
    result = {path: state for path, state in present.items() if state is not None}
    for change in fs.decide(wanted, present, {}):
        if change.after is None:
            del result[change.path]
        else:
            result[change.path] = change.after
    assert result == wanted
    assert fs.decide(wanted, result, {}) == []


@pytest.fixture
def hardened() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("hardened")
def test_a_hardened_umask_closes_no_folder(files, tmp_path):
    files.add("a/b/x", "one\n").add("c", directory=True, mode="0700").converge()
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/x", "c")}
    assert modes == {"a": 0o755, "a/b": 0o755, "a/b/x": 0o644, "c": 0o700}


def test_a_folder_that_another_umask_closed_is_opened(files, tmp_path):
    files.add("a/b/x", "one\n").converge()
    for folder in (tmp_path / "a/b", tmp_path / "a"):
        folder.chmod(0o700)
    assert files.converge(check=True)["paths"] == [str(tmp_path / "a/b"), str(tmp_path / "a")]
    files.converge()
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")} == {0o755}
    assert files.converge()["changed"] is False


def test_a_closed_folder_stays_closed_when_it_is_declared_so_or_holds_nothing_for_everybody(files, tmp_path):
    files.add("a", directory=True, mode="0700").add("a/x", "one\n").add("b/y", "two\n", mode="0600").converge()
    (tmp_path / "b").chmod(0o700)
    assert files.converge()["changed"] is False


def test_a_closed_folder_of_a_package_stays_as_the_package_has_it(files, tmp_path, monkeypatch):
    files.add("a/x", "one\n").converge()
    (tmp_path / "a").chmod(0o700)
    monkeypatch.setattr("plugins.modules.file_set.host_command.run", lambda _: Done(0, "sudo: /a\n"))
    assert files.converge()["changed"] is False


def test_a_set_that_its_rehearsal_refuses_is_not_written(files, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/other").write_text("1\n")
    (tmp_path / "d/older").write_text("1\n")
    once = "! cat $(find %s -type f) | sort | uniq -d | grep ."
    files.add("d/new/x", "1\n").declare(rehearse={"folder": str(tmp_path / "d"), "command": ["sh", "-c", once]})
    files.declare(purge=[str(tmp_path / "d/older")])
    for check in (True, False):
        with pytest.raises(fs.FileSetError, match="file set test not written"):
            files.converge(check=check)
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["older", "other"]
    (tmp_path / "d/other").write_text("2\n")
    assert files.converge()["changed"] is True, "what the set removes is gone in the copy, too"
