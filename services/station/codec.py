# SPDX-License-Identifier: Apache-2.0
"""Canonical bytes: one event has one spelling, which is what travels, is stored and is hashed.

JSON after RFC 8785 (sorted keys, no spaces, UTF-8) with three rules of our own: every number is a string, so that no
reader rounds it; text is in Unicode form NFC; what is absent is left out. Nobody encodes twice: the recorder hashes the
bytes it got.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from station.errors import Poison
from station.events import SCHEMA, Event

_ENCODER = msgspec.json.Encoder(order="sorted")
# Lax, because numbers arrive as strings.
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event, strict=False)


class Header(msgspec.Struct, frozen=True):
    """The part of an envelope that can be read whatever the type and the schema are."""

    type: str
    agent_id: str
    run: int
    sequence: int
    timestamp: int
    available: int
    schema: int


_HEADER_DECODER = msgspec.json.Decoder(Header, strict=False)
# What the decoder raises: bad JSON, bad UTF-8 inside a text, nesting without end.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(event: Event) -> bytes:
    """Return the canonical bytes of an event.

    Raises:
        TypeError: it holds a float, or a number that is not finite.
    """
    return canonical(event)


def canonical(value: object) -> bytes:
    """Return the canonical bytes of structs, mappings with text as keys, sequences, text, numbers and None.

    Raises:
        TypeError: a float, a number that is not finite, or a type that has no canonical form.
    """
    return _ENCODER.encode(_plain(value))


def decode(data: bytes) -> Event:
    """Return the event that bytes spell. Fields this release does not know are passed over.

    Raises:
        Poison: not an event, a type or a schema that this release does not know.
    """
    try:
        event = _DECODER.decode(data)
    except msgspec.ValidationError as error:
        known = header(data)
        _require_known(known.schema, known.type)
        raise Poison(f"{known.type} of {known.agent_id}: {error}") from None
    except _UNREADABLE as error:
        raise Poison(f"not an event: {error}") from None
    _require_known(event.schema, str(type(event).__struct_config__.tag))
    if not _all_finite((event.confidence_score, event.competitive_score, event.payload)):
        raise Poison(f"{event.event_id}: a number is not finite")
    return event


def header(data: bytes) -> Header:
    """Return what every event says of itself.

    Raises:
        Poison: not an event.
    """
    try:
        return _HEADER_DECODER.decode(data)
    except _UNREADABLE as error:
        raise Poison(f"not an event: {error}") from None


def _require_known(schema: int, kind: str) -> None:
    # Asked even if the event fits: a newer schema may mean something else by the same fields.
    if schema > SCHEMA:
        raise Poison(f"{kind} has schema {schema}, this release reads up to {SCHEMA}")


def _all_finite(values: tuple[Any, ...]) -> bool:
    # Decimal reads "NaN" and "Infinity", which no producer of ours can have written.
    for value in values:
        if type(value) is Decimal:
            finite = value.is_finite()
        elif isinstance(value, msgspec.Struct):
            finite = _all_finite(msgspec.structs.astuple(value))
        else:
            finite = type(value) is not tuple or _all_finite(value)
        if not finite:
            return False
    return True


def _plain(value: object) -> Any:
    form = _FORMS.get(type(value))
    if form is not None:
        return form(value)
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")


def _text(value: str) -> str:
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _sequence(value: Sequence[object]) -> list[Any]:
    return [_plain(item) for item in value]


def _mapping(value: dict[Any, Any]) -> dict[str, Any]:
    present = {key: item for key, item in value.items() if item is not None}
    plain = {_plain(key): _plain(item) for key, item in present.items()}
    if len(plain) != len(present):
        raise TypeError(f"two keys of {sorted(map(str, present))} have one canonical form")
    return plain


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    fields = {}
    tag = value.__struct_config__.tag
    if tag is not None:
        fields[str(value.__struct_config__.tag_field)] = tag
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if item is not None:
            fields[name] = _plain(item)
    return fields


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError(f"{value} is not a finite number")
    # Without an exponent, and one zero instead of two.
    return format(value if value else abs(value), "f")


_FORMS: dict[type, Callable[[Any], Any]] = {
    str: _text,
    int: str,
    Decimal: _decimal,
    bool: bool,
    dict: _mapping,
    list: _sequence,
    tuple: _sequence,
}
