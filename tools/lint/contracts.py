# SPDX-License-Identifier: Apache-2.0
"""What one role owns and another needs is declared by its owner and read through `declared`, never typed again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.model.nouns import NOUNS
from tools.lint import owners
from tools.lint.finding import Finding, read

# Where a name of another role would be a second copy. Tests compare with what is on the host, so they may name it.
PLACES = ("tasks", "templates", "defaults", "vars", "files", "library", "module_utils", "filter_plugins", "rules.py")
READERS = ("roles", "plugins", "fleet", "tools", "playbooks", "tests/host")
LEAST_PORT = 1024
OWNED = ("unit", "user", "group")
ACCOUNTS = ("_group", "_user")
SUFFIXES = ("_port", "_directory", "_path", "_root", "_folder", *ACCOUNTS, *(f"_{noun}" for noun in NOUNS))
# A short name or a number is a copy only beside a word that says what it is.
CONTEXT = {
    "account": re.compile(r"\b(\w*(user|group|owner|uid|gid)s?|home)\b[\"']?\s*[:=]", re.IGNORECASE),
    "port": re.compile(r"port|:\d{4,5}\b", re.IGNORECASE),
}
TEXTS = {".py", ".yml", ".j2", ".sh", ".c", ""}


def check(project: Path) -> Iterator[Finding]:
    """Yield declarations of a wrong form, those that nobody reads, and second copies of what another role owns."""
    yield from _declarations(project)
    yield from _copies(project)


def _declarations(project: Path) -> Iterator[Finding]:
    text = "\n".join(file.read_text() for folder in READERS for file in _texts(project / folder))
    read_nouns = set(re.findall(r"""declared["']?\s*[(,]\s*["'](\w+)["']""", text))
    for folder in sorted((project / "roles").glob("*/")):
        file = folder / "meta" / "argument_specs.yml"
        main = ((read(file) or {}).get("argument_specs") or {}).get("main") or {}
        defaults = read(folder / "defaults" / "main.yml") or {}
        for key, option in (main.get("options") or {}).items():
            name = str(key).removeprefix(f"{folder.name}_")
            if name in NOUNS and name != key:
                where = file.relative_to(project)
                yield from (Finding(where, f"{key}: {what}") for what in _form(name, option, defaults.get(key)))
                if name not in read_nouns:
                    yield Finding(where, f"{key}: nobody reads declared('{name}'); remove it, or let its reader ask")


def _form(name: str, option: Mapping[str, Any], value: Any) -> Iterator[str]:
    noun = NOUNS[name]
    if option.get("type") != noun.type:
        yield f"is a {option.get('type')}; a declaration of {name} is a {noun.type} ({noun.says})"
    for entry in value if isinstance(value, list) else ():
        missing = [key for key in noun.keys if not (isinstance(entry, Mapping) and key in entry)]
        if missing:
            yield f"an entry has no {', '.join(missing)}; {name}: {noun.says}"


def _copies(project: Path) -> Iterator[Finding]:
    owned = {**_defaults(project), **_claimed(project)}
    if not owned:
        return
    words = sorted(owned, key=len, reverse=True)
    pattern = re.compile(r"(?<![\w/.@-])(" + "|".join(map(re.escape, words)) + r")(?![\w@-]|/\w)")
    for role, file in _role_texts(project):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.lstrip().startswith(("#", "//", "*", "- name:")):
                continue
            for found in pattern.findall(line):
                owner, variable, kind = owned[found]
                if owner != role and (kind not in CONTEXT or CONTEXT[kind].search(line)):
                    right = f"read it through lookup('declared', ..., of='{owner}')"
                    where = file.relative_to(project)
                    yield Finding(where, f"line {number}: {found} is {variable} of the role {owner}; {right}")


def _defaults(project: Path) -> dict[str, tuple[str, str, str]]:
    """Return literal -> (role, variable, kind) for default ports, paths, users and groups of the roles."""
    found: dict[str, tuple[str, str, str]] = {}
    for folder in sorted((project / "roles").glob("*/")):
        for key, value in (read(folder / "defaults" / "main.yml") or {}).items():
            kind = _kind(str(key), value)
            if kind:
                found.setdefault(str(value), (folder.name, str(key), kind))
    return found


def _kind(key: str, value: Any) -> str:
    """Return what a default value is that another role must not repeat; nothing for any other."""
    if key.endswith("_port") and isinstance(value, int) and value >= LEAST_PORT:
        return "port"
    if not key.endswith(SUFFIXES) or not isinstance(value, str) or not value or "{{" in value:
        return ""
    if value.startswith("/"):
        return "path"
    return "account" if key.endswith(ACCOUNTS) else ""


def _claimed(project: Path) -> dict[str, tuple[str, str, str]]:
    """Return name -> (role, what, kind) for the units, users and groups that the roles make or run."""
    return {
        claim.name: (claim.role, f"the {claim.kind}", "unit" if claim.kind == "unit" else "account")
        for claim in owners.claims(project)
        if claim.kind in OWNED
    }


def _role_texts(project: Path) -> Iterator[tuple[str, Path]]:
    for folder in sorted((project / "roles").glob("*/")):
        for place in PLACES:
            for file in _texts(folder / place):
                yield folder.name, file
    for file in _texts(project / "plugins" / "filter"):
        yield "plugins", file


def _texts(place: Path) -> Iterator[Path]:
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    for file in files:
        if file.is_file() and file.suffix in TEXTS and "__pycache__" not in file.parts:
            yield file
