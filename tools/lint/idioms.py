# SPDX-License-Identifier: Apache-2.0
"""One way to do a thing: preflight, files, programs and sandboxes have the same form in every role."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plugins.filter.sandbox import CLOSED
from tools.lint.finding import Finding, flat, read

JUDGES = ("assert", "fail")
WRITERS = ("template", "blockinfile", "lineinfile", "replace", "ini_file")
PROGRAMS = ("/usr/local/libexec/fleet/", "/usr/local/libexec/station/", "/usr/local/sbin/")
EXECUTABLE = re.compile(r"^0?[0-7]*[1357][0-7]*$")
DIRECTIVE = re.compile(r"^(\w+)=", re.MULTILINE)
# A drop-in on top of a distribution's unit may set a few lines again.
FEW = 7
SYSTEMD_NO = re.compile(r"^[A-Z]\w+=(?:yes|no|on|off)$", re.MULTILINE)


def check(project: Path) -> Iterator[Finding]:
    """Yield what a role does in a way of its own."""
    for folder in sorted((project / "roles").glob("*/")):
        yield from _preflight(project, folder)
        for file in sorted((folder / "tasks").glob("*.yml")):
            for task in flat(read(file)):
                yield from (Finding(file.relative_to(project), what) for what in _files(task))
        yield from _units(project, folder)
        yield from _dry_runs(project, folder)


def _preflight(project: Path, folder: Path) -> Iterator[Finding]:
    rules, file = folder / "rules.py", folder / "tasks" / "preflight.yml"
    function = f"def {folder.name}_problems("
    if not rules.exists() or function not in rules.read_text():
        yield Finding(
            rules.relative_to(project), f"has no function {folder.name}_problems; what needs no host is asked there"
        )
    tasks = list(flat(read(file)))
    if not tasks or "preflight" not in tasks[0] or tasks[0]["preflight"]:
        yield Finding(file.relative_to(project), "begins with the task `preflight:`, which asks the role's rules")
    for task in tasks:
        judged = [name for name in JUDGES if name in task or f"ansible.builtin.{name}" in task]
        if judged:
            what = f'task "{task.get("name")}" judges with {judged[0]}'
            right = "what needs no host belongs in rules.py, what was found on the host in `preflight: {problems: ...}`"
            yield Finding(file.relative_to(project), f"{what}; {right}")


def _files(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield text files that are written in another way than by file_set, and programs in another place."""
    for module, arguments in task.items():
        short = module.rpartition(".")[2]
        if not isinstance(arguments, Mapping):
            continue
        text_file = short in WRITERS or (short == "copy" and "content" in arguments)
        if text_file and task.get("delegate_to") != "localhost":
            yield f'task "{task.get("name")}" writes a file with {short}; write it with file_set'
        if short == "file_set":
            files = arguments.get("files")
            yield from (what for entry in (files if isinstance(files, list) else []) for what in _program(entry))


def _program(entry: Any) -> Iterator[str]:
    if not isinstance(entry, Mapping) or entry.get("directory"):
        return
    path, mode = str(entry.get("path")), str(entry.get("mode", "0644"))
    if EXECUTABLE.match(mode) and not path.startswith(PROGRAMS):
        yield f"{path} is a program; its place is {' or '.join(PROGRAMS)} (what a person types)"


def _dry_runs(project: Path, folder: Path) -> Iterator[Finding]:
    for part in ("defaults", "vars", "tasks", "templates"):
        for file in sorted((folder / part).rglob("*.*")):
            if "ansible_check_mode" in file.read_text():
                what = "asks ansible_check_mode, which does not know of market hours; ask dry_run"
                yield Finding(file.relative_to(project), what)


def _units(project: Path, folder: Path) -> Iterator[Finding]:
    for file in sorted((folder / "templates").glob("*.j2")):
        text = file.read_text()
        name = file.relative_to(project)
        typed = sorted({directive for directive in DIRECTIVE.findall(text) if directive in CLOSED} - {"UMask"})
        if len(typed) > FEW:
            yield Finding(name, f"types {len(typed)} lines of a sandbox ({typed[0]} ...); use the filter sandbox")
        for word in SYSTEMD_NO.findall(text):
            yield Finding(name, f"says {word}; a truth is written true or false")
