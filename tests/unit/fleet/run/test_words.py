# SPDX-License-Identifier: Apache-2.0
"""What a check that does not hold says, in words of a person and in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.run.words import LIMIT, compared, ended, reason, value


@pytest.mark.parametrize(
    ("operator", "found", "declared", "line"),
    [
        ("==", "inactive", "active", "declared active, found inactive"),
        ("==", 3, 4, "declared 4, found 3"),
        ("==", "", "a", "declared a, found ''"),
        ("==", [], ["a", "b c"], "declared a, b c, found nothing"),
        ("==", {"a": 1, "b": 2}, {"a": 1, "b": 3}, "b: declared 3, found 2"),
        ("==", {"a": 1}, {"b": 1}, "b: declared 1, found nothing; a: declared nothing, found 1"),
        ("==", {1, 2}, {2, 3}, "missing: 3; not declared: 1"),
        ("==", "one\ntwo\n", "one\n2\n", "line 2: declared 2, found two"),
        ("==", "one\n", "one\ntwo\n", "line 2: declared two, found end"),
        ("==", None, "x", "declared x, found nothing"),
        ("!=", None, None, "declared is not nothing, found nothing"),
        ("<=", 9.2, 2.0, "declared at most 2.0, found 9.2"),
        ("<=", {"docker", "adm"}, {"adm"}, "docker not among adm"),
        (">=", {"adm"}, {"adm", "docker"}, "docker not among adm"),
        ("in", "denied", "all is well", "declared to have denied, found all is well"),
        ("in", "denied", "hello\n\nnobody\n", "declared to have denied, found hello | nobody"),
        ("not in", "key", "a key", "declared to have no key, found a key"),
    ],
)
def test_a_comparison_says_what_was_declared_and_what_was_found(operator, found, declared, line):
    assert compared(operator, found, declared) == line


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda some: st.lists(some) | st.dictionaries(st.text(), some) | st.tuples(some, some) | st.frozensets(st.text()),
    max_leaves=8,
)


@given(st.sampled_from(["==", "!=", "in", "not in", "is"]), DATA, DATA)
def test_whatever_is_compared_is_told_without_a_repr_of_an_object(operator, found, declared):
    assert " object at 0x" not in compared(operator, found, declared)


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_that_differ_always_say_something(found, declared):
    assert compared("==", found, declared) if found != declared else True


def test_a_long_value_is_cut_between_words():
    text = value(" ".join(["word"] * 200))
    assert len(text) <= LIMIT
    assert text.removesuffix(" ...").split(" ") == ["word"] * len(text.removesuffix(" ...").split(" "))


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        # As pytest writes them, which rewrites each assert.
        ("assert declared on, found off\n +  where off = unit(...)", "declared on, found off"),
        ("cron\nassert declared on, found off\n +  where off = ...", "cron: declared on, found off"),
        ("port 22 is closed\nassert False\n +  where False = any(...)", "port 22 is closed"),
        ("`true` ended with status 1: no output", "`true` ended with status 1: no output"),
        (ValueError("not enough values\nmore"), "ValueError: not enough values"),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(), "OSError: "),
    ],
)
def test_the_reason_is_the_checks_own_words_in_one_line(raised, line):
    assert reason(AssertionError(raised) if isinstance(raised, str) else raised) == line


def test_a_command_that_failed_is_told_by_its_last_complaint():
    assert ended("systemctl start x", 1, [0], "out", "Failed\nUnit x not found.\n") == (
        "`systemctl start x` ended with status 1: Unit x not found."
    )
    assert ended("true", 4, [0, 1], "", "") == "`true` ended with status 4 instead of 0 or 1: no output"
