#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Change the configuration of sshd without losing the host: refuse what locks out, roll back what nobody confirms."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_guarded_config
short_description: Change the configuration of sshd without locking out the connection in use
description:
  - With I(state=staged) the new configuration is evaluated by sshd itself for the connection in use. One that would
    refuse this connection, or that another file overrules, fails before anything is changed.
  - Then the previous files are saved, a timer is armed on the host that restores them, and only then the files are
    replaced and sshd is restarted. Sessions that are open stay open.
  - With I(state=confirmed), called over a connection made after that, the timer is disarmed. Without this call, also
    when the controller dies or the host reboots in between, the host puts the previous files back by itself.
  - A change that was staged and not confirmed is rolled back first when the module is called again.
options:
  state:
    description: Whether to stage the files or to confirm staged ones.
    type: str
    choices: [staged, confirmed]
    default: staged
  path:
    description: The drop-in below /etc/ssh/sshd_config.d. Required when staging.
    type: path
  content:
    description: Text of the drop-in. Required when staging.
    type: str
  host_key_types:
    description: Types of host keys to have; the keys of other types are removed.
    type: list
    elements: str
    default: [ed25519]
  rollback_timeout:
    description: Seconds after which an unconfirmed change is rolled back.
    type: int
    default: 60
  planned_groups:
    description: User to groups that an earlier task would have added; counted in check mode only.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Stage the configuration
  ssh_guarded_config:
    path: /etc/ssh/sshd_config.d/10-fleet.conf
    content: |
      AllowGroups ssh-users
      PasswordAuthentication no

- name: Confirm it over a new connection
  ssh_guarded_config:
    state: confirmed
"""

RETURN = r"""
edits:
  description: The files written and removed.
  type: list
  elements: str
  returned: when staging
set_aside:
  description: The folder of a change that another machine made, which is kept under another name and not rolled back.
  type: list
  elements: str
  returned: when staging
"""

import contextlib
import grp
import ipaddress
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import atomic_file, host_command, machine_record
else:
    from ansible.module_utils import atomic_file, host_command, machine_record

SSHD = "/usr/sbin/sshd"
MAIN = Path("/etc/ssh/sshd_config")
DROP_INS = Path("/etc/ssh/sshd_config.d")
STATE = Path("/var/lib/fleet/ssh-rollback")
UNIT = "ssh-rollback"
SERVICE = Path(f"/etc/systemd/system/{UNIT}.service")
WANTED = Path(f"/etc/systemd/system/multi-user.target.wants/{UNIT}.service")
# A restart ends only the listener (KillMode=process), also one that has died; open sessions are processes of their own.
# Not SIGHUP: a listener that systemd once gave its socket cannot bind the port itself then, and dies. Where systemd
# holds the socket (Ubuntu 24.04), the ports are those of the socket, which is generated at daemon-reload.
RESTART = """\
if systemctl --quiet is-active ssh.socket; then
  systemctl daemon-reload
  systemctl stop ssh.service
  systemctl restart ssh.socket
else
  systemctl restart ssh.service
fi
"""
ROLLBACK = f"""\
#!/bin/sh
# Puts back the SSH configuration saved before a change that no new connection confirmed in time.
set -eu
cd {STATE}
# One rename decides between this and the confirmation.
mv armed firing 2>/dev/null || [ -e firing ] || exit 0
while read -r name path; do cp -a "saved/$name" "$path.saved"; mv -f "$path.saved" "$path"; done <restore
while read -r path; do rm -f "$path"; done <created
{RESTART}
echo "the change of the SSH configuration was not confirmed: the previous configuration is back"
cd /
rm -rf {STATE}
rm -f {SERVICE} {WANTED}
# It still runs when the unit was started by hand.
systemctl stop {UNIT}.timer 2>/dev/null || true
systemctl daemon-reload
"""
# Also wanted at boot: a reboot between change and confirmation must not keep the change. Not ordered before
# ssh.service, because it waits for that one's restart.
UNIT_TEXT = f"""\
[Unit]
Description=Roll back an unconfirmed change of the SSH configuration
ConditionPathExists={STATE}/rollback

[Service]
Type=oneshot
ExecStart=/bin/sh {STATE}/rollback

