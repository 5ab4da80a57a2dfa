#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Make the running kernel hold the wanted sysctl values, and prove that the next boot will too."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_applied
short_description: Make the running kernel's parameters equal to the wanted ones
description:
  - Writes each parameter whose running value differs, reads all of them again, and fails naming key, wanted and found.
    Then writes the file for the next boot.
  - Fails when a file that is read after I(file) sets one of the keys to another value, which the next boot would use.
  - Values are compared word by word, so tabs and spaces do not matter.
options:
  settings:
    description: The wanted parameters, each a dictionary with key, value and owner.
    type: list
    elements: dict
    required: true
  file:
    description: The file below /etc/sysctl.d that holds the settings for the next boot.
    type: path
    required: true
  content:
    description: Text of that file.
    type: str
    required: true
  optional:
    description: Keys that a kernel of the fleet may lack.
    type: list
    elements: str
    default: []
  namespaced_only:
    description: Touch only what belongs to a container, the writable keys below net; the others are the machine's.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Apply the parameters
  sysctl_applied:
    file: /etc/sysctl.d/99-zz-fleet.conf
    content: "vm.swappiness = 1\n"
    settings:
      - {key: vm.swappiness, value: "1", owner: sysctl_tuning}
"""

RETURN = r"""
applied:
  description: The keys that were written, or in check mode would be.
  type: list
  elements: str
  returned: always
compared:
  description: How many keys the running kernel was compared for.
  type: int
  returned: always
not_applicable:
  description: Keys left alone because they belong to the machine underneath the container.
  type: list
  elements: str
  returned: always
absent:
  description: Optional keys that this kernel does not have.
  type: list
  elements: str
  returned: always
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host.atomic_file import atomic_write
    from roles.sysctl.module_utils.sysctl_keys import canonical, key_path, normalise
else:
    from ansible.module_utils.atomic_file import atomic_write
    from ansible.module_utils.sysctl_keys import canonical, key_path, normalise

PROC_SYS = Path("/proc/sys")
# sysctl.d(5): a file hides those of the same name in later directories; all are then read in the order of their names.
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
# `sysctl --system` of procps reads this one last, whatever its name.
LAST = "/etc/sysctl.conf"


@dataclass(frozen=True)
class Setting:
    """One wanted kernel parameter."""

    key: str
    value: str
    owner: str


@dataclass(frozen=True)
class Found:
    """What the running kernel says about one key."""

    value: str | None
    writable: bool


@dataclass(frozen=True)
class Plan:
    """What to write and what to leave."""

    write: tuple[Setting, ...]
    compared: tuple[Setting, ...]
    not_applicable: tuple[str, ...]
    absent: tuple[str, ...]
    errors: tuple[str, ...]


def plan(
    settings: Iterable[Setting], found: Mapping[str, Found], optional: Iterable[str], namespaced_only: bool
) -> Plan:
    """Decide what has to be written; pure.

    Args:
        settings: the wanted parameters.
        found: the running kernel's answer for each of their keys.
        optional: keys that may be absent.
        namespaced_only: leave everything that a container does not own.
    """
    may_lack = {canonical(key) for key in optional}
    write, compared, foreign, absent, errors = [], [], [], [], []
    for setting in settings:
        now = found[setting.key]
        if namespaced_only and not (setting.key.startswith("net.") and now.value is not None and now.writable):
            foreign.append(setting.key)
        elif now.value is not None:
            compared.append(setting)
            if normalise(now.value) != setting.value:
                write.append(setting)
        elif setting.key in may_lack:
            absent.append(setting.key)
        else:
            errors.append(
                f"{setting.key} (set by {setting.owner}) does not exist on this kernel:"
                " remove it there, or list it in sysctl_optional"
            )
    return Plan(tuple(write), tuple(compared), tuple(foreign), tuple(absent), tuple(errors))


