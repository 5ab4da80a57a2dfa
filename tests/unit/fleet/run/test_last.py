# SPDX-License-Identifier: Apache-2.0
"""What `make lab-status` knows of the last runs: of each host and layer, the newest."""

from __future__ import annotations

from pathlib import Path

from fleet.paths import INVENTORIES, LAB_INVENTORY
from fleet.run import last


def texts(folder: Path) -> dict[str, dict[str, str]]:
    return {host: {what: word.text for what, word in words.items()} for host, words in last.read(folder).items()}


def test_a_run_writes_over_what_it_did_again_and_leaves_the_rest(tmp_path):
    last.keep(LAB_INVENTORY, {"vps": {"base": "ok", "data": "ok"}, "laptop": {"base": "ok"}}, tmp_path)
    last.keep(LAB_INVENTORY, {"vps": {"verify": "9 passed"}}, tmp_path)
    last.keep(LAB_INVENTORY, {"vps": {"base": "failed", "verify": "8 passed, 1 failed"}}, tmp_path)
    assert texts(tmp_path) == {
        "vps": {"base": "failed", "data": "ok", "verify": "8 passed, 1 failed"},
        "laptop": {"base": "ok"},
    }
    assert last.read(tmp_path)["vps"]["base"].at >= last.read(tmp_path)["laptop"]["base"].at


def test_a_run_on_other_hosts_than_the_labs_leaves_no_word(tmp_path):
    last.keep(INVENTORIES / "production", {"vps": {"base": "ok"}}, tmp_path)
    last.keep(LAB_INVENTORY, {"vps": {"base": "ok"}}, tmp_path / "no-lab")
    assert last.read(tmp_path) == last.read(tmp_path / "no-lab") == {}


def test_a_record_of_another_form_counts_as_none(tmp_path):
    for text in ("", "[]", '{"at": 1.0, "layers": ["base"], "cells": {}, "verify": {}}'):
        (tmp_path / last.RECORD).write_text(text)
        assert last.read(tmp_path) == {}
