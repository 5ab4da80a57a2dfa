# SPDX-License-Identifier: Apache-2.0
"""An inventory folder as Ansible goes through it: what it reads, and what it passes over or reads by surprise.

Ansible takes nearly every entry of the folder for an inventory, and of several files of one group or host it reads one.
Whatever this project does not read is refused by name, so that nothing counts that nobody checked, and nothing is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ansible import constants
from ansible.inventory.manager import IGNORED
from ansible.parsing.dataloader import DataLoader

from fleet.model.named import DOCUMENTS, OWN_SPECIFICATION, VARS_FOLDERS
from fleet.model.problems import Place, Problem


@dataclass(frozen=True)
class VarsFile:
    """One file of variables that Ansible reads; `kind` is group or host, `entry` what lies in the folder itself."""

    kind: str
    name: str
    file: Path
    entry: Path


def sources(inventory: Path) -> tuple[list[Path], list[Problem]]:
    """Return the files with hosts and groups, and the entries of the folder that are none and that Ansible reads."""
    found, refused = [], []
    entries = sorted(inventory.iterdir()) if inventory.is_dir() else ()
    for entry in entries:
        if not _read_by_ansible(entry.name):
            continue
        problem = _refused(entry)
        if problem is None:
            found.append(entry)
        else:
            refused.append(problem)
    return found, refused


def _read_by_ansible(name: str) -> bool:
    return not IGNORED.search(os.fsencode(name)) and name != OWN_SPECIFICATION


def _refused(entry: Path) -> Problem | None:
    if entry.is_dir():
        wrong = "Ansible goes down into this folder and reads what lies there as inventory"
        nearest = get_close_matches(entry.name, VARS_FOLDERS, n=1)
        right = f"did you mean {nearest[0]}?" if nearest else "move it out of the inventory folder"
    elif not entry.exists():
        wrong, right = "a link that leads nowhere", "remove it or mend its target"
    elif entry.suffix not in _endings():
        wrong = "Ansible reads this file as an inventory too"
        right = (
            "write it as hosts.yml (ansible-inventory -i FILE --list --yaml --export prints it), or move it elsewhere"
        )
    elif _is_script(entry):
        wrong = "Ansible runs this file and takes what it prints for an inventory"
        right = "write down what it prints, in hosts.yml"
    else:
        return None
    return Problem(Place(entry), "-", entry.name, wrong, right)


def _is_script(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(2) == b"#!"
    except OSError:
        return False  # the loader says why it cannot be read


def vars_files(inventory: Path, policy: Path, loader: DataLoader) -> tuple[list[VarsFile], list[Problem]]:
    """Return the files of variables that Ansible reads for a group or host of their name, and what it passes over.

    Args:
        inventory: inventory folder.
        policy: the project's group_vars, which count under those of the inventory (plugins/vars/policy.py).
        loader: Ansible's loader.
    """
    refused: list[Problem] = []
    linked = policy.resolve() == (inventory / policy.name).resolve()
    found = [] if linked else [file for entry in _entries(policy) for file in _read(entry, "group", loader)]
    for folder, kind in VARS_FOLDERS.items():
        path = inventory / folder
        problem = _no_folder(path)
        if problem is not None:
            refused.append(problem)
        for entry in _entries(path):
            found += _read(entry, kind, loader)
            refused += _passed_over(entry, _files(entry, loader))
    return [file for file in found if not file.entry.name.endswith(DOCUMENTS)], refused


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []


def _files(entry: Path, loader: DataLoader) -> list[Path]:
    """Return the files that Ansible reads for the group or host of an entry of a vars folder."""
    return [Path(file) for file in loader.find_vars_files(str(entry.parent), _owner(entry))]


def _read(entry: Path, kind: str, loader: DataLoader) -> list[VarsFile]:
    files = _files(entry, loader)
    return [VarsFile(kind, _owner(entry), file, entry) for file in files if entry in (file, *file.parents)]


def _no_folder(path: Path) -> Problem | None:
    if path.is_dir():
        return None
    if not path.exists() and not path.is_symlink():
        return None
    wrong = "is no folder" if path.exists() else "is a link that leads nowhere"
    right = "put a folder with one file for each host there"
    if path.name == "group_vars":
        right = "remove it: the project's group_vars count for every inventory, and a folder here would win over them"
    return Problem(Place(path), "-", path.name, wrong, right)


def _endings() -> tuple[str, ...]:
    return tuple(constants.config.get_config_value("YAML_FILENAME_EXTENSIONS"))


def _owner(entry: Path) -> str:
    """Return the group or host for which Ansible looks at an entry of a vars folder."""
    return entry.stem if entry.suffix in _endings() and not entry.is_dir() else entry.name


def _passed_over(entry: Path, read: list[Path]) -> Iterator[Problem]:
    """Yield an entry, or the files inside it, that Ansible does not read."""

    def problem(file: Path, wrong: str, right: str) -> Problem:
        return Problem(Place(file), "-", f"{entry.parent.name}/{file.relative_to(entry.parent)}", wrong, right)

    if not entry.exists():
        yield problem(entry, "a link that leads nowhere", "remove it or mend its target")
    elif read and not any(entry in (file, *file.parents) for file in read):
        first = _first_entry(entry, read)
        yield problem(entry, f"Ansible reads {first.name} and passes over this one", f"put both into {first.name}")
    elif not read:
        hidden = [f"{entry.name}{ending}" for ending in _endings() if (entry.parent / f"{entry.name}{ending}").exists()]
        wrong = f"an empty folder, for which Ansible passes over {hidden[0]}" if hidden else "an empty folder"
        yield problem(entry, wrong, "remove it")
    elif entry.is_dir():
        for file in sorted(entry.rglob("*")):
            inside = file.relative_to(entry).parts
            if file.is_dir() or any(part.startswith(".") for part in inside) or file.name.endswith(DOCUMENTS):
                continue
            if file not in read:
                right = (
                    f"give it one of the endings {', '.join(_endings())}, and folders no ending, or move it elsewhere"
                )
                yield problem(file, "Ansible does not read this file", right)


def _first_entry(entry: Path, read: list[Path]) -> Path:
    return next(path for path in (read[0], *read[0].parents) if path.parent == entry.parent)
