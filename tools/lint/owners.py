# SPDX-License-Identifier: Apache-2.0
"""One owner for each unit, user, group and file: two roles that claim one would undo each other's work.

What is read is the tasks as they are written. A name with Jinja counts when it becomes plain by putting in the role's
defaults and vars, the task's `vars` or the entries of a written-out `loop`; a list of files in an expression counts
with the entries that are written out in the variables it names. Anything else is left out: paths that need facts or the
inventory, groups of `base_groups`, what a script or a package makes, and what a template only mentions. Directories may
be made by several roles, but only alike, and so may a file whose source is one file outside of the roles.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.lint.finding import BLOCKS, Finding, read

UNITS = Path("/etc/systemd/system")
SYSUSERS = (Path("/etc/sysusers.d"), Path("/usr/lib/sysusers.d"))
UNIT_MODULES = ("unit_converged", "systemd", "systemd_service", "service")
SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target", ".slice", ".device")
# Modules that write a file, and the arguments that may name it.
WRITERS = {
    *("assemble", "blockinfile", "copy", "file", "get_url", "git", "ini_file", "lineinfile", "maven_artifact"),
    *("replace", "ssh_guarded_config", "sysctl_applied", "template", "unarchive"),
}
DESTINATIONS = ("dest", "path", "file")
FOREIGN_DROP_IN = re.compile(r"10-[\w.@-]+\.conf")
NAME = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\}\}")
WORD = re.compile(r"[A-Za-z_]\w*")
TEMPLATE = re.compile(r"template'\s*,\s*'([\w@.-]+)'")
Values = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Claim:
    """One thing that a role says is its own.

    Attributes:
        kind: unit, user, group, file, directory or purge (a pattern of files that the role removes).
        name: its name or path.
        role: the role.
        file: where the role says so, inside the project.
        manner: owner, group and mode of a directory; of a file that several roles install, from where.
    """

    kind: str
    name: str
    role: str
    file: Path
    manner: str = ""


def check(project: Path) -> Iterator[Finding]:
    """Yield what two roles claim."""
    everything = claims(project)
    first: dict[tuple[str, str], Claim] = {}
    for claim in everything:
        if claim.kind == "purge":
            continue
        owner = first.setdefault((claim.kind, claim.name), claim)
        if owner.role != claim.role and not (claim.manner and owner.manner == claim.manner):
            what = f"{claim.kind} {claim.name} is claimed by the role {owner.role} too ({owner.file})"
            right = "make both alike" if claim.manner else "leave it to one of them"
            yield Finding(claim.file, f"{what}; {right}")
    yield from _drop_ins(everything, {name: owner for (kind, name), owner in first.items() if kind == "unit"})
    yield from _purges(everything)


def claims(project: Path) -> list[Claim]:
    """Return what the roles of a project claim, in order."""
    return sorted({claim for folder in (project / "roles").glob("*/") for claim in _role(project, folder)})


def _drop_ins(everything: list[Claim], units: Mapping[str, Claim]) -> Iterator[Finding]:
    for claim in everything:
        path = Path(claim.name)
        if claim.kind != "file" or path.parent.parent != UNITS or path.parent.suffix != ".d":
            continue
        owner = units.get(path.parent.name.removesuffix(".d"))
        if owner and owner.role != claim.role and not FOREIGN_DROP_IN.fullmatch(path.name):
            what = f"{claim.name} changes a unit of the role {owner.role}"
            yield Finding(claim.file, f"{what}; name the drop-in 10-<what>.conf, so that the owner's word comes last")


def _purges(everything: list[Claim]) -> Iterator[Finding]:
    for purge in (claim for claim in everything if claim.kind == "purge"):
        for claim in everything:
            path = str(UNITS / claim.name) if claim.kind == "unit" else claim.name
            mine = claim.role == purge.role or claim.kind not in {"unit", "file"}
            if not mine and fnmatch.fnmatchcase(path, purge.name):
                what = f"purges {purge.name}, and with it {path} of the role {claim.role} ({claim.file})"
                yield Finding(purge.file, f"{what}; make the pattern narrower")


def _role(project: Path, folder: Path) -> Iterator[Claim]:
    values = {**(read(folder / "defaults" / "main.yml") or {}), **(read(folder / "vars" / "main.yml") or {})}
    for kind in ("tasks", "handlers"):
        for file in sorted((folder / kind).glob("*.yml")):
            for task, known in _tasks(read(file), values):
                for what, name, manner in _claims(task, known, folder):
                    yield Claim(what, name, folder.name, file.relative_to(project), manner)


def _tasks(tasks: Any, values: Values) -> Iterator[tuple[Mapping[str, Any], Values]]:
    """Yield each task with the variables it sees, once for each entry of a written-out loop."""
    for task in tasks or ():
        if task.get("delegate_to") == "localhost":
            continue  # the control machine's own files
        known = {**values, **(task.get("vars") or {})}
        for block in BLOCKS:
            yield from _tasks(task.get(block), known)
        loop = task.get("loop")
        for item in loop if isinstance(loop, list) else [None]:
            yield task, known if item is None else {**known, "item": item}


def _claims(task: Mapping[str, Any], values: Values, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and manner of what one task claims."""
    for module, arguments in task.items():
        short = module.rpartition(".")[2]
        if not isinstance(arguments, Mapping):
            continue
        if short in UNIT_MODULES or short in {"user", "group"}:
            yield from _named(short, plain(arguments.get("name"), values))
        elif short == "file_set":
            yield from _set(arguments, values, folder)
        elif short in WRITERS:
            path = next((arguments[key] for key in DESTINATIONS if key in arguments), None)
            if arguments.get("state") == "directory":
                name = plain(path, values)
                yield from [("directory", name, _manner(arguments, values))] if name else ()
            else:
                text = arguments.get("content") or f"template', '{arguments.get('src')}'"
                yield from _file(path, text, values, folder)


