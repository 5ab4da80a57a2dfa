# SPDX-License-Identifier: Apache-2.0
"""Markdown as the pages use it: tables, cells and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

HEAD = "<!-- Written by `make docs`; edit {source} instead. -->\n"
# Ansible's markup of names and values in descriptions: C(...), I(...), B(...), O(...), V(...).
MARKUP = re.compile(r"\b[CIBOV]\(([^()]*)\)")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown already, except that `|` and line breaks are made harmless."""
    lines = [_row(titles), _row(["---"] * len(titles))]
    lines += [_row([_cell(text) for text in row]) for row in rows]
    return "\n".join(lines) + "\n"


def value(content: Any) -> str:
    """Return a variable's value as YAML on one line, set as code."""
    text = yaml.safe_dump(plain(content), default_flow_style=True, sort_keys=False, width=10**6).strip()
    return code(text.removesuffix("\n...").strip())


def code(text: str) -> str:
    """Return text set as code, also when it holds backticks."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(text: str | Sequence[str]) -> str:
    """Return a description with Ansible's markup as code; several paragraphs become one."""
    words = text if isinstance(text, str) else " ".join(text)
    # Angle brackets outside code would be taken for HTML.
    parts = re.split(r"(`[^`]*`)", MARKUP.sub(r"`\1`", " ".join(words.split())))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def plain(content: Any) -> Any:
    """Return a value in Python's own types, which is what YAML can write; Ansible tags its strings."""
    if isinstance(content, Mapping):
        return {str(key): plain(item) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [plain(item) for item in content]
    if content is None or isinstance(content, bool | float):
        return content
    return int(content) if isinstance(content, int) else str(content)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split("\n")).replace("|", r"\|")
