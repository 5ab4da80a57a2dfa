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

import fnmatch
import glob
import grp
import os
import pwd
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import atomic_file, host_command, machine_record, ssh_connection
    from fleet.host.ssh_connection import Connection
    from roles.ssh.module_utils import ssh_judgement as judgement
else:
    from ansible.module_utils import atomic_file, host_command, machine_record, ssh_connection
    from ansible.module_utils import ssh_judgement as judgement
    from ansible.module_utils.ssh_connection import Connection

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
# sshd takes an equals sign behind a keyword, too.
INCLUDE = re.compile(r"^\s*include(?:\s*=\s*|\s+)(.+)$", re.IGNORECASE)
# Where keys come from that are in no file of the user.
INDIRECT = ("authorizedkeyscommand", "trustedusercakeys")
# A user that exists everywhere and an address of TEST-NET-1: what those meet who are in no Match block.
STRANGER = "user=nobody,host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.2,lport=22"


class SshError(Exception):
    """The change was refused or failed; the message is one line."""


def account_of(
    connection: Connection, effective: Mapping[str, Sequence[str]], planned: Iterable[str]
) -> judgement.Account:
    """Read groups and authorised keys of the connection's user from the host."""
    entry = pwd.getpwnam(connection.user)
    groups = {grp.getgrgid(number).gr_name for number in os.getgrouplist(entry.pw_name, entry.pw_gid)}
    indirect = {word for keyword in INDIRECT for word in judgement.words_of(effective, keyword)}
    if indirect - {"none"}:
        return judgement.Account(frozenset(groups | set(planned)), None)
    keys = ssh_connection.authorized_keys(connection.user, judgement.words_of(effective, "authorizedkeysfile"))
    # Such a line vouches for keys that are nowhere on the host.
    signed = any(key.option("cert-authority") is not None for key in keys)
    return judgement.Account(frozenset(groups | set(planned)), None if signed else tuple(keys))


def _run(words: Sequence[str]) -> str:
    """Run a command and return its output; its last line of complaint becomes the error."""
    done = host_command.run(words)
    if done.status != 0:
        complaint = [line for line in done.err.splitlines() if line.strip()]
        raise SshError(f"{' '.join(words[:2])}: {complaint[-1] if complaint else f'exit status {done.status}'}")
    return done.out


def connection_in_use() -> Connection:
    """Return the connection of this process.

    Raises:
        SshError: no ancestor was started by sshd.
    """
    found = ssh_connection.connection_in_use(os.getpid())
    if found is None:
        raise SshError("cannot see the connection in use, so cannot tell whether the change would lock it out")
    return found


def included(line: str, path: Path) -> list[str] | None:
    """Return the files that a line of sshd's configuration includes, with `path` as if it were there; else None.

    Args:
        line: one line.
        path: a file that is yet to be written.
    """
    found = INCLUDE.match(line)
    if found is None:
        return None
    files: list[str] = []
    for pattern in shlex.split(found[1], comments=True):
        # sshd_config(5): a pattern without a slash in front is meant from /etc/ssh.
        whole = str(MAIN.parent / pattern)
        seen = set(glob.glob(whole))  # noqa: PTH207 - an absolute pattern
        if len(Path(whole).parts) == len(path.parts) and all(map(fnmatch.fnmatchcase, path.parts, Path(whole).parts)):
            seen.add(str(path))
        files += sorted(seen)
    return files


def with_drop_in(text: str, path: Path, candidate: Path) -> str:
    """Return sshd's main file with a candidate in the place where it includes a drop-in."""
    lines = []
    for line in text.splitlines():
        files = included(line, path)
        if files is None:
            lines.append(line)
        elif files:
            names = [str(candidate) if name == str(path) else name for name in files]
            lines.append(" ".join(["Include", *(f'"{name}"' for name in names)]))
    return "\n".join([*lines, ""])


def write_candidate(folder: Path, path: Path, content: str, key_types: Sequence[str]) -> Path:
    """Write the configuration as it would be, with throw-away keys where a host key is missing, and return its file."""
    for key_type in key_types:
        key = _host_key(key_type)
        if not key.exists():
            _run(["/usr/bin/ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", "", "-f", str(folder / key.name)])
            content = content.replace(f"HostKey {key}\n", f"HostKey {folder / key.name}\n")
    drop_in = folder / path.name
    drop_in.write_text(content)
    main = folder / MAIN.name
    main.write_text(with_drop_in(MAIN.read_text(), path, drop_in))
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
    connection = connection_in_use()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidate = write_candidate(folder, path, content, key_types)
        ours = judgement.parse_effective(_run([SSHD, "-T", "-f", str(candidate), "-C", connection.criteria]))
        general = judgement.parse_effective(_run([SSHD, "-T", "-f", str(candidate), "-C", STRANGER]))
        judged = (folder / path.name).read_text()
    values = judgement.overruled(judged, general)
    wrong = [f"{keyword} is {value}{_culprit(keyword, path)}" for keyword, value in values.items()]
    if wrong:
        raise SshError(f"another file overrules {path.name}: {'; '.join(wrong)}: remove it there")
    account = account_of(connection, ours, planned.get(connection.user, ()))
    reasons = judgement.lockout_reasons(connection, account, ours)
    if reasons:
        raise SshError(f"the new configuration would lock out the connection in use: {'; '.join(reasons)}")


def _culprit(keyword: str, path: Path) -> str:
    """Name the files, ours excepted, that set the keyword."""
    files = [*sorted(DROP_INS.glob("*.conf")), MAIN]
    setting = re.compile(rf"^\s*{re.escape(keyword)}\b", re.IGNORECASE | re.MULTILINE)
    names = [str(file) for file in files if file != path and setting.search(file.read_text(errors="replace"))]
    if not any(str(path) in (included(line, path) or ()) for line in MAIN.read_text().splitlines()):
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
    save(edits, connection_in_use())
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
    connection = connection_in_use()
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