def _named(module: str, name: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield a user, group or unit; systemd takes a name without a suffix for a service."""
    if name and module in UNIT_MODULES:
        yield "unit", name if name.endswith(SUFFIXES) else f"{name}.service", ""
    elif name:
        yield module, name, ""


def _set(arguments: Mapping[str, Any], values: Values, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the files of a set and the patterns that it purges."""
    for entry in _entries(arguments.get("files"), values):
        path = plain(entry.get("path"), values)
        if entry.get("directory"):
            yield from [("directory", path, _manner(entry, values))] if path else ()
        else:
            text = entry.get("content") or f"template', '{entry.get('template')}'"
            for kind, claimed, _ in _file(entry.get("path"), text, values, folder):
                yield kind, claimed, _shared(entry, folder)
    patterns = arguments.get("purge")
    for pattern in patterns if isinstance(patterns, list) else ():
        name = plain(pattern, values)
        if name:
            yield "purge", name, ""


def _shared(entry: Mapping[str, Any], folder: Path) -> str:
    """Return where a file is from that no role has for itself: the roles' files are links to it."""
    source = folder / "files" / str(entry.get("src"))
    return f"{source.resolve()} {entry.get('mode')}" if source.is_symlink() else ""


def _file(path: Any, content: Any, values: Values, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what a written file claims: itself, or the unit it is, or the users it makes."""
    name = plain(path, values)
    if not name or not name.startswith("/"):
        return
    place = Path(name)
    is_unit = place.parent == UNITS and name.endswith(SUFFIXES)
    yield ("unit", place.name, "") if is_unit else ("file", name, "")
    if place.parent in SYSUSERS:
        found = TEMPLATE.search(str(content))
        template = folder / "templates" / found[1] if found else None
        text = template.read_text() if template and template.exists() else str(content)
        for letter, user in re.findall(r"^\s*([ug])!?\s+([\w-]+)", text, re.MULTILINE):
            yield "user" if letter == "u" else "group", user, ""


def _entries(files: Any, values: Values, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the files of a set that are written out, in the task or in variables that its expression names."""
    if isinstance(files, Mapping):
        if "path" in files:
            yield files
    elif isinstance(files, list):
        for entry in files:
            yield from _entries(entry, values, depth)
    elif isinstance(files, str) and "{{" in files and depth < 5:
        for word in dict.fromkeys(WORD.findall(files)):
            if word in values:
                yield from _entries(values[word], values, depth + 1)


def _manner(arguments: Mapping[str, Any], values: Values) -> str:
    return " ".join(str(plain(arguments.get(key, "root"), values)) for key in ("owner", "group", "mode"))


def plain(text: Any, values: Values, depth: int = 0) -> str | None:
    """Return a text with its simple Jinja put in; None when something else is left of it.

    Args:
        text: a name or path as it is written.
        values: variables by name; `item.path` is looked up step by step.
        depth: how many variables led here.
    """
    if not isinstance(text, (str, int)) or isinstance(text, bool) or depth > 5:
        return None

    def value(match: re.Match[str]) -> str:
        found: Any = values
        for step in match[1].split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        known = plain(found, values, depth + 1)
        return match[0] if known is None else known

    done = NAME.sub(value, str(text))
    return None if not done or "{{" in done or "{%" in done else done