def assignments(text: str) -> dict[str, str]:
    """Return the explicit settings of a sysctl.d file; patterns lose against explicit ones and are left out."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        key = key.strip().removeprefix("-").strip()
        if equals and key and key[0] not in "#;" and not set(key) & set("*?["):
            values[canonical(key)] = normalise(value)
    return values


def read_after(name: str, names: Iterable[str]) -> list[str]:
    """Return the file names that are read after the named one, in their order."""
    return sorted({other for other in names if other.endswith(".conf") and other > name})


def overruled(settings: Sequence[Setting], later: Iterable[tuple[str, str]]) -> list[str]:
    """Name each setting that a file read later sets to another value; pure.

    Args:
        settings: the wanted parameters.
        later: path and text of the files that are read after ours.
    """
    errors = []
    for path, text in later:
        others = assignments(text)
        for setting in settings:
            other = others.get(setting.key, setting.value)
            if other != setting.value:
                errors.append(
                    f"{setting.key} (set to {setting.value} by {setting.owner}) is set to {other} again by {path}:"
                    " remove it there"
                )
    return errors


def mismatches(settings: Iterable[Setting], found: Mapping[str, Found]) -> list[str]:
    """Name each setting that the kernel did not take; pure."""
    return [
        f"{setting.key} (set by {setting.owner}): wanted {setting.value}, found {normalise(found[setting.key].value)}"
        " after writing it"
        for setting in settings
        if normalise(found[setting.key].value) != setting.value
    ]


def probe(settings: Iterable[Setting], root: Path = PROC_SYS) -> dict[str, Found]:
    """Read the running value of every key."""
    found = {}
    for setting in settings:
        path = root / key_path(setting.key)
        writable = os.access(path, os.W_OK)
        try:
            found[setting.key] = Found(path.read_text(), writable)
        except FileNotFoundError:
            found[setting.key] = Found(None, writable)
    return found


def write(settings: Iterable[Setting], root: Path = PROC_SYS) -> list[str]:
    """Write the values and return what the kernel refused."""
    errors = []
    for setting in settings:
        try:
            (root / key_path(setting.key)).write_text(setting.value + "\n")
        except OSError as error:
            errors.append(
                f"{setting.key} (set by {setting.owner}): the kernel refuses {setting.value}: {error.strerror}"
            )
    return errors


def replace(file: Path, before: str, content: str) -> None:
    """Replace a file in one step when its text differs."""
    if before != content:
        atomic_write(file, content)


def files_read_later(own: Path, directories: Sequence[str] = DIRECTORIES, last: str = LAST) -> list[tuple[str, str]]:
    """Return path and text of the files that would overrule ours at boot or at `sysctl --system`."""
    places: dict[str, Path] = {}
    for directory in reversed(directories):
        places.update({path.name: path for path in Path(directory).glob("*.conf")})
    paths = [places[name] for name in read_after(own.name, places)]
    return [(str(path), path.read_text()) for path in [*paths, Path(last)] if path.is_file()]


def main() -> None:
    """Compare, write, compare again."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "list", "elements": "dict", "required": True},
            "file": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "optional": {"type": "list", "elements": "str", "default": []},
            "namespaced_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    settings = [
        Setting(canonical(item["key"]), normalise(item["value"]), item["owner"]) for item in module.params["settings"]
    ]
    file, content = Path(module.params["file"]), module.params["content"]
    before = file.read_text() if file.is_file() else ""
    found = probe(settings)
    todo = plan(settings, found, module.params["optional"], module.params["namespaced_only"])
    errors = [*todo.errors, *overruled(settings, files_read_later(file))]
    if not errors and not module.check_mode:
        errors = write(todo.write) or mismatches(todo.compared, probe(todo.compared))
    if not errors and not module.check_mode:
        # Only now: what the kernel refuses must not come back at every boot.
        replace(file, before, content)
    if errors:
        module.fail_json(msg=f"sysctl: {'; '.join(errors)}")
    running = {item.key: normalise(found[item.key].value) for item in todo.write}
    module.exit_json(
        changed=bool(todo.write) or before != content,
        applied=list(running),
        compared=len(todo.compared),
        not_applicable=list(todo.not_applicable),
        absent=list(todo.absent),
        diff=[
            {"before": before, "after": content, "before_header": str(file), "after_header": str(file)},
            {
                "before": "".join(f"{key} = {value}\n" for key, value in running.items()),
                "after": "".join(f"{item.key} = {item.value}\n" for item in todo.write),
                "before_header": "running kernel",
                "after_header": "running kernel",
            },
        ],
    )


if __name__ == "__main__":
    main()
