# SPDX-License-Identifier: Apache-2.0
"""Write the generated pages of docs/reference, or say which of them are stale: `python -m tools.pages [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from fleet.errors import UserError
from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT
from tools.pages import coverage, hosts, kernel, performance, variables


def pages(project: Path) -> dict[Path, str]:
    """Return file -> content of every generated page.

    Raises:
        UserError: the inventory or coverage.yml cannot be used.
    """
    fleet = Fleet.load(INVENTORIES / "production", project, secrets=INVENTORIES / "secrets.yml.example")
    # Secrets appear on no page, so the owner's may stay locked.
    problems = [problem for problem in fleet.problems if problem.place.file.name != "secrets.yml"]
    if problems:
        raise UserError("; ".join(problem.text(project) for problem in problems))
    reference = project / "docs" / "reference"
    try:
        stated = yaml.safe_load((project / coverage.SOURCE).read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{coverage.SOURCE}: invalid YAML: {' '.join(str(error).split())}; mend the syntax") from error
    counted = coverage.counts(project / "tests" / "host")
    return {
        reference / "variables.md": variables.page(fleet.project),
        reference / "hosts.md": hosts.page(fleet),
        reference / "kernel.md": kernel.page(fleet),
        reference / "coverage.md": coverage.page(stated, variables.in_order(fleet.project), counted),
    }


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Return the pages that are missing or differ from what they would be now."""
    return [file for file, text in wanted.items() if not file.exists() or file.read_text() != text]


def main(arguments: list[str] | None = None) -> int:
    """Write the pages; with --check write nothing and return 1 if one is stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name the stale pages")
    options = parser.parse_args(arguments)
    try:
        wanted = pages(PROJECT)
    except UserError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    old = stale(wanted)
    for file in old:
        if options.check:
            print(f"{file.relative_to(PROJECT)}: stale: run `make docs`", file=sys.stderr)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file])
            print(f"wrote {file.relative_to(PROJECT)}")
    if not options.check:  # measurements have no state that they should be in
        performance.write()
    return int(bool(old) and options.check)


if __name__ == "__main__":
    sys.exit(main())