[Install]
WantedBy=multi-user.target
"""
# sshd_config(5): these add up over all files; of every other keyword the first value counts.
ADDED_UP = ("port", "allowgroups", "hostkey")
KEY_TYPE = re.compile(r"(?:^|\s)((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+)\s+AAAA")
# A user that exists everywhere and an address of TEST-NET-1: what those meet who are in no Match block.
STRANGER = "user=nobody,host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.2,lport=22"


class SshError(Exception):
    """The change was refused or failed; the message is one line."""


@dataclass(frozen=True)
class Connection:
    """The connection in use."""

    user: str
    address: str
    port: int
    local_address: str
    local_port: int

    @property
    def criteria(self) -> str:
        """The connection as `sshd -T -C` wants it."""
        return (
            f"user={self.user},host={self.address},addr={self.address},"
            f"laddr={self.local_address},lport={self.local_port}"
        )


@dataclass(frozen=True)
class Account:
    """What the host knows about the user of the connection."""

    groups: frozenset[str]
    key_types: frozenset[str] | None  # None: the keys come from a command or a CA, so they cannot be seen


def parse_connection(environment: bytes) -> Connection | None:
    """Read the connection from the environment of a process that sshd started."""
    pairs = (item.partition("=") for item in environment.decode(errors="replace").split("\0"))
    values = {name: value for name, _, value in pairs}
    words = values.get("SSH_CONNECTION", "").split()
    if len(words) != 4 or "USER" not in values:
        return None
    return Connection(values["USER"], words[0], int(words[1]), words[2], int(words[3]))


def parse_effective(text: str) -> dict[str, list[str]]:
    """Read the output of `sshd -T`: keyword -> its values, a line each."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        values.setdefault(keyword.lower(), []).append(value)
    return values


def matches(text: str, pattern: str) -> bool:
    """Match as sshd does: * and ? are the only wildcards."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text) is not None


def user_matches(connection: Connection, pattern: str) -> bool:
    """Match an entry of AllowUsers or DenyUsers: a user, or user@host with an address, a pattern or a network."""
    user, at, host = pattern.rpartition("@")
    if not at:
        return matches(connection.user, host)
    if not matches(connection.user, user):
        return False
    try:
        return ipaddress.ip_address(connection.address) in ipaddress.ip_network(host, strict=False)
    except ValueError:
        return matches(connection.address, host)


def listens(effective: Mapping[str, Sequence[str]], address: str, port: int) -> bool:
    """Whether the configuration listens where a connection to this address and port comes in."""
    any_address = "::" if ":" in address else "0.0.0.0"  # noqa: S104  (compared, not bound)
    places = (value.rpartition(":") for value in effective.get("listenaddress", ()))
    return any(host.strip("[]") in {address, any_address} and number == str(port) for host, _, number in places)


def accepted_keys(key_types: Iterable[str], effective: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the key types that the configuration accepts; an RSA key signs with the rsa-sha2 algorithms."""
    algorithms = set(",".join(effective.get("pubkeyacceptedalgorithms", ())).split(","))
    rsa = {"ssh-rsa"} if algorithms & {"ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"} else set()
    return set(key_types) & (algorithms | rsa)


def _words(effective: Mapping[str, Sequence[str]], keyword: str) -> list[str]:
    return " ".join(effective.get(keyword, ())).split()


def _name_reasons(connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]) -> list[str]:
    """Say why user or groups are refused, in the order in which sshd looks."""
    user, groups = connection.user, sorted(account.groups)
    reasons = []
    allowed, denied = _words(effective, "allowusers"), _words(effective, "denyusers")
    if any(user_matches(connection, pattern) for pattern in denied):
        reasons.append(f"DenyUsers names {user}")
    if allowed and not any(user_matches(connection, pattern) for pattern in allowed):
        reasons.append(f"AllowUsers does not name {user}")
    allowed, denied = _words(effective, "allowgroups"), _words(effective, "denygroups")
    hit = [group for group in groups if any(matches(group, pattern) for pattern in denied)]
    if hit:
        reasons.append(f"DenyGroups names {hit[0]}, a group of {user}")
    if allowed and not any(matches(group, pattern) for group in groups for pattern in allowed):
        reasons.append(
            f"{user} is in no group of AllowGroups ({', '.join(allowed)}) but in {', '.join(groups)}:"
            " add the user (base_admin_groups) or allow one of these (ssh_allow_groups)"
        )
    return reasons


