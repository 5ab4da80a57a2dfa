# SPDX-License-Identifier: Apache-2.0
"""What is printed fits its place: nothing is cut, and no word is broken."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleet.terminal import Grid, console, say

CELLS = [f"ok {seconds} s, {seconds} changed" for seconds in range(134, 142)]
TITLES = ["host", "base", "kernel", "data", "anchors", "services", "monitoring", "alertmanager", "firmware"]


def printed(width: int, *things: object, terminal: bool = False) -> list[str]:
    place = io.StringIO()
    where = Console(file=place, width=width, force_terminal=terminal, color_system=None)
    for thing in things:
        where.print(thing)
    return [line.rstrip() for line in place.getvalue().splitlines()]


def test_where_there_is_room_it_is_a_table():
    lines = printed(200, Grid(TITLES, [["station", *CELLS], ["vps", CELLS[0], *[""] * 7]]))
    assert lines[0].split() == TITLES
    assert lines[2].split() == ["vps", "ok", "134", "s,", "134", "changed", *["-"] * 7]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_where_there_is_none_each_host_is_a_paragraph_without_its_empty_cells(width):
    lines = printed(width, Grid(TITLES, [["station", *CELLS], ["vps", CELLS[0], *[""] * 7]]))
    assert max(map(len, lines)) <= width
    pieces = "; ".join(f"{title}: {cell}" for title, cell in zip(TITLES[1:], CELLS, strict=True))
    assert " ".join(line.strip() for line in lines[:-1]) == f"{'station':<12} {pieces}"
    assert lines[-1] == f"{'vps':<12} base: {CELLS[0]}"


@given(st.integers(20, 200), st.lists(st.lists(st.text("ab ", max_size=30), min_size=3, max_size=3), max_size=4))
def test_at_any_width_every_cell_is_there_whole(width, cells):
    rows = [[f"host{number}", *row] for number, row in enumerate(cells)]
    lines = printed(width, Grid(["host", "one", "two", "three"], rows))
    text = " ".join(" ".join(lines).split())
    assert all(" ".join(cell.split()) in text for row in cells for cell in row)


LONG = "station, data: redis: Write the configuration: /etc/redis/a-path-that-is-longer-than-its-place/redis.conf"


def said(width: int, terminal: bool, words: str = LONG) -> list[str]:
    place = io.StringIO()
    say(Console(file=place, width=width, force_terminal=terminal, color_system=None), "failed", words, "red")
    return place.getvalue().splitlines()


def test_on_a_terminal_a_line_is_folded_between_words_and_its_rest_stands_in():
    lines = said(60, terminal=True)
    assert len(lines) > 1
    assert " ".join(line.strip() for line in lines) == f"failed {LONG}"
    assert all(line.startswith("  ") for line in lines[1:])


def test_what_a_program_reads_is_one_line():
    assert said(60, terminal=False) == [f"failed {LONG}"]


def test_brackets_in_a_message_are_no_markup():
    assert said(80, True, "disk full [/srv/x] [red]") == ["failed disk full [/srv/x] [red]"]


@pytest.mark.parametrize(("variable", "width"), [("80", 80), ("", 140)])
def test_the_width_of_a_file_is_the_users_word_or_wide(monkeypatch, variable, width):
    monkeypatch.setenv("COLUMNS", variable)
    assert console().width == width
