# SPDX-License-Identifier: Apache-2.0
"""How a change of sshd's configuration is tried before it is written, and whose change is taken back."""

from pathlib import Path

import pytest

from fleet.host import machine_record
from fleet.host.ssh_connection import Connection
from roles.ssh.library import ssh_guarded_config as sg

CONNECTION = Connection("ops", "10.0.0.9", 50000, "10.0.0.1", 22)
DROP_IN = sg.DROP_INS / "10-fleet.conf"


@pytest.mark.parametrize(
    "line",
    [
        "Include /etc/ssh/sshd_config.d/*.conf",
        "include sshd_config.d/*.conf",
        "Include=/etc/ssh/sshd_config.d/*.conf",
        "  Include = sshd_config.d/*",
        'Include "/etc/ssh/sshd_config.d/*.conf"',
        "Include /etc/ssh/none.conf /etc/ssh/sshd_config.d/1?-fleet.conf # ours",
        "Include /etc/ssh/*.d/*.conf",
    ],
)
def test_every_form_of_include_that_sshd_takes_reads_the_drop_in(line):
    text = sg.with_drop_in(f"Port 22\n{line}\nUsePAM yes\n", DROP_IN, Path("/tmp/new"))
    assert '"/tmp/new"' in text.splitlines()[1]
    assert text.endswith("UsePAM yes\n")


@pytest.mark.parametrize("line", ["Include /etc/ssh/other.d/*.conf", "Include sshd_config.d/*.d/*.conf", "#Include x"])
def test_a_line_that_does_not_reach_the_drop_in_is_left_out_or_as_it_is(line):
    assert "/tmp/new" not in sg.with_drop_in(f"{line}\n", DROP_IN, Path("/tmp/new"))


@pytest.mark.parametrize(("machine", "foreign"), [("this", False), ("another", True)])
def test_a_change_that_another_machine_made_is_no_way_back_for_this_one(tmp_path, monkeypatch, machine, foreign):
    monkeypatch.setattr(sg, "STATE", tmp_path / "ssh-rollback")
    monkeypatch.setattr(machine_record, "identity", lambda: "this")
    assert not sg.is_foreign(), "no change waits"
    sg.save([tmp_path / "10-fleet.conf"], CONNECTION)
    monkeypatch.setattr(machine_record, "identity", lambda: machine)
    assert sg.is_foreign() is foreign
