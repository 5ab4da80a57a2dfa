# SPDX-License-Identifier: Apache-2.0
"""Events of every type, drawn from what their fields allow."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st
from station.events import SCHEMA, Event

TYPES = get_args(Event)

unnormalised = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # everything that UTF-8 can spell
text = unnormalised.map(lambda drawn: unicodedata.normalize("NFC", drawn))
numbers = st.integers(0, 2**63 - 1)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**15), max_value=10**15)


def struct(kind: type[msgspec.Struct], **fixed: Any) -> st.SearchStrategy[Any]:
    """Return any value of a frozen struct; some fields may be fixed."""
    fields = {field.name: of_type(field.type) for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    return st.builds(kind, **fields | fixed)


_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    msgspec.inspect.StrType: text,
    msgspec.inspect.IntType: numbers,
    msgspec.inspect.DecimalType: decimals,
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.NoneType: st.none(),
}


def of_type(info: Any) -> st.SearchStrategy[Any]:
    """Return any value of a type, as msgspec describes it."""
    found: st.SearchStrategy[Any]
    match info:
        case msgspec.inspect.UnionType(types=types):
            found = st.one_of([of_type(one) for one in types])
        case msgspec.inspect.LiteralType(values=values):
            found = st.sampled_from(values)
        case msgspec.inspect.StructType(cls=cls):
            found = struct(cls)
        case msgspec.inspect.VarTupleType(item_type=item):
            found = st.lists(of_type(item), max_size=3).map(tuple)
        case msgspec.inspect.TupleType(item_types=items):
            found = st.tuples(*map(of_type, items))
        case msgspec.inspect.DictType(value_type=value):
            found = st.dictionaries(st.text("abcdefghij_", max_size=5), of_type(value), max_size=3)
        case _:
            found = _SIMPLE[type(info)]
    return found


def of_kind(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Return any event of a type."""
    return struct(kind, schema=st.just(SCHEMA))


events: st.SearchStrategy[Event] = st.one_of([of_kind(kind) for kind in TYPES])
