# SPDX-License-Identifier: Apache-2.0
"""The use that unit_converged makes of systemd, with a systemd that is played."""

import errno
import json
import os
import socket
from typing import Any

import pytest

from fleet.host.machine_record import Records
from plugins.modules import unit_converged as uc


class Played:
    """A systemd of one unit: answers `show`, moves on verbs, and notes what was asked."""

    def __init__(self, **properties: str) -> None:
        self.properties = {
            "LoadState": "loaded",
            "ActiveState": "inactive",
            "SubState": "dead",
            "UnitFileState": "enabled",
            "CanReload": "yes",
            "InvocationID": "0",
        } | properties
        self.after_start: dict[str, str] = {
            "ActiveState": "active",
            "SubState": "running",
            "InvocationID": "1",
        }
        self.after_ready: dict[str, str] = {}
        self.fails: dict[str, str] = {}
        self.verbs: list[str] = []
        self.ready_after = 0
        self.condition = 0

    def __call__(self, words, seconds: float) -> tuple[int, str]:
        assert seconds > 0
        if words[0] in {"systemd-analyze", "journalctl"}:
            return (self.condition, "") if words[1] == "condition" else (0, "line one\nline two\n")
        if words[0] == "ready":
            self.ready_after -= 1
            if self.ready_after < 0:
                self.properties |= self.after_ready
                return 0, ""
            return 1, "refused"
        verb = words[1]
        if verb == "show":
            return 0, "".join(f"{k}={v}\n" for k, v in self.properties.items())
        self.verbs.append(" ".join(w for w in words[1:] if w not in {"--", "x.service"}))
        if verb in self.fails:
            return 1, self.fails[verb]
        if verb in {"start", "restart"}:
            self.properties |= self.after_start
        return 0, ""


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@pytest.fixture
def options(tmp_path) -> dict[str, Any]:
    (tmp_path / "in").write_text("1")
    return {
        "state": "started",
        "enabled": True,
        "condition_ok": False,
        "inputs": [str(tmp_path / "in")],
        "reload_inputs": [],
        "ready": [],
        "ready_timeout": 5,
        "listen": [],
    }


def converge(played: Played, options: dict[str, Any], tmp_path, check: bool = False, machine: str = "this"):
    ticks = iter(range(10_000))
    systemd = uc.Systemd(options.get("name", "x.service"), played, lambda: float(next(ticks)))
    return uc.converge(systemd, options, check, Records(tmp_path / "records", machine))


def record(tmp_path, name: str = "x.service"):
    path = tmp_path / "records" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_start_wait_record_and_then_nothing(options, tmp_path):
    played = Played()
    options["ready"] = ["ready"]
    played.ready_after = 2
    assert converge(played, options, tmp_path)["changed"] is True
    assert record(tmp_path)["inputs"]
    assert converge(played, options, tmp_path)["changed"] is False
    # The manager reads the unit's files again first: systemd 252 does not notice the first drop-in of a unit.
    assert played.verbs == ["daemon-reload", "reset-failed", "start"]


def test_a_changed_file_restarts_and_the_difference_is_shown(options, tmp_path):
    played = Played()
    converge(played, options, tmp_path)
    (tmp_path / "in").write_text("2")
    result = converge(played, options, tmp_path)
    assert result["actions"] == ["restart"]
    assert f"{tmp_path / 'in'}: changed" in result["diff"]["after"]


def test_a_record_of_another_machine_counts_as_none_and_is_kept_aside(options, tmp_path):
    played = Played()
    converge(played, options, tmp_path)
    assert converge(played, options, tmp_path, check=True, machine="a clone")["set_aside"] == ["x.service.json"]
    assert record(tmp_path)["machine"] == "this"
    result = converge(played, options, tmp_path, machine="a clone")
    assert result["set_aside"] == ["x.service.json"]
    assert result["actions"]
    assert (tmp_path / "records/x.service.json.of-another-machine").exists()
    assert record(tmp_path)["machine"] == "a clone"
    assert converge(played, options, tmp_path, machine="a clone")["actions"] == []


def test_check_mode_reports_and_touches_nothing(options, tmp_path):
    played = Played(LoadState="not-found", UnitFileState="")
    assert converge(played, options, tmp_path, check=True)["changed"] is True
    assert played.verbs == []
    assert record(tmp_path) is None


def test_a_start_that_fails_says_why_in_one_line_and_forgets_the_record(options, tmp_path):
    played = Played(ActiveState="active")
    converge(played, options, tmp_path)
    (tmp_path / "in").write_text("2")
    played.fails = {"restart": "Job for x.service failed.\nSee journalctl -xe for details."}
    with pytest.raises(uc.UnitError, match=r"^x\.service: restart failed \| Job for .* \| line one \| line two$"):
        converge(played, options, tmp_path)
    assert record(tmp_path) is None


def test_a_unit_that_dies_after_it_was_ready_is_a_failure(options, tmp_path):
    played = Played()
    options["ready"] = ["ready"]
    played.after_ready = {"ActiveState": "activating", "SubState": "auto-restart"}
    with pytest.raises(uc.UnitError, match=r"ended right after its start .*line two"):
        converge(played, options, tmp_path)
    assert record(tmp_path) is None


