# SPDX-License-Identifier: Apache-2.0
"""What commands print: tables and lines that no width cuts or breaks in the middle of a word."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

WIDTH_IN_A_FILE = 140
INDENT = "  "
NAME = 13  # characters of a paragraph's name, for most names


def console() -> Console:
    """Return a console on standard output: as wide as the terminal, or wide enough when something else reads it."""
    found = Console()
    return found if found.is_terminal else Console(width=int(os.environ.get("COLUMNS") or WIDTH_IN_A_FILE))


def say(where: Console, label: str, words: str, style: str = "") -> None:
    """Print a line that begins with a label, folded between words on a terminal, and whole where a program reads it.

    Args:
        where: the console.
        label: first words, in `style`.
        words: the rest; further lines of it are printed as they are.
        style: of the label, in rich's words.
    """
    first, *rest = f"{label} {words}".splitlines()
    if where.is_terminal:
        first = textwrap.fill(
            first, where.width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
        )
    text = Text(first)
    text.stylize(style, 0, len(label))
    where.print(text, soft_wrap=True, highlight=False)
    for line in rest:
        where.print(Text(line), soft_wrap=True, highlight=False)


class Grid:
    """A row a host: as a table, or as a paragraph a host where the table is wider than the place for it.

    Args:
        titles: of the columns; the first one names the host.
        rows: a text for each column, with rich's markup; "" for none.
    """

    def __init__(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._titles, self._rows = titles, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits, and nothing where there is no row."""
        if not self._rows:
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for title in self._titles:
            table.add_column(title, no_wrap=True)
        for row in self._rows:
            table.add_row(*(cell or "[dim]-[/]" for cell in row))
        # Measured where nothing limits it: elsewhere a table says that it fits, and cuts.
        if table.__rich_measure__(console, options.update_width(10_000)).maximum <= options.max_width:
            yield table
        else:
            for name, *cells in self._rows:
                yield from self._paragraph(name, cells, options.max_width)

    def _paragraph(self, name: str, cells: Sequence[str], width: int) -> Iterator[Text]:
        line, begun = Text.from_markup(name, style="bold"), False
        line.pad_right(max(1, NAME - line.cell_len))
        pieces = [(title, Text.from_markup(cell)) for title, cell in zip(self._titles[1:], cells, strict=True) if cell]
        for number, (title, cell) in enumerate(pieces, 1):
            piece = Text.assemble((f"{title}: ", "dim"), cell, ";" if number < len(pieces) else "")
            if begun and line.cell_len + 1 + piece.cell_len > width:
                yield line
                line, begun = Text(INDENT), False
            line = Text.assemble(line, " " if begun else "", piece)
            begun = True
        yield line
