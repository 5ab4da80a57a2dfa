# SPDX-License-Identifier: Apache-2.0
"""Tasks and templates: names of results, pinned downloads, no timestamps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.lint.finding import Finding, flat, read

URL = re.compile(r"https?://|_url\b")
VERIFIES = re.compile(r"sha256|checksum", re.IGNORECASE)
TIME = re.compile(
    r"ansible_date_time|\bnow\(|strftime|lookup\(\s*['\"](?:ansible\.builtin\.)?pipe['\"]\s*,\s*['\"]date"
)
# Module -> the argument that holds the address; an address elsewhere means a file on the controller.
DOWNLOADS = {"get_url": "url", "maven_artifact": "artifact_id", "unarchive": "src", "apt": "deb", "uri": "dest"}


def check(project: Path) -> Iterator[Finding]:
    """Yield tasks with wrong result names or unchecked downloads, and templates that differ at each run."""
    for folder in sorted((project / "roles").glob("*/")):
        for file in sorted((folder / "tasks").glob("*.yml")):
            tasks = list(flat(read(file)))
            name = file.relative_to(project)
            yield from (Finding(name, what) for task in tasks for what in _names(task, folder.name))
            yield from (Finding(name, what) for task in tasks for what in _download(task, tasks))
        for kind in ("templates", "tasks", "defaults"):
            for file in sorted((folder / kind).rglob("*")):
                found = TIME.search(file.read_text()) if file.is_file() else None
                if found:
                    what = f"{found[0]} differs at each run, so every run would report a change; leave time out"
                    yield Finding(file.relative_to(project), what)


def _names(task: Mapping[str, Any], role: str) -> Iterator[str]:
    result = task.get("register")
    if result and not re.fullmatch(rf"__{role}_\w+_result", result):
        yield f"registers {result}; name it __{role}_<what>_result"
    for key in task.get("ansible.builtin.set_fact") or {}:
        if key != "cacheable" and not key.startswith(f"__{role}_"):
            yield f"sets the fact {key}; a private variable begins with __{role}_"


def _download(task: Mapping[str, Any], tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    for module, arguments in task.items():
        short = module.rpartition(".")[2]
        if short not in DOWNLOADS or not isinstance(arguments, Mapping):
            continue
        source = str(arguments.get(DOWNLOADS[short]) or "")
        if not source or (short in {"unarchive", "apt"} and not URL.search(source)):
            continue
        verified = any(VERIFIES.search(str(other)) for other in tasks if other is not task)
        if not arguments.get("checksum") and not verified:
            right = "give a checksum or verify sha256 in this file"
            yield f'task "{task.get("name")}" downloads with {module} unchecked; {right}'
