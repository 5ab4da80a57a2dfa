# SPDX-License-Identifier: Apache-2.0
"""What a check that does not hold says: what was declared and what was found, in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

LIMIT = 300  # characters of one value; the log has all of it
LIMITS = {"<=": "at most", "<": "less than", ">=": "at least", ">": "more than"}


def compared(operator: str, found: Any, declared: Any) -> str:
    """Say why a comparison does not hold; found is the left side, as in `assert found == declared`.

    Args:
        operator: as Python writes it.
        found: left side.
        declared: right side.
    """
    if operator == "==":
        return "; ".join(_unequal(found, declared))
    if operator in {"in", "not in"}:
        # The words that are looked for stand on the left.
        return f"declared to have {'no ' if operator == 'not in' else ''}{value(found)}, found {value(declared)}"
    if operator in LIMITS and isinstance(found, Set):
        small, large = (found, declared) if operator in {"<=", "<"} else (declared, found)
        return f"{value(small - large)} not among {value(large)}"
    return f"declared {LIMITS.get(operator, operator.replace('!=', 'is not'))} {value(declared)}, found {value(found)}"


def _unequal(found: Any, declared: Any) -> Iterable[str]:
    if isinstance(found, Mapping) and isinstance(declared, Mapping):
        for key in [*declared, *(key for key in found if key not in declared)]:
            if found.get(key, _ABSENT) != declared.get(key, _ABSENT):
                yield f"{key}: declared {value(declared.get(key, _ABSENT))}, found {value(found.get(key, _ABSENT))}"
    elif isinstance(found, Set) and isinstance(declared, Set):
        if declared - found:
            yield f"missing: {value(declared - found)}"
        if found - declared:
            yield f"not declared: {value(found - declared)}"
    elif isinstance(found, str) and isinstance(declared, str) and "\n" in found + declared:
        pairs = zip([*found.splitlines(), "end"], [*declared.splitlines(), "end"], strict=False)
        number, (left, right) = next(
            (pair for pair in enumerate(pairs, 1) if pair[1][0] != pair[1][1]), (0, (found, declared))
        )
        yield f"line {number}: declared {value(right)}, found {value(left)}"
    else:
        yield f"declared {value(declared)}, found {value(found)}"


class _Absent:
    def __str__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


def value(thing: Any) -> str:
    """Return a value as a person would write it, cut between words where it is long.

    Args:
        thing: any value.
    """
    if isinstance(thing, str):
        plain = thing and thing == thing.strip() and thing.isprintable()
        lines = [line.strip() for line in thing.splitlines() if line.strip()]
        text = thing if plain else " | ".join(lines) if len(lines) > 1 else repr(thing)
    elif isinstance(thing, (Set, list, tuple)):
        members = sorted(thing, key=str) if isinstance(thing, Set) else thing
        text = ", ".join(value(member) for member in members) or "nothing"
        text = f"({text})" if isinstance(thing, tuple) else text
    elif thing is None:
        text = "nothing"
    else:
        text = str(thing) if isinstance(thing, (int, float, _Absent)) else repr(thing)
    return text if len(text) <= LIMIT else textwrap.shorten(text, LIMIT, placeholder=" ...")


def reason(error: BaseException) -> str:
    """Return in one line why a check failed: its own words, without the source code that pytest adds.

    Args:
        error: what the check raised.
    """
    lines = str(error).strip().splitlines() or [""]
    if not isinstance(error, AssertionError):
        return f"{type(error).__name__}: {lines[0]}"
    # What pytest adds to the words of `assert x, words` begins with "assert", and tells something if it compares.
    first, *rest = lines
    if first.startswith("assert "):
        return first.removeprefix("assert ")
    told = next((line.removeprefix("assert ") for line in rest[:1] if line.startswith("assert declared ")), "")
    return f"{first}: {told}" if told else first


def ended(command: str, status: int, wanted: Sequence[int], stdout: str, stderr: str) -> str:
    """Say of a command how it ended, which was not as wanted.

    Args:
        command: as it was given.
        status: its exit status.
        wanted: the statuses that would be right.
        stdout: what it printed.
        stderr: what it complained.
    """
    last = ((stderr.strip() or stdout.strip()).splitlines() or ["no output"])[-1]
    shown = textwrap.shorten(command, 100, placeholder=" ...")
    instead = "" if list(wanted) == [0] else f" instead of {' or '.join(map(str, wanted))}"
    return f"`{shown}` ended with status {status}{instead}: {value(last)}"
