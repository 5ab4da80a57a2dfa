#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""What role base has to see on a host before it changes anything; changes nothing itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: base_preflight
short_description: Wait for a first boot, and judge the administrator's new keys
description:
  - Waits until cloud-init has finished, where it runs in this boot. It would write package sources and users beside the
    role.
  - Judges whether the new keys would lock out the connection in use. The key that opened it is the one of sshd's log.
    Where the log does not tell, one of the keys that the account has now must stay.
  - Reads when snapd refreshes its packages.
options:
  user:
    description: The administrator.
    type: str
    required: true
  keys:
    description: The public keys that replace the administrator's; without any, nothing is judged.
    type: list
    elements: str
    default: []
  patience:
    description: Seconds to wait for cloud-init.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at first boot, keys and snaps
  base_preflight:
    user: ops
    keys: ["ssh-ed25519 AAAA... operator"]
  register: __base_preflight_result
"""

RETURN = r"""
problems:
  description: What is wrong, one line each.
  type: list
  elements: str
  returned: always
snap_timer:
  description: When snapd refreshes, empty for its own default; none where snapd does not run.
  type: str
  returned: always
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import host_command, ssh_connection, ssh_keys
else:
    from ansible.module_utils import host_command, ssh_connection, ssh_keys

CLOUD_INIT = "cloud-init"
FINISHED = Path("/run/cloud-init/result.json")
KEYS_FILE = ".ssh/authorized_keys"


def first_boot_problem(patience: int, finished: Path = FINISHED) -> str:
    """Wait for the end of cloud-init, and say that it did not come; how cloud-init ended is not this role's concern.

    Args:
        patience: seconds.
        finished: what cloud-init writes at the end of each boot.
    """
    if finished.exists():
        return ""
    done = host_command.run([CLOUD_INIT, "status", "--wait"], seconds=patience)
    if done.status != host_command.TIMED_OUT:
        return ""
    return f"cloud-init is not finished after {patience} s: see `cloud-init status --long` on the host, and run again"


def lockout_problem(
    connection: ssh_connection.Connection, in_use: str, present: Iterable[ssh_keys.Key], wanted: Iterable[ssh_keys.Key]
) -> str:
    """Say whether the connection's user would lose the key that lets the plays in; pure.

    Args:
        connection: the connection in use.
        in_use: fingerprint of the key that opened it, empty when nobody knows.
        present: the keys that the account has in the file that is replaced.
        wanted: the keys that replace them.
    """
    before, after = {key.fingerprint for key in present}, {key.fingerprint for key in wanted}
    # A key that is not in the file lets its owner in by another way (a certificate, a command), which stays.
    if in_use in before - after:
        return (
            f"base_admin_keys lacks the key that this connection was opened with ({in_use}), so the next run would be"
            " locked out: add it, or connect with a key that is listed (ansible_ssh_private_key_file)"
        )
    if not in_use and before and not before & after:
        return (
            f"base_admin_keys has none of the keys that {connection.user} has now, and sshd's log does not say which"
            " one opened this connection: keep one of them until a run came in with a new one"
        )
    return ""


def keys_problem(user: str, keys: Sequence[str]) -> str:
    """Ask the host for the connection in use, and judge the keys that replace its user's."""
    connection = ssh_connection.connection_in_use(os.getpid())
    if not keys or connection is None or connection.user != user:
        return ""
    wanted = [key for line in keys if (key := ssh_keys.read(line))]
    present = ssh_connection.authorized_keys(user, [KEYS_FILE])
    if {key.data for key in present} <= {key.data for key in wanted}:
        return ""  # the usual run, which the journal need not be asked for
    return lockout_problem(connection, ssh_connection.key_in_use(os.getpid(), connection), present, wanted)


def snap_timer() -> str | None:
    """Return when snapd refreshes, empty for its default; None where it does not run."""
    done = host_command.run(["snap", "get", "system", "refresh.timer"], seconds=30)
    if done.status == 0:
        return done.out.strip()
    return "" if "has no" in done.err else None


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "patience": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        problems = [first_boot_problem(given["patience"]), keys_problem(given["user"], given["keys"])]
    except OSError as error:
        module.fail_json(msg=f"base: {error}")
    module.exit_json(changed=False, problems=[line for line in problems if line], snap_timer=snap_timer())


if __name__ == "__main__":
    main()