def test_a_unit_that_systemd_restarted_meanwhile_is_a_failure(options, tmp_path):
    played = Played()
    options["ready"] = ["ready"]
    played.after_ready = {"InvocationID": "2"}
    with pytest.raises(uc.UnitError, match="ended right after its start"):
        converge(played, options, tmp_path)


def test_a_unit_that_is_not_ready_in_time_is_a_failure(options, tmp_path):
    played = Played()
    options["ready"] = ["ready"]
    played.ready_after = 1000
    with pytest.raises(uc.UnitError, match=r"not ready after 5 s \| ready: refused"):
        converge(played, options, tmp_path)


def test_a_unit_that_dies_while_it_is_waited_for_ends_the_wait(options, tmp_path):
    played = Played()
    played.after_start = {
        "ActiveState": "failed",
        "SubState": "failed",
        "InvocationID": "1",
        "Result": "exit-code",
    }
    options["ready"] = ["ready"]
    played.ready_after = 1000
    with pytest.raises(uc.UnitError, match="result exit-code"):
        converge(played, options, tmp_path)


def test_a_unit_file_that_systemd_refuses_leaves_the_old_process_alone(options, tmp_path):
    played = Played(ActiveState="active", NeedDaemonReload="yes", LoadState="bad-setting", LoadError='"no ExecStart="')
    with pytest.raises(uc.UnitError, match=r"cannot load the unit \(bad-setting\) \| .*no ExecStart"):
        converge(played, options, tmp_path)
    assert played.verbs == ["daemon-reload"]


def test_a_reload_that_fails_is_tried_again_and_stops_nothing(options, tmp_path):
    options["inputs"], options["reload_inputs"] = [], options["inputs"]
    played = Played()
    converge(played, options, tmp_path)
    (tmp_path / "in").write_text("2")
    played.fails = {"reload": "bad rules"}
    with pytest.raises(uc.UnitError, match="reload failed"):
        converge(played, options, tmp_path)
    played.fails = {}
    assert converge(played, options, tmp_path)["actions"] == ["reload"]
    assert played.verbs == ["daemon-reload", "reset-failed", "start", "reload", "reload"]


def test_a_condition_that_does_not_hold_is_a_failure_unless_it_is_accepted(options, tmp_path):
    played = Played()
    played.after_start, played.condition = {}, 1
    with pytest.raises(uc.UnitError, match="start condition"):
        converge(played, options, tmp_path)
    options["condition_ok"] = True
    result = converge(played, options, tmp_path)
    assert (result["changed"], result["skipped"], result["skip_reason"]) == (False, True, "condition")
    assert converge(played, options, tmp_path, check=True)["changed"] is False


def test_a_unit_that_ends_at_once_is_not_mistaken_for_one_whose_condition_does_not_hold(options, tmp_path):
    played = Played()
    played.after_start = {}
    options["condition_ok"] = True
    with pytest.raises(uc.UnitError, match="ended right after its start"):
        converge(played, options, tmp_path)


def test_a_socket_is_reopened_around_its_running_service(options, tmp_path):
    played = Played(Triggers="x.service")
    converge(played, options | {"name": "x.socket"}, tmp_path)
    assert played.verbs == [
        "daemon-reload",
        "reset-failed x.socket",
        "is-active --quiet",
        "stop",
        "start x.socket",
        "start",
    ]


def test_stopping_forgets_the_record(options, tmp_path):
    played = Played()
    converge(played, options, tmp_path)
    options |= {"state": "stopped", "enabled": False}
    converge(played, options, tmp_path)
    assert played.verbs[-2:] == ["stop", "disable"]
    assert record(tmp_path) is None


def test_an_address_that_another_process_holds_is_refused_before_anything_is_restarted(options, tmp_path):
    played = Played(ActiveState="active")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options["listen"] = [f"127.0.0.1:{other.getsockname()[1]}"]
        with pytest.raises(uc.UnitError, match=rf"^x\.service: cannot listen on .*\({os.getpid()}\) listens there"):
            converge(played, options, tmp_path)
    assert played.verbs == []


def test_an_address_that_the_host_does_not_have_is_refused(options, tmp_path):
    options["listen"] = ["192.0.2.1:9090"]
    with pytest.raises(uc.UnitError, match=r"no such address"):
        converge(Played(), options, tmp_path)


def test_an_address_that_the_unit_itself_holds_is_no_obstacle(monkeypatch):
    group = "0::/system.slice/x.service\n"
    monkeypatch.setattr(uc, "bind_problem", lambda _address: errno.EADDRINUSE)
    monkeypatch.setattr(uc, "listeners", lambda _port: {"x (7)": group})
    uc.refuse_taken("x.service", ["127.0.0.1:1"])
    with pytest.raises(uc.UnitError, match=r"x \(7\) listens there"):
        uc.refuse_taken("y.service", ["127.0.0.1:1"])


def test_a_command_that_hangs_or_does_not_exist_is_answered_by_a_status():
    assert uc.run(["sleep", "9"], 0.05)[0] == 124
    assert uc.run(["/nonexistent/command"], 1)[0] == 127
    assert uc.run(["sh", "-c", "echo $LC_ALL"], 5) == (0, "C\n")
    assert "PATH" in os.environ
