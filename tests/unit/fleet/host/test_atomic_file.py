# SPDX-License-Identifier: Apache-2.0
"""Writing a file in one step."""

import os
import stat

import pytest

from fleet.host.atomic_file import atomic_write, remove


def test_a_file_gets_its_text_and_its_mode_whatever_the_umask_and_whatever_was_there(tmp_path):
    path = tmp_path / "new/folder/file"
    old = os.umask(0o077)
    try:
        atomic_write(path, "one", 0o644)
        atomic_write(path, "two\n", 0o755)
    finally:
        os.umask(old)
    assert path.read_text() == "two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert [name.name for name in path.parent.iterdir()] == ["file"]


def test_a_write_that_is_cut_off_leaves_the_old_text_and_the_next_write_succeeds(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, "old")

    def cut(_descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut)
        with pytest.raises(KeyboardInterrupt):
            atomic_write(path, "new")
    assert path.read_text() == "old"
    atomic_write(path, "newer")
    assert path.read_text() == "newer"


def test_text_and_name_reach_the_disk_in_that_order(tmp_path, monkeypatch):
    synced = []

    def note(descriptor):
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        if not synced[-1]:
            assert not (tmp_path / "file").exists()

    monkeypatch.setattr(os, "fsync", note)
    atomic_write(tmp_path / "file", "text")
    assert synced == [False, True]


def test_a_link_under_the_name_of_the_unfinished_file_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".file.new").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        atomic_write(tmp_path / "file", "text")
    assert (tmp_path / "victim").read_text() == "mine"


def test_what_is_removed_is_gone_and_may_be_removed_again(tmp_path):
    atomic_write(tmp_path / "file", "text")
    remove(tmp_path / "file")
    remove(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
