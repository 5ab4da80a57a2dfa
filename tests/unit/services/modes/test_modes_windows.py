# SPDX-License-Identifier: Apache-2.0
"""Windows that people write: what they mean, and what is no window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.modes.calendar import Calendar
from station.modes.windows import Problem, read

WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri"]
NEW_YORK = {"days": WEEK, "from": "09:30", "until": "16:00", "timezone": "America/New_York"}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=6
)


def problems(key: str, entry: object) -> tuple[Problem, ...]:
    found = read(key, entry)
    assert not isinstance(found, Calendar)
    return found


def test_a_window_is_named_as_it_was_written():
    window = read("trading_windows[0]", NEW_YORK | {"days": ["Tue", "Mon"], "from": "9:30"})
    assert isinstance(window, Calendar)
    assert window.name == "Mon,Tue 09:30-16:00 America/New_York"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone: there is no time zone 'Mars/Olympus'; write one such as"),
        ({"timezone": ""}, "timezone: there is no time zone ''"),
        ({"timezone": 5}, "timezone: there is no time zone 5"),
        ({"timezone": "../../etc/passwd"}, "timezone: there is no time zone '../../etc/passwd'"),
        ({"timezone": "America"}, "timezone: there is no time zone 'America'"),
        ({"from": "9.30"}, "from: '9.30' is no time of day; write HH:MM in quotes"),
        ({"from": 34200}, "from: 34200 is no time of day"),  # YAML reads 9:30 as a number to base 60
        ({"until": 960}, "until: 960 is no time of day"),
        ({"until": "24:00"}, "until: '24:00' is no time of day"),
        ({"until": "٠٩:٣٠"}, "until: '٠٩:٣٠' is no time of day"),
        ({"days": ["Montag"]}, "days: ['Montag'] are no days; write a list of Mon, Tue"),
        ({"days": "Mon"}, "days: 'Mon' are no days"),
        ({"days": []}, "days: [] are no days"),
        ({"days": [["Mon"]]}, "days: [['Mon']] are no days"),
    ],
)
def test_what_is_no_window_is_named_with_its_place_and_what_would_be_right(change, line):
    (problem,) = problems("trading_windows[1]", NEW_YORK | change)
    assert str(problem).startswith(f"trading_windows[1].{line}")


def test_a_window_without_length_and_an_unknown_word_are_refused():
    (same,) = problems("trading_windows[0]", NEW_YORK | {"until": "09:30"})
    assert str(same) == "trading_windows[0]: from and until are both 09:30; write a window that has a length"
    (word,) = problems("trading_windows[0]", NEW_YORK | {"zone": "UTC"})
    assert str(word) == "trading_windows[0]: zone is no part of a window; write days, from, until, timezone"
    (text,) = problems("trading_windows[0]", "09:30-16:00")
    assert str(text) == "trading_windows[0]: '09:30-16:00' is no window; write days, from, until, timezone"


def test_all_that_is_wrong_with_a_window_is_said_at_once():
    assert [problem.key for problem in problems("trading_windows[0]", {})] == [
        f"trading_windows[0].{name}" for name in ("days", "from", "until", "timezone")
    ]


@given(ANYTHING | st.fixed_dictionaries(dict.fromkeys(NEW_YORK, ANYTHING)))
def test_whatever_is_written_is_a_window_or_a_problem_with_its_key(entry):
    found = read("trading_windows[3]", entry)
    assert isinstance(found, Calendar) or found
    if not isinstance(found, Calendar):
        assert all(str(problem).startswith("trading_windows[3]") for problem in found)
