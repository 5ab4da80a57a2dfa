# SPDX-License-Identifier: Apache-2.0
"""Kill switch for the whole fleet: `pyinfra -y playbooks/pyinfra_hosts.py playbooks/halt.py [--data reason="..."]`.

On each host it engages the latch that every order path reads, then stops the services. It needs a shell there and no
Python. Hosts that cannot be reached are named at the end, and the exit status is 1. Halting twice does no harm.
"""

from __future__ import annotations

import getpass
import json
import shlex

from pyinfra import host, logger, state
from pyinfra.api import operation
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_state

FOLDER = "/var/lib/station/halt"  # station.halt.FOLDER
TARGET = "station.target"
# The latch first and empty: that denies orders even on a full disk. Then its reason, whole or not at all. Services
# last: they take their time to drain. No command here ends the shell when it fails, as a redirection of `:` would.
SCRIPT = """
umask 027
status=0
if [ -d {folder} ]; then
  cd {folder}
  touch latch && sync latch .
  {{ cat latch; printf '{{"at": %s, %s}}\\n' "$(date +%s%6N)" {words}; }} > .latch.fleet \\
    && sync .latch.fleet && mv .latch.fleet latch && sync .
  rm -f .latch.fleet
  if [ -e latch ]; then echo "orders are denied"; else echo "{folder}/latch: cannot be written" >&2; status=1; fi
else
  echo "no kill switch here"
fi
if systemctl cat {target} > /dev/null 2>&1; then
  if systemctl stop {target}; then echo "{target} is stopped"; else status=1; fi
else
  echo "no {target} here"
fi
exit $status
"""


def command(reason: str, by: str, folder: str = FOLDER) -> str:
    """Return the shell script that halts one host, whatever it was before.

    Args:
        reason: goes into the latch.
        by: who does it.
        folder: of the latch.
    """
    words = json.dumps({"by": by, "reason": reason}, sort_keys=True).removeprefix("{").removesuffix("}")
    return SCRIPT.format(folder=shlex.quote(folder), words=shlex.quote(words), target=TARGET).strip()


@operation(is_idempotent=False)
def engage(reason: str, by: str):  # type: ignore[no-untyped-def] # noqa: ANN201 - pyinfra wants a plain generator
    """Deny orders and stop the services.

    Args:
        reason: goes into the latch.
        by: who does it.
    """
    yield command(reason, by)


class Report(BaseStateCallback):
    """Says how each host stands once all that answered are done."""

    @staticmethod
    def operation_end(state: State, op_hash: str) -> None:
        """Print one line a host; those that still trade are the last."""
        for one in sorted(state.inventory, key=lambda one: (one in state.failed_hosts, one.name)):
            if one not in state.activated_hosts:
                logger.error(f"{one.name}: AWAY: not halted, and it may still send orders; halt it at its console")
            elif one in state.failed_hosts:
                logger.error(f"{one.name}: FAILED: look at its own words above; halt it at its console")
            else:
                logger.info(f"{one.name}: {', '.join(state.ops[one][op_hash].operation_meta.stdout_lines)}")


# pyinfra runs this file once a host.
if ctx_state.isset():
    if not any(type(handler).__name__ == Report.__name__ for handler in state.callback_handlers):
        state.add_callback_handler(Report())
    engage(
        name="Deny orders and stop the services",
        reason=str(host.data.get("reason") or "fleet halt"),
        by=getpass.getuser(),
        _sudo=True,
    )
