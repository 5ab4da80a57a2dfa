#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Bring a systemd unit to run with the files that are on disk now, also after an interrupted run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_converged
short_description: Run a systemd unit with exactly the input files that are on disk
description:
  - Starts, reloads or restarts a unit when a file that it reads differs from what it read at its last start.
  - What it read is recorded on the host, so a run that is interrupted after a template loses no restart.
  - Reloads the manager when it has to, waits for readiness, and fails with one line, the journal's end in it.
options:
  name:
    description: Full unit name, with its suffix.
    type: str
    required: true
  state:
    description: Whether the unit runs.
    type: str
    choices: [started, stopped]
    default: started
  enabled:
    description: Whether the unit starts at boot.
    type: bool
    default: true
  inputs:
    description: Files and directories that the unit reads at start, drop-ins included. A change restarts it.
    type: list
    elements: path
    default: []
  reload_inputs:
    description: Files and directories for which a reload suffices.
    type: list
    elements: path
    default: []
  ready:
    description: Command that exits 0 once the unit serves, as a list of words. Polled every half second.
    type: list
    elements: str
    default: []
  ready_timeout:
    description: Seconds to wait for readiness.
    type: int
    default: 60
  listen:
    description:
      - Addresses (C(host:port)) on which the unit will listen over TCP.
      - When another process holds one, the task fails before the restart, and what runs keeps running.
    type: list
    elements: str
    default: []
  condition_ok:
    description: Whether a start condition that does not hold on this host is acceptable.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Run Prometheus with the configuration on disk
  unit_converged:
    name: prometheus.service
    inputs: [/etc/default/prometheus, /etc/systemd/system/prometheus.service.d/prometheus.conf]
    reload_inputs: [/etc/prometheus]
    ready: [curl, --fail, --silent, http://127.0.0.1:9090/-/ready]
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in order.
  type: list
  elements: str
  returned: always
reasons:
  description: Why, one phrase each.
  type: list
  elements: str
  returned: always
set_aside:
  description: The record's name when it was another machine's, which is kept under another name and counts as none.
  type: list
  elements: str
  returned: always
"""

import contextlib
import errno
import hashlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import host_command
    from fleet.host.machine_record import Found, Records, identity, set_aside
else:
    from ansible.module_utils import host_command
    from ansible.module_utils.machine_record import Found, Records, identity, set_aside

FOLDER = Path("/var/lib/fleet/units")
SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target")
POLL_SECONDS = 0.5
SETTLE_SECONDS = 1.0
# A restart first waits for the old process: systemd's own default allows it 90 s.
STOP_SECONDS = 120
PROPERTIES = (
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "CanReload",
    "Type",
    "RemainAfterExit",
    "Result",
    "InactiveExitTimestamp",
    "InvocationID",
    "NRestarts",
    "Triggers",
)

Runner = Callable[[Sequence[str], float], tuple[int, str]]


class UnitError(Exception):
    """The unit could not be brought to the wanted state; the message is one line."""


@dataclass(frozen=True)
class Unit:
    """What systemd says about the unit."""

    load_state: str = "loaded"
    load_error: str = ""
    active_state: str = "active"
    sub_state: str = "running"
    unit_file_state: str = "enabled"
    need_daemon_reload: bool = False
    can_reload: bool = False
    oneshot: bool = False
    result: str = "success"
    started_at: float | None = None
    invocation: str = ""
    restarts: int = 0
    triggers: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the unit is up; a unit that systemd restarts after a crash is not."""
        return self.active_state in {"active", "reloading", "refreshing"}


@dataclass(frozen=True)
class Wanted:
    """What the task asks for."""

    state: str = "started"
    enabled: bool = True
    condition_ok: bool = False


@dataclass(frozen=True)
class Files:
    """Checksums of the input files, the time of the newest change among them, and the start that read them."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    reload_inputs: Mapping[str, str] = field(default_factory=dict)
    newest: float = 0.0
    invocation: str = ""


@dataclass(frozen=True)
class Plan:
    """Actions in order, with the reasons for them."""

    actions: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether anything but the record of what runs would change."""
        return bool(set(self.actions) - {"record"})


def changed_paths(recorded: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """Say of each path that differs whether it is new, changed or gone from the list."""
    words = {}
    for path in sorted(recorded.keys() | current.keys()):
        if path not in recorded:
            words[path] = "not read yet"
        elif path not in current:
            words[path] = "no longer an input"
        elif recorded[path] != current[path]:
            words[path] = "changed"
    return words


def decide(unit: Unit, wanted: Wanted, recorded: Files | None, current: Files) -> Plan:
    """Decide what has to be done; pure.

    Args:
        unit: what systemd reports.
        wanted: what the task asks for.
        recorded: checksums at the last successful start, None when nothing is recorded.
        current: checksums now.
    """
    masked = unit.load_state == "masked"
    if wanted.state == "stopped":
        return _decide_stopped(unit, wanted, masked, recorded)
    actions, reasons = [], []
    if masked:
        actions.append("unmask")
        reasons.append("the unit is masked")
    if unit.need_daemon_reload or unit.load_state == "not-found":
        actions.append("daemon_reload")
        reasons.append("the unit's files changed on disk")
    action, why = _decide_enablement(unit, wanted, masked)
    actions += action
    reasons += why
    action, why = _decide_run(unit, recorded, current)
    return Plan((*actions, *action), (*reasons, *why))


def _decide_stopped(unit: Unit, wanted: Wanted, masked: bool, recorded: Files | None) -> Plan:
    actions, reasons = [], []
    if unit.running or unit.active_state in {"activating", "deactivating"}:
        actions.append("stop")
        reasons.append(f"the unit is {unit.active_state}")
    if unit.load_state != "not-found" and not masked:
        action, why = _decide_enablement(unit, wanted, masked)
        actions += action
        reasons += why
    if recorded is not None:
        actions.append("record")
    return Plan(tuple(actions), tuple(reasons))


def _decide_enablement(unit: Unit, wanted: Wanted, masked: bool) -> tuple[list[str], list[str]]:
    # Static, generated, alias, indirect and transient units have nothing to enable.
    unknown = masked or unit.load_state == "not-found"
    if wanted.enabled and (unknown or unit.unit_file_state in {"disabled", "enabled-runtime", "linked"}):
        return ["enable"], ["the unit does not start at boot"]
    if not wanted.enabled and unit.unit_file_state in {"enabled", "enabled-runtime"}:
        return ["disable"], ["the unit starts at boot"]
    return [], []


def _decide_run(unit: Unit, recorded: Files | None, current: Files) -> tuple[list[str], list[str]]:
    finished = unit.oneshot and unit.active_state == "inactive" and unit.result == "success"
    if not unit.running and not (finished and recorded is not None):
        # An automatic restart that waits is cut short: the files may have been corrected since.
        verb = "restart" if unit.sub_state == "auto-restart" else "start"
        return [verb], [f"the unit is {unit.active_state}"]
    if recorded is None:
        if _read_them_all(unit, current):
            return ["record"], ["it started after the last change of its inputs"]
        return ["restart"], ["it is unknown what the running process read"]
    restart = [f"{path}: {word}" for path, word in changed_paths(recorded.inputs, current.inputs).items()]
    if not restart and recorded.invocation not in {"", unit.invocation} and not _read_them_all(unit, current):
        # The files are as recorded again, but somebody restarted the unit while they were not.
        restart = ["it was started by somebody else, before the last change of its inputs"]
    if restart:
        return ["restart"], restart
    reload = changed_paths(recorded.reload_inputs, current.reload_inputs)
    if not reload:
        return [], []
    return ["reload" if unit.can_reload else "restart"], [f"{path}: {word}" for path, word in reload.items()]


def _read_them_all(unit: Unit, current: Files) -> bool:
    # With a manager reload outstanding, the process was started from older unit files.
    return unit.started_at is not None and unit.started_at > current.newest and not unit.need_daemon_reload


def parse_show(text: str) -> Unit:
    """Read the output of `systemctl show`."""
    raw = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Unit(
        load_state=raw.get("LoadState", "not-found"),
        # A D-Bus error name comes before the quoted text.
        load_error=raw.get("LoadError", "").partition('"')[2].rstrip('" '),
        active_state=raw.get("ActiveState", "inactive"),
        sub_state=raw.get("SubState", "dead"),
        unit_file_state=raw.get("UnitFileState", ""),
        need_daemon_reload=raw.get("NeedDaemonReload") == "yes",
        can_reload=raw.get("CanReload") == "yes",
        oneshot=raw.get("Type") == "oneshot" and raw.get("RemainAfterExit") != "yes",
        result=raw.get("Result", "success"),
        started_at=parse_time(raw.get("InactiveExitTimestamp", "")),
        invocation=raw.get("InvocationID", ""),
        restarts=int(raw.get("NRestarts") or 0),
        triggers=tuple(raw.get("Triggers", "").split()),
    )


def parse_time(text: str) -> float | None:
    """Read systemd's `us+utc` time stamp as seconds since the epoch; None when there is none."""
    try:
        stamp = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    except ValueError:
        return None
    return stamp.timestamp()


def one_line(*parts: str, limit: int = 900) -> str:
    """Join texts into one line, the end of the last one kept when it is too long."""
    line = " | ".join(part for text in parts for part in (p.strip() for p in text.splitlines()) if part)
    return line if len(line) <= limit else f"{line[: limit // 3]} ... {line[-limit * 2 // 3 :]}"


def checksum(path: Path) -> str:
    """Checksum of a file, of a directory's files and names, or the word "absent"."""
    if path.is_dir():
        tree = sorted(p for p in path.rglob("*") if p.is_file())
        listing = "".join(f"{p.relative_to(path)}\0{checksum(p)}\n" for p in tree)
        return hashlib.sha256(listing.encode()).hexdigest()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "absent"


def newest_change(path: Path) -> float:
    """Time of the last change of a file or of anything under a directory."""
    if not path.exists():
        # It may have been removed a moment ago: its nearest directory knows.
        path = next(p for p in path.parents if p.exists())
        return float(path.stat().st_ctime)
    paths = [path, *(path.rglob("*") if path.is_dir() else ())]
    # A link changes by itself or by what it leads to.
    return float(max(s.st_ctime for p in paths for s in (p.lstat(), p.stat() if p.exists() else p.lstat())))


def read_files(inputs: Iterable[str], reload_inputs: Iterable[str]) -> Files:
    """Take the checksums of all inputs."""
    first, second = list(inputs), list(reload_inputs)
    return Files(
        inputs={p: checksum(Path(p)) for p in first},
        reload_inputs={p: checksum(Path(p)) for p in second},
        newest=max((newest_change(Path(p)) for p in first + second), default=0.0),
    )


def record_name(unit: str) -> str:
    """Return the name of a unit's record."""
    return f"{unit}.json"


def read_record(found: Found) -> Files | None:
    """Return what the unit read at its last successful start; what is no such record counts as none."""
    try:
        data = found.data or {}
        return Files(
            inputs=dict(data["inputs"]), reload_inputs=dict(data["reload_inputs"]), invocation=str(data["invocation"])
        )
    except (ValueError, KeyError, TypeError):
        return None


def as_record(files: Files) -> dict[str, object]:
    """Return what `read_record` reads."""
    return {"inputs": dict(files.inputs), "reload_inputs": dict(files.reload_inputs), "invocation": files.invocation}


def run(words: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command; exit status and both outputs, as `host_command.run` gives them."""
    done = host_command.run(words, seconds)
    return done.status, done.out + done.err


def bind_problem(address: str) -> int:
    """Try to bind a TCP address; 0 or the error number."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            return error.errno or errno.EINVAL
    return 0


def listeners(port: int, proc: Path = Path("/proc")) -> dict[str, str]:
    """Processes that listen on a TCP port: "name (pid)" and the control group that holds it."""
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        if (proc / table).exists():
            rows = [line.split() for line in (proc / table).read_text(encoding="ascii").splitlines()[1:]]
            inodes |= {f"socket:[{r[9]}]" for r in rows if r[3] == "0A" and int(r[1].rpartition(":")[2], 16) == port}
    found = {}
    for process in proc.iterdir():
        if process.name.isdigit() and inodes & set(_links(process / "fd")):
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            found[f"{name} ({process.name})"] = (process / "cgroup").read_text(encoding="utf-8")
    return found


def _links(folder: Path) -> list[str]:
    links = []
    # Processes come and go while this looks.
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                links.append(str(path.readlink()))
    return links


def refuse_taken(name: str, addresses: Iterable[str]) -> None:
    """Fail when another process than the unit's own holds an address, or this host has no such address.

    Args:
        name: the unit, whose own processes may listen there.
        addresses: `host:port` each.
    """
    for address in addresses:
        problem = bind_problem(address)
        if problem == errno.EADDRNOTAVAIL:
            raise UnitError(f"{name}: cannot listen on {address}, this host has no such address; nothing was restarted")
        if problem == errno.EADDRINUSE:
            held = listeners(int(address.rpartition(":")[2]))
            others = [who for who, group in held.items() if f"/{name}" not in group]
            if others or not held:
                who = ", ".join(others) or "a process that cannot be seen"
                raise UnitError(f"{name}: cannot listen on {address}, {who} listens there; nothing was restarted")


class Systemd:
    """The rim: one unit, seen and moved through systemctl and journalctl."""

    def __init__(self, name: str, runner: Runner = run, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._run = runner
        self._clock = clock
        self._since = int(time.time())

    def show(self) -> Unit:
        """What systemd says about the unit now."""
        properties = f"--property={','.join(PROPERTIES)}"
        status, text = self._run(["systemctl", "show", "--timestamp=us+utc", properties, "--", self.name], 30)
        if status != 0:
            raise UnitError(one_line(f"{self.name}: systemctl show failed", text))
        return parse_show(text)

    def do(self, verb: str, *units: str, seconds: float = 30) -> None:
        """Run a systemctl verb on the unit, or on others that go with it."""
        words = ["systemctl", *verb.split(), "--", *(units or (self.name,))]
        status, text = self._run(words, seconds)
        if status != 0:
            raise UnitError(one_line(f"{self.name}: {verb} failed", _without_advice(text), self.journal()))

    def daemon_reload(self) -> None:
        """Make systemd read its unit files, and refuse one that it cannot load; what runs keeps running."""
        status, text = self._run(["systemctl", "daemon-reload"], 90)
        if status != 0:
            raise UnitError(one_line(f"{self.name}: daemon-reload failed", text))
        unit = self.show()
        if unit.load_state != "loaded":
            what = f"{self.name}: systemd cannot load the unit ({unit.load_state})"
            raise UnitError(one_line(what, unit.load_error))

    def start(self, verb: str, seconds: float) -> None:
        """Start or restart; a counter of earlier failures does not get in the way."""
        self._run(["systemctl", "reset-failed", "--", self.name], 30)
        triggered = self._running_triggers() if self.name.endswith(".socket") else []
        if triggered:
            # systemd refuses to open a socket while the service behind it runs.
            self.do("stop", *triggered, seconds=STOP_SECONDS)
        self.do(verb, seconds=seconds + STOP_SECONDS)
        if triggered:
            self.do("start", *triggered, seconds=seconds)

    def _running_triggers(self) -> list[str]:
        ask = ["systemctl", "is-active", "--quiet", "--"]
        return [name for name in self.show().triggers if self._run([*ask, name], 30)[0] == 0]

    def skipped_by_condition(self, unit: Unit) -> bool:
        """Whether the unit is down because a start condition does not hold here.

        systemd forgets a unit that it did not start, ConditionResult with it, so the conditions are evaluated again.
        """
        if unit.load_state != "loaded" or unit.active_state != "inactive":
            return False
        return self._run(["systemd-analyze", "condition", f"--unit={self.name}"], 30)[0] != 0

    def wait(self, ready: Sequence[str], seconds: float, settle: bool, invocation: str) -> None:
        """Wait until the unit is ready and still the process that was started."""
        end = self._clock() + seconds
        said = ""
        while ready:
            status, said = self._run(ready, max(POLL_SECONDS, min(10.0, end - self._clock())))
            if status == 0:
                break
            self._check_alive(invocation)
            if self._clock() >= end:
                what = f"{self.name}: not ready after {seconds:.0f} s"
                raise UnitError(one_line(what, f"{ready[0]}: {said}", self.journal()))
            time.sleep(POLL_SECONDS)
        if settle:
            time.sleep(SETTLE_SECONDS)
        self._check_alive(invocation)

    def _check_alive(self, invocation: str) -> None:
        unit = self.show()
        if unit.oneshot and unit.active_state == "inactive" and unit.result == "success":
            return
        starting = unit.active_state == "activating" and unit.sub_state != "auto-restart"
        if unit.invocation != invocation or not (unit.running or starting):
            state = f"{unit.active_state}, {unit.sub_state}, result {unit.result}"
            raise UnitError(one_line(f"{self.name}: ended right after its start ({state})", self.journal()))

    def journal(self) -> str:
        """The last lines that the unit wrote since this module began."""
        words = [
            "journalctl",
            "--lines=6",
            "--output=cat",
            "--no-pager",
            "--quiet",
            f"--since=@{self._since}",
        ]
        status, text = self._run([*words, "--unit", self.name], 30)
        return text if status == 0 else ""


def _without_advice(text: str) -> str:
    # systemctl ends its errors with where to look, which the journal's lines answer already.
    return "\n".join(line for line in text.splitlines() if not line.startswith(("See ", "Hint:")))


def apply(systemd: Systemd, plan: Plan, files: Files, records: Records, options: Mapping[str, Any]) -> bool:
    """Carry the plan out; False when a start condition kept the unit from starting."""
    record = record_name(systemd.name)
    ready_timeout = float(options["ready_timeout"])
    for action in plan.actions:
        if action == "daemon_reload":
            systemd.daemon_reload()
        elif action in {"unmask", "enable", "disable", "stop"}:
            systemd.do(action, seconds=STOP_SECONDS)
        elif action == "reload":
            # Should this run end here, the next one reloads again.
            records.write(record, as_record(Files(inputs=files.inputs)))
            systemd.do("reload", seconds=ready_timeout)
        elif action in {"start", "restart"}:
            # Should this run end here, the next one does not take an older record for the truth.
            records.remove(record)
            if "daemon_reload" not in plan.actions:
                # systemd 252 does not notice the first drop-in of a unit: NeedDaemonReload stays "no".
                systemd.daemon_reload()
            systemd.start(action, ready_timeout)
    if options["state"] == "stopped":
        records.remove(record)
        return True
    unit = systemd.show()
    fresh = bool({"start", "restart"} & set(plan.actions))
    if fresh and systemd.skipped_by_condition(unit):
        return False
    systemd.wait(options["ready"], ready_timeout, fresh, unit.invocation)
    if plan.actions:
        records.write(record, as_record(replace(files, invocation=unit.invocation)))
    return True


def diff_of(name: str, unit: Unit, plan: Plan) -> dict[str, str]:
    """What differs, in words: checksums of credentials have no place in a log."""
    before = {"active": unit.active_state, "boot": unit.unit_file_state or "absent"}
    after = dict(before)
    if {"start", "restart"} & set(plan.actions):
        after["active"] = "active"
    if "stop" in plan.actions:
        after["active"] = "inactive"
    for verb in ("enable", "disable"):
        if verb in plan.actions:
            after["boot"] = f"{verb}d"
    done = ", ".join(action for action in plan.actions if action != "record")
    lines = [f"{done}: {'; '.join(plan.reasons)}\n"]
    return {
        "before_header": name,
        "after_header": name,
        "before": "".join(f"{k}: {v}\n" for k, v in before.items()),
        "after": "".join([*(f"{k}: {v}\n" for k, v in after.items()), *lines]),
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "enabled": {"type": "bool", "default": True},
            "inputs": {"type": "list", "elements": "path", "default": []},
            "reload_inputs": {"type": "list", "elements": "path", "default": []},
            "ready": {"type": "list", "elements": "str", "default": []},
            "ready_timeout": {"type": "int", "default": 60},
            "listen": {"type": "list", "elements": "str", "default": []},
            "condition_ok": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    if not options["name"].endswith(SUFFIXES) or "/" in options["name"]:
        known = ", ".join(SUFFIXES)
        module.fail_json(msg=f"name: {options['name']!r} is no full unit name; it ends with one of {known}")
    try:
        result = converge(Systemd(options["name"]), options, module.check_mode, Records(FOLDER, identity()))
    except UnitError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{options['name']}: {error}")
    module.exit_json(**result)


def converge(systemd: Systemd, options: Mapping[str, Any], check: bool, records: Records) -> dict[str, object]:
    """Look, decide, and unless in check mode act; returns the module's result."""
    wanted = Wanted(options["state"], options["enabled"], options["condition_ok"])
    files = read_files(options["inputs"], options["reload_inputs"])
    record = record_name(systemd.name)
    found = records.read(record)
    unit = systemd.show()
    plan = decide(unit, wanted, read_record(found), files)
    if {"start", "restart"} & set(plan.actions):
        refuse_taken(systemd.name, options["listen"])
    changed = plan.changes
    result: dict[str, object] = {
        "actions": list(plan.actions),
        "reasons": list(plan.reasons),
        "set_aside": [record] if found.foreign else [],
    }
    if found.foreign and not check:
        set_aside(records.folder / record)
    if check:
        skipped = wanted.condition_ok and "start" in plan.actions and systemd.skipped_by_condition(unit)
    else:
        skipped = not apply(systemd, plan, files, records, options)
        if skipped and not wanted.condition_ok:
            what = f"{systemd.name}: not started, a start condition of the unit does not hold"
            raise UnitError(one_line(what, systemd.journal()))
    if skipped:
        changed = bool(set(plan.actions) - {"record", "start", "restart"})
        # A skipped task has no "changed" in Ansible's count: only a task that did nothing may say skipped.
        result |= {"skip_reason": "condition", "skipped": not changed}
    diff = {"diff": diff_of(systemd.name, unit, plan)} if changed else {}
    return {**result, "changed": changed, **diff}


if __name__ == "__main__":
    main()
