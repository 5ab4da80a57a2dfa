# SPDX-License-Identifier: Apache-2.0
"""Command line of the virtual machines that the kernel layer is tested on: `python -m lab.vm create|destroy NAME`."""

from __future__ import annotations

import argparse
import sys

from fleet.errors import UserError
from fleet.paths import PROJECT
from lab.vm import machine

# Two, because each keeps one processor of the control machine busy. The ports stand in inventory/vm/hosts.yml too.
MACHINES = {
    "hft": machine.Machine(PROJECT / ".vm" / "hft", port=2210),
    "trading": machine.Machine(PROJECT / ".vm" / "trading", port=2211),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status; an error the user can mend is one line."""
    parser = argparse.ArgumentParser(prog="python -m lab.vm", description=__doc__)
    parser.add_argument("verb", choices=["create", "destroy"], help="boot the machine, or switch it off and remove it")
    parser.add_argument("name", choices=MACHINES, help="which")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "create":
            machine.create(MACHINES[options.name], lambda line: print(line, flush=True))
        else:
            machine.destroy(MACHINES[options.name])
            print("the virtual machine is gone; its installed image stays cached in build/vm")
    except UserError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vm: interrupted; run it again to go on, or `python -m lab.vm destroy NAME`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
