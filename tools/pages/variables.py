# SPDX-License-Identifier: Apache-2.0
"""The page of every variable: name, type, choices, default and meaning, by role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from fleet.model.project import Project
from tools.pages import markdown

Options = Mapping[str, Any]

TITLES = ("Variable", "Type", "Default", "Meaning")
LONGEST_DEFAULT = 100
INTRODUCTION = """\
# Variables

Every variable of the roles and of the inventory. Set one in `group_vars/all/<subject>.yml` for every host, in
`group_vars/<group>.yml` for a kind of machine, or in `host_vars/<host>.yml` for one machine. `make check-inventory`
refuses names and values that are not on this page.
"""


def page(project: Project) -> str:
    """Return the page for all roles of the project, in the order in which the site applies them."""
    roles = in_order(project)
    links = ", ".join(f"[{name}](#{name})" for name in ["inventory", *roles])
    parts = [
        markdown.HEAD.format(
            source="roles/*/meta/argument_specs.yml, roles/*/defaults or inventory/argument_specs.yml"
        ),
        INTRODUCTION,
        f"{links}\n",
        "## inventory\n\nVariables of a host that belong to no role.\n",
        _table(project.inventory_options, {}, "inventory/argument_specs.yml"),
    ]
    for name in roles:
        role = project.role(name)
        layers = sorted({play.layer for play in project.plays if name in play.roles})
        where = f"layer {', '.join(layers)}" if layers else "applied by no play yet"
        parts += [
            f"## {name}\n\n{_purpose(project, name)} ({where}).\n",
            _table(role.options, role.defaults, f"roles/{name}/defaults/main.yml"),
        ]
    return "\n".join(parts)


def in_order(project: Project) -> list[str]:
    """Return all roles, those that a play applies first and in the order of the site."""
    applied = dict.fromkeys(role for play in project.plays for role in play.roles if role in project.role_names)
    return [*applied, *(name for name in project.role_names if name not in applied)]


def _purpose(project: Project, role: str) -> str:
    specification = yaml.safe_load((project.folder / "roles" / role / "meta" / "argument_specs.yml").read_text())
    return markdown.prose(specification["argument_specs"]["main"]["short_description"])


def _table(options: Options, defaults: Options, source: str) -> str:
    if not options:
        return "None.\n"
    return markdown.table(TITLES, _rows(options, defaults, source))


def _rows(options: Options, defaults: Options, source: str, prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, option in options.items():
        yield (
            markdown.code(f"{prefix}{name}"),
            type_of(option),
            _default(option, name in defaults, defaults.get(name, option.get("default")), source),
            markdown.prose(option.get("description", "")) + (" **Secret.**" if option.get("no_log") else ""),
        )
        if option.get("options"):
            inside = f"{prefix}{name}[]." if option.get("type") == "list" else f"{prefix}{name}."
            yield from _rows(option["options"], {}, source, inside)


def type_of(option: Mapping[str, Any]) -> str:
    """Return the type of an option as words: `list of str`, and the choices it leaves."""
    kind = str(option.get("type", "str"))
    words = f"{kind} of {option['elements']}" if "elements" in option else kind
    if option.get("choices"):
        words += ": " + ", ".join(markdown.code(str(choice)) for choice in option["choices"])
    return words


def _default(option: Mapping[str, Any], known: bool, content: Any, source: str) -> str:
    if option.get("required"):
        return "required"
    if not known and "default" not in option:
        return ""
    text = markdown.value(content)
    return text if len(text) <= LONGEST_DEFAULT else f"see [{source}](../../{source})"
