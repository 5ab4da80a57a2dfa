# SPDX-License-Identifier: Apache-2.0
"""What halts one host: a script for any shell, which needs no Python there and nothing of the services."""

from __future__ import annotations

import json
import shlex

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


def quoted(script: str) -> str:
    """Return a script as one word of the command line that ssh hands to the shell of the other side."""
    return shlex.quote(script)
