# SPDX-License-Identifier: Apache-2.0
"""`make check-inventory`: refuse a wrong inventory before any host is touched; no host and no fact is needed.

python -m fleet.check inventory/production [--secrets inventory/secrets.yml.example]

Exit status: 0 nothing is wrong, 1 something is, 2 there is no inventory to check.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from fleet.errors import UserError
from fleet.model.named import usable
from fleet.paths import PROJECT


def main(arguments: list[str] | None = None) -> int:
    """Print every problem, one a line, or else one line that says what was checked; return the exit status."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser(prog="python -m fleet.check", description="Check an inventory.")
    parser.add_argument("inventory", type=Path, help="inventory folder")
    parser.add_argument("--project", type=Path, default=PROJECT, help="the project whose plays and roles count")
    parser.add_argument("--secrets", type=Path, help="take the secrets from this file, such as the example")
    options = parser.parse_args(arguments)
    # Ansible reads its configuration when it is imported.
    os.environ.setdefault("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))
    from fleet import check as checks  # noqa: PLC0415
    from fleet.model.model import Fleet  # noqa: PLC0415

    try:
        usable(options.inventory)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    fleet = Fleet.load(options.inventory, options.project, options.secrets)
    found = checks.problems(fleet)
    for problem in found:
        print(problem.text(options.project.resolve()))
    if found:
        count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
        print(f"{options.inventory}: {count}; no host was touched", file=sys.stderr)
        return 1
    secrets = f"; secrets taken from {options.secrets}" if options.secrets else ""
    print(
        f"{options.inventory}: {len(fleet.hosts)} hosts, {len(fleet.members) - 2} groups, {len(fleet.definitions)} "
        f"variables checked in {time.perf_counter() - began:.1f} s{secrets}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
