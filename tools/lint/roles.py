# SPDX-License-Identifier: Apache-2.0
"""Every role looks the same: files, names, and defaults that its specification describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.lint.finding import Finding, flat, read

FILES = ("meta/argument_specs.yml", "defaults/main.yml", "tasks/main.yml")
STEPS = ("preflight", "install", "configure", "run")


def check(project: Path) -> Iterator[Finding]:
    """Yield what sets a role apart from the others."""
    for folder in sorted((project / "roles").glob("*/")):
        role = folder.relative_to(project)
        for name in FILES:
            if not (folder / name).exists():
                yield Finding(role / name, "is missing; every role has it")
        yield from _specification(folder, role)
        yield from _contents(folder, role)
        for template in sorted((folder / "templates").rglob("*")):
            if template.is_file() and template.suffix != ".j2":
                yield Finding(template.relative_to(project), f"name it {template.name}.j2 after the file it becomes")


def _specification(folder: Path, role: Path) -> Iterator[Finding]:
    file = role / "meta" / "argument_specs.yml"
    main = ((read(folder / "meta" / "argument_specs.yml") or {}).get("argument_specs") or {}).get("main") or {}
    options: Mapping[str, Any] = main.get("options") or {}
    defaults: Mapping[str, Any] = read(folder / "defaults" / "main.yml") or {}
    for key in sorted(options.keys() - defaults.keys()):
        yield Finding(role / "defaults" / "main.yml", f"{key} is missing; meta/argument_specs.yml describes it")
    for key in sorted(defaults.keys() - options.keys()):
        yield Finding(file, f"{key} is missing; defaults/main.yml sets it")
    for key, option in options.items():
        if not key.startswith(f"{role.name}_"):
            yield Finding(file, f"{key}: a public variable begins with {role.name}_")
        for word in ("type", "description"):
            if word not in option:
                yield Finding(file, f"{key}: say its {word}")
        if "default" in option and key in defaults and option["default"] != defaults[key]:
            wrong = f"the specification's default is {option['default']!r}, defaults/main.yml has {defaults[key]!r}"
            yield Finding(file, f"{key}: {wrong}; make them equal")


def _contents(folder: Path, role: Path) -> Iterator[Finding]:
    """Yield what in tasks/main.yml is no line of a table of contents; a block may hold them together."""
    file, reached = role / "tasks" / "main.yml", 0
    for task in flat(read(folder / "tasks" / "main.yml")):
        imported = task.get("ansible.builtin.import_tasks") or task.get("ansible.builtin.include_tasks")
        step = str(imported or "").removesuffix(".yml")
        if step not in STEPS:
            what = f"imports {imported}" if imported else "is no import"
            yield Finding(file, f'task "{task.get("name")}" {what}; it is a table of contents of {", ".join(STEPS)}')
            continue
        if STEPS.index(step) < reached:
            yield Finding(file, f"{step} comes too late; the order is {', '.join(STEPS)}")
        reached = max(reached, STEPS.index(step))
