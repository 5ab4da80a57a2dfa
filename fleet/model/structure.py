# SPDX-License-Identifier: Apache-2.0
"""The shape of a hosts file: groups, and in each group hosts, children and vars. Ansible passes over anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.inventory import detect_range, expand_hostname_range

from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.written import kind

SECTIONS = ("hosts", "children", "vars")
_GROUP = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def check(file: Path, document: Any) -> Iterator[Problem]:
    """Yield what Ansible cannot read in a hosts file, or would pass over.

    Args:
        file: where the document was read.
        document: its content.
    """
    if not document:
        right = "write `all: {hosts: ..., children: ..., vars: ...}`, or remove it"
        yield Problem(Place(file), "-", file.name, "is no inventory: it is empty", right)
    elif not isinstance(document, Mapping):
        wrong = f"is no inventory: it holds {kind(document)} where groups are due"
        right = "write `all: {hosts: ..., children: ..., vars: ...}`"
        yield Problem(place_of(document) or Place(file), "-", file.name, wrong, right)
    elif "plugin" in document:
        place = _place(document, "plugin", Place(file))
        wrong = "a plugin finds hosts that this check cannot know"
        yield Problem(place, "-", "plugin", wrong, "write the hosts down in hosts.yml")
    else:
        for name, content in document.items():
            yield from _group(name, content, place_of(name) or Place(file))


def _group(name: Any, content: Any, place: Place) -> Iterator[Problem]:
    subject = f"group {name}"
    if not (isinstance(name, str) and _GROUP.fullmatch(name)):
        right = "begin with a letter or _, and go on with letters, digits and _"
        yield Problem(place, subject, str(name), "is no name of a group", right)
        return
    if content is None:
        return
    if not isinstance(content, Mapping):
        wrong = f"{kind(content)} stands where hosts, children and vars of a group are due"
        yield Problem(place, subject, name, wrong, f"write `{name}: {{hosts: {{HOST: }}}}`")
        return
    for key, value in content.items():
        yield from _section(name, key, value, place_of(key) or place)


def _section(group: str, key: Any, value: Any, place: Place) -> Iterator[Problem]:
    subject = f"group {group}"
    if key not in SECTIONS:
        nearest = get_close_matches(str(key), SECTIONS, n=1)
        otherwise = f"hosts stand below hosts:, variables below vars: of {group}"
        right = f"did you mean {nearest[0]}?" if nearest else otherwise
        wrong = "Ansible passes over this key; a group has hosts, children, vars"
        yield Problem(place, subject, str(key), wrong, right)
    elif value is not None and not isinstance(value, Mapping):
        wrong, right = f"{kind(value)} stands where a mapping is due", f"write `{key}: {{NAME: }}`"
        yield Problem(place, subject, key, wrong, f"{right}; each name ends with a colon")
    elif key != "vars":
        if "all" in (value or {}) and key == "children":
            yield Problem(place, subject, "all", "all contains every group and is inside of none", "remove it here")
            return
        below = _host if key == "hosts" else _group
        for name, content in (value or {}).items():
            yield from below(name, content, place_of(name) or place)


def _host(name: Any, variables: Any, place: Place) -> Iterator[Problem]:
    if not isinstance(name, str) or not name:
        yield Problem(place, "-", str(name), f"{kind(name)} stands where a host's name is due", "write it in quotes")
        return
    if re.search(r"\s", name):
        right = "end each name with a colon, one a line"
        yield Problem(place, "-", name, "is one host whose name has blanks", right)
    elif name in {"all", "ungrouped"}:
        yield Problem(place, name, name, "a group has this name too", "give the host another name")
    elif variables is not None and not isinstance(variables, Mapping):
        wrong = f"{kind(variables)} stands where the variables of a host are due"
        yield Problem(place, name, name, wrong, f"write `{name}: {{ansible_host: ADDRESS}}`")
    if detect_range(name):
        try:
            names = expand_hostname_range(name)
        except (AnsibleError, ValueError) as error:
            reason = getattr(error, "message", error)
            yield Problem(place, "-", name, f"is no range of hosts: {reason}", "write it like box[01:03]")
            return
        if not names:
            yield Problem(place, "-", name, "this range counts down and names no host", "write the lower number first")


def _place(document: Mapping[Any, Any], key: str, otherwise: Place) -> Place:
    return next((place_of(name) for name in document if name == key), None) or otherwise
