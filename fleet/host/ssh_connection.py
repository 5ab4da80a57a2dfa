# SPDX-License-Identifier: Apache-2.0
"""The ssh connection that a module runs over, the key that it was opened with, and the keys that its user has."""

from __future__ import annotations

import contextlib
import pwd
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.host import host_command, ssh_keys
else:
    from ansible.module_utils import host_command, ssh_keys


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


def parse_connection(environment: bytes) -> Connection | None:
    """Read the connection from the environment of a process that sshd started."""
    pairs = (item.partition("=") for item in environment.decode(errors="replace").split("\0"))
    values = {name: value for name, _, value in pairs}
    words = values.get("SSH_CONNECTION", "").split()
    if len(words) != 4 or "USER" not in values:
        return None
    return Connection(values["USER"], words[0], int(words[1]), words[2], int(words[3]))


def ancestors(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return a process and those that started it, below init."""
    found = []
    while pid > 1:
        found.append(pid)
        status = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        # The name of the command may hold blanks and brackets; the parent is the second field after it.
        pid = int(status.rpartition(")")[2].split()[1])
    return found


def connection_in_use(pid: int, proc: Path = Path("/proc")) -> Connection | None:
    """Find the connection of this process, None without one: sudo hides it from us, but not from our ancestors."""
    found = None
    for process in ancestors(pid, proc):
        # Without CAP_SYS_PTRACE the environment of another user's process is closed; the next ancestor may do.
        with contextlib.suppress(PermissionError):
            found = parse_connection((proc / str(process) / "environ").read_bytes()) or found
    return found


def accepted_in(log: Iterable[str], connection: Connection) -> str:
    """Return the fingerprint of the key that sshd's log names for a connection, empty when it names none.

    Args:
        log: sshd's messages.
        connection: the connection to look for.
    """
    come = re.escape(f"Accepted publickey for {connection.user} from {connection.address} port {connection.port} ")
    found = [match[1] for line in log if (match := re.match(rf"{come}ssh2: \S+ (SHA256:\S+)$", line.strip()))]
    return found[-1] if found else ""


def key_in_use(pid: int, connection: Connection) -> str:
    """Return the fingerprint of the key that opened the connection; empty when the journal does not tell.

    Args:
        pid: a process of the connection.
        connection: the connection.
    """
    # One of our ancestors is the process of sshd that accepted the key, and the journal has an index of processes.
    processes = [f"_PID={process}" for process in ancestors(pid)]
    log = host_command.run(["journalctl", "--quiet", "--boot", "--output=cat", *processes], seconds=20)
    return accepted_in(log.out.splitlines(), connection)


def authorized_keys(user: str, names: Sequence[str]) -> list[ssh_keys.Key]:
    """Return the keys of a user, damaged ones included.

    Args:
        user: whose.
        names: AuthorizedKeysFile, with its tokens (sshd_config(5)).

    Raises:
        KeyError: the host does not know the user.
    """
    entry = pwd.getpwnam(user)
    tokens = {"%h": entry.pw_dir, "%u": entry.pw_name, "%U": str(entry.pw_uid), "%%": "%"}
    paths = [Path(entry.pw_dir, re.sub("%.", lambda found: tokens.get(found[0], found[0]), name)) for name in names]
    lines = [line for path in paths if path.is_file() for line in path.read_text(errors="replace").splitlines()]
    return [key for line in lines if (key := ssh_keys.read(line)) is not None]
