# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.lint [project]`: print every breach of the project's own rules, one a line."""

from __future__ import annotations

import sys
from pathlib import Path

from fleet.paths import PROJECT
from tools.lint import checks, contracts, idioms, owners, repository, roles, tasks

RULES = (roles, tasks, idioms, owners, contracts, repository, checks)


def main(arguments: list[str] | None = None) -> int:
    """Return 1 when a rule is broken, else 0."""
    words = sys.argv[1:] if arguments is None else arguments
    project = Path(words[0]) if words else PROJECT
    findings = sorted(finding for module in RULES for finding in module.check(project))
    for finding in findings:
        print(finding)
    count = len(list((project / "roles").glob("*/")))
    print(f"{count} roles checked, {len(findings)} problems", file=sys.stderr if findings else sys.stdout)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