def _authentication_reasons(
    connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say why the user's key would not be enough."""
    reasons = []
    root = _words(effective, "permitrootlogin")
    if connection.user == "root" and root and root[0] not in {"yes", "prohibit-password", "without-password"}:
        reasons.append(
            "PermitRootLogin refuses root, whose connection this is: connect as the administrator (ansible_user)"
        )
    if _words(effective, "pubkeyauthentication") == ["no"]:
        reasons.append("PubkeyAuthentication is no")
    methods = _words(effective, "authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        reasons.append(f"AuthenticationMethods ({' '.join(methods)}) asks for more than a key")
    if account.key_types is not None and not accepted_keys(account.key_types, effective):
        found = ", ".join(sorted(account.key_types)) or "none"
        reasons.append(
            f"{connection.user} has no authorised key of an accepted type (found: {found}):"
            " add one (base_admin_keys) or accept the type (ssh_user_key_algorithms)"
        )
    if _words(effective, "forcecommand") not in ([], ["none"]):
        reasons.append(f"ForceCommand leaves {connection.user} no shell")
    return reasons


def lockout_reasons(connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]) -> list[str]:
    """Say why a new connection like the one in use would be refused; pure.

    Args:
        connection: the connection in use.
        account: groups and authorised keys of its user.
        effective: what `sshd -T` prints for this connection under the new configuration.
    """
    reasons = []
    if not listens(effective, connection.local_address, connection.local_port):
        reasons.append(
            f"this connection comes in at {connection.local_address} port {connection.local_port}, where the new"
            f" configuration does not listen ({', '.join(effective.get('listenaddress', ()))}): keep it as"
            " ssh_transition_port or in ssh_listen_addresses until the inventory connects elsewhere"
        )
    reasons += _name_reasons(connection, account, effective)
    reasons += _authentication_reasons(connection, account, effective)
    return reasons


def wanted_values(content: str) -> dict[str, list[str]]:
    """Read the part of a drop-in that stands before its Match blocks: keyword -> its values, a line each."""
    lines = [line.strip() for line in content.splitlines()]
    head = []
    for line in lines:
        if line.lower().startswith("match "):
            break
        if line and not line.startswith("#"):
            head.append(line)
    return parse_effective("\n".join(head))


def overruled(content: str, effective: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the keywords of the drop-in that do not take effect, with the value that does; pure."""
    wrong = {}
    for keyword, values in wanted_values(content).items():
        if keyword == "listenaddress":
            continue
        wanted, found = " ".join(values).lower(), " ".join(effective.get(keyword, ())).lower()
        same = set(wanted.split()) == set(found.split()) if keyword in ADDED_UP else wanted == found
        if not same:
            wrong[keyword] = found or "nothing"
    return wrong


def connection_in_use(pid: int, proc: Path = Path("/proc")) -> Connection:
    """Find the connection of this process: sudo hides it from us, but not from our ancestors.

    Raises:
        SshError: no ancestor was started by sshd.
    """
    found = None
    while pid > 1:
        # Without CAP_SYS_PTRACE the environment of another user's process is closed; the next ancestor may do.
        with contextlib.suppress(PermissionError):
            found = parse_connection((proc / str(pid) / "environ").read_bytes()) or found
        status = (proc / str(pid) / "stat").read_text()
        # The name of the command may hold blanks and brackets; the parent is the second field after it.
        pid = int(status.rpartition(")")[2].split()[1])
    if found is None:
        raise SshError("cannot see the connection in use, so cannot tell whether the change would lock it out")
    return found


def account_of(connection: Connection, effective: Mapping[str, Sequence[str]], planned: Iterable[str]) -> Account:
    """Read groups and authorised keys of the connection's user from the host."""
    entry = pwd.getpwnam(connection.user)
    groups = {grp.getgrgid(number).gr_name for number in os.getgrouplist(entry.pw_name, entry.pw_gid)}
    indirect = _words(effective, "authorizedkeyscommand") + _words(effective, "trustedusercakeys")
    if set(indirect) - {"none"}:
        return Account(frozenset(groups | set(planned)), None)
    types: set[str] = set()
    tokens = {"%h": entry.pw_dir, "%u": entry.pw_name, "%U": str(entry.pw_uid), "%%": "%"}
    for name in _words(effective, "authorizedkeysfile"):
        path = Path(entry.pw_dir, re.sub("%.", lambda found: tokens.get(found[0], found[0]), name))
        if path.is_file():
            types.update(KEY_TYPE.findall("\n".join(_key_lines(path.read_text(errors="replace")))))
    return Account(frozenset(groups | set(planned)), frozenset(types))


def _key_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _run(words: Sequence[str]) -> str:
    """Run a command and return its output; its last line of complaint becomes the error."""
    done = host_command.run(words)
    if done.status != 0:
        complaint = [line for line in done.err.splitlines() if line.strip()]
        raise SshError(f"{' '.join(words[:2])}: {complaint[-1] if complaint else f'exit status {done.status}'}")
    return done.out


def write_candidate(folder: Path, path: Path, content: str, key_types: Sequence[str]) -> Path:
    """Write the configuration as it would be, with throw-away keys where a host key is missing, and return its file."""
    drop_ins = folder / DROP_INS.name
    drop_ins.mkdir()
    for existing in DROP_INS.glob("*.conf"):
        shutil.copy(existing, drop_ins)
    for key_type in key_types:
        key = _host_key(key_type)
        if not key.exists():
            _run(["/usr/bin/ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", "", "-f", str(folder / key.name)])
            content = content.replace(f"HostKey {key}\n", f"HostKey {folder / key.name}\n")
    (drop_ins / path.name).write_text(content)
    main = folder / MAIN.name
    main.write_text(re.sub(rf"(?mi)^(\s*include\s.*){re.escape(str(DROP_INS))}/", rf"\1{drop_ins}/", MAIN.read_text()))
    return main


def _host_key(key_type: str) -> Path:
    return MAIN.with_name(f"ssh_host_{key_type}_key")


def evaluate(path: Path, content: str, key_types: Sequence[str], planned: Mapping[str, Sequence[str]]) -> None:
    """Judge the new configuration for the connection in use.

    Raises:
        SshError: sshd does not accept it, another file overrules it, or it would lock the connection out.
    """
    # The folder that sshd wants before it reads anything; absent on a socket-activated host that sshd has not run on.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    connection = connection_in_use(os.getpid())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidate = write_candidate(folder, path, content, key_types)
        ours = parse_effective(_run([SSHD, "-T", "-f", str(candidate), "-C", connection.criteria]))
        general = parse_effective(_run([SSHD, "-T", "-f", str(candidate), "-C", STRANGER]))
        judged = (folder / DROP_INS.name / path.name).read_text()
    wrong = [f"{keyword} is {value}{_culprit(keyword, path)}" for keyword, value in overruled(judged, general).items()]
    if wrong:
        raise SshError(f"another file overrules {path.name}: {'; '.join(wrong)}: remove it there")
    reasons = lockout_reasons(connection, account_of(connection, ours, planned.get(connection.user, ())), ours)
    if reasons:
        raise SshError(f"the new configuration would lock out the connection in use: {'; '.join(reasons)}")


def _culprit(keyword: str, path: Path) -> str:
    """Name the files, ours excepted, that set the keyword."""
    files = [*sorted(DROP_INS.glob("*.conf")), MAIN]
    setting = re.compile(rf"^\s*{re.escape(keyword)}\b", re.IGNORECASE | re.MULTILINE)
    names = [str(file) for file in files if file != path and setting.search(file.read_text(errors="replace"))]
    included = re.search(rf"^\s*include\s.*{re.escape(str(DROP_INS))}", MAIN.read_text(), re.IGNORECASE | re.MULTILINE)
    if not included:
        return f" ({MAIN} does not include {DROP_INS}/*.conf)"
    return f" ({', '.join(names)})" if names else ""


def planned_edits(path: Path, content: str, key_types: Sequence[str]) -> dict[Path, str | None]:
    """Return what to change: file -> its text, None to remove it, "" for a host key that is to be made."""
    edits: dict[Path, str | None] = {}
    if not path.is_file() or path.read_text() != content:
        edits[path] = content
    wanted = {_host_key(key_type) for key_type in key_types}
    edits.update({key: "" for key in sorted(wanted) if not key.exists()})
    for key in sorted(MAIN.parent.glob("ssh_host_*_key")):
        if key not in wanted:
            edits[key] = None
            edits[key.with_name(f"{key.name}.pub")] = None
    return edits


def save(edits: Iterable[Path], connection: Connection) -> None:
    """Save what the edits will replace, with the script that puts it back."""
    saved = STATE / "saved"
    saved.mkdir(mode=0o700, parents=True)
    STATE.chmod(0o700)
    (STATE / "machine").write_text(machine_record.identity())
    restore, created = [], []
    for number, path in enumerate(edits):
        if path.exists():
            shutil.copy2(path, saved / str(number))
            restore.append(f"{number} {path}\n")
        else:
            created.append(f"{path}\n")
            # ssh-keygen writes the public half beside the key.
            created += [f"{path}.pub\n"] * path.name.endswith("_key")
    (STATE / "restore").write_text("".join(restore))
    (STATE / "created").write_text("".join(created))
    (STATE / "rollback").write_text(ROLLBACK)
    (STATE / "connection").write_text(connection.criteria + f",port={connection.port}")


def arm(seconds: int) -> None:
    """Make the host roll back by itself after the given time, and at its next boot."""
    SERVICE.write_text(UNIT_TEXT)
    WANTED.parent.mkdir(exist_ok=True)
    WANTED.unlink(missing_ok=True)
    WANTED.symlink_to(SERVICE)
    _run(["systemctl", "daemon-reload"])
    (STATE / "armed").touch()
    for name in ("saved", "restore", "created", "rollback", "armed", "."):
        _sync(STATE / name)
    timer = ["--timer-property=AccuracySec=1s", f"--on-active={seconds}", f"--unit={UNIT}.service"]
    _run(["systemd-run", "--quiet", *timer])


def _sync(path: Path) -> None:
    """Bring a file or a folder to the disk: the saved files must survive what the change is protected from."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def write_edits(edits: Mapping[Path, str | None]) -> None:
    """Replace, make and remove the files."""
    for path, content in edits.items():
        if content is None:
            path.unlink(missing_ok=True)
        elif content:
            atomic_file.atomic_write(path, content)
        else:
            key_type = path.name.removeprefix("ssh_host_").removesuffix("_key")
            _run(["/usr/bin/ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", "", "-f", str(path)])


def disarm() -> None:
    """Remove timer, unit and saved files."""
    host_command.run(["systemctl", "stop", f"{UNIT}.timer"])
    SERVICE.unlink(missing_ok=True)
    WANTED.unlink(missing_ok=True)
    shutil.rmtree(STATE, ignore_errors=True)
    _run(["systemctl", "daemon-reload"])


def roll_back() -> None:
    """Put the saved files back now; what was never armed is only cleared away."""
    if (STATE / "armed").exists() or (STATE / "firing").exists():
        # Through the unit: when its timer fires at this moment, systemd still runs it once.
        _run(["systemctl", "start", f"{UNIT}.service"])
    disarm()


def is_foreign() -> bool:
    """Whether the change that waits was made on another machine, whose files are no way back for this one."""
    try:
        return (STATE / "machine").read_text() != machine_record.identity()
    except FileNotFoundError:
        return False


def apply(edits: Mapping[Path, str | None], seconds: int) -> None:
    """Save, arm, write, restart; put everything back when a step fails."""
    save(edits, connection_in_use(os.getpid()))
    try:
        arm(seconds)
        write_edits(edits)
        _run([SSHD, "-t"])
        _run(["/bin/sh", "-ec", RESTART])
    except (OSError, SshError):
        roll_back()
        raise


def confirm() -> None:
    """Keep the staged change.

    Raises:
        SshError: this is the connection that staged it, which proves nothing, or the host has already rolled back.
    """
    connection = connection_in_use(os.getpid())
    try:
        if (STATE / "connection").read_text() == connection.criteria + f",port={connection.port}":
            raise SshError("this is the connection that staged the change, not a new one")
        (STATE / "armed").rename(STATE / "confirmed")
    except FileNotFoundError:
        raise SshError("the change is not there any more: the host has rolled it back") from None
    disarm()


def stage(module: AnsibleModule) -> None:
    """Judge the new files and put them in place, with the way back armed."""
    path, content = Path(module.params["path"]), module.params["content"]
    key_types = module.params["host_key_types"]
    foreign = is_foreign()
    if foreign and not module.check_mode:
        machine_record.set_aside(STATE)
        disarm()
    elif STATE.exists() and not module.check_mode:
        roll_back()
    planned = module.params["planned_groups"] if module.check_mode else {}
    try:
        evaluate(path, content, key_types, planned)
    except SshError as error:
        raise SshError(f"refused, nothing was changed: {error}") from None
    edits = planned_edits(path, content, key_types)
    before = path.read_text() if path.is_file() else ""
    if edits and not module.check_mode:
        apply(edits, module.params["rollback_timeout"])
    module.exit_json(
        changed=bool(edits) or foreign,
        set_aside=[str(STATE)] if foreign else [],
        edits=[f"{file} (removed)" if text is None else str(file) for file, text in edits.items()],
        diff={"before": before, "after": content, "before_header": str(path), "after_header": str(path)},
    )


def main() -> None:
    """Stage or confirm."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["staged", "confirmed"], "default": "staged"},
            "path": {"type": "path"},
            "content": {"type": "str"},
            "host_key_types": {"type": "list", "elements": "str", "default": ["ed25519"], "no_log": False},
            "rollback_timeout": {"type": "int", "default": 60},
            "planned_groups": {"type": "dict", "default": {}},
        },
        required_if=[("state", "staged", ("path", "content"))],
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "staged":
            stage(module)
        if not module.check_mode:
            confirm()
        module.exit_json(changed=False)
    except (OSError, SshError) as error:
        module.fail_json(msg=f"ssh: {error}")


if __name__ == "__main__":
    main()
