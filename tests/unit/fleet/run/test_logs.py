# SPDX-License-Identifier: Apache-2.0
"""A log has a name of its own, and a folder that root made is told to the user in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet.errors import UserError
from fleet.run import logs


def test_the_folder_is_made_and_the_log_is_named_after_what_runs(tmp_path: Path):
    log = logs.new("site", tmp_path / "build/logs")
    assert log.parent.is_dir()
    assert log.name.startswith("site-")


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_that_the_caller_may_not_write_is_named_with_the_ways_out(tmp_path: Path, monkeypatch, made: bool):
    if made:
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:

        def refuse(self: Path, **_: object) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        UserError, match=r"logs cannot be written by you: a run with sudo made it\. .* chown -R .* build"
    ):
        logs.new("site", tmp_path / "logs")
