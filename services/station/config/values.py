# SPDX-License-Identifier: Apache-2.0
"""The kinds of values that configuration files hold, each with a rule and the words for a breach of it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from station.modes.markets import names, suggestion

FAMILIES = ("md", "strat", "exec", "tourn")
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*")
_URL = re.compile(r"(https?|wss?)://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_STREAM = re.compile(rf"({'|'.join(FAMILIES)}):[a-z][a-z0-9-]*")
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_INTERVAL = re.compile(r"[1-9]\d*[smhd]")
_ADDRESS = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")


def _name(text: str) -> str:
    return _matching(_NAME, text, "is no name; take a-z, 0-9 and -, beginning with a letter")


def _stream(text: str) -> str:
    families = ", ".join(f"{family}:" for family in FAMILIES)
    return _matching(
        _STREAM, text, f"is no stream; a stream is <family>:<name of the service> with a family of {families}"
    )


def _credential(text: str) -> str:
    # Never repeated in the message: it may be the secret itself.
    if not _CREDENTIAL.fullmatch(text):
        raise ValueError("is no name of a credential; put the secret into a credential of the unit and its name here")
    return text


def _cpus(text: str) -> str:
    if text:
        _matching(_CPUS, text, "is no CPU list; write one such as 2-3,8, or nothing for any CPU")
    for first, last in (part.split("-") for part in text.split(",") if "-" in part):
        if int(first) > int(last):
            raise ValueError(f'"{text}" counts down in {first}-{last}; write {last}-{first}')
    return text


def _interval(text: str) -> str:
    return _matching(_INTERVAL, text, "is no interval; write a number and s, m, h or d, such as 5m")


def _address(text: str) -> str:
    return _matching(_ADDRESS, text, "is no address; write <host>:<port>, such as 127.0.0.1:9000")


def _path(text: str) -> str:
    if not PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts:
        raise ValueError(f'"{text}" is no absolute path without ..; write it from / on')
    return text


def _symbol(text: str) -> str:
    return _matching(_SYMBOL, text, "is no symbol; write one such as EURUSD or BTC/USD")


def _filled(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("is empty; name at least one")
    return values


def _symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    twice = {symbol for symbol in symbols if symbols.count(symbol) > 1}
    if twice:
        raise ValueError(f"{min(twice)} is there twice; name it once")
    return _filled(symbols)


def _url(text: str) -> str:
    return _matching(_URL, text, "is no address; write one such as https://api.example.com, without credentials")


def _time(text: str) -> str:
    return _matching(_TIME, text, 'is no time; write one such as "16:00", in quotes')


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'"{text}" is no time zone; write one such as UTC or America/New_York') from None
    return text


def _market_hours(text: str) -> str:
    if text not in {"always", "unknown", *names()}:
        raise ValueError(f'"{text}" is no market; write always, unknown or a market such as {suggestion(text)}')
    return text


def _matching(pattern: re.Pattern[str], text: str, words: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f'"{text}" {words}')
    return text


Name = Annotated[str, AfterValidator(_name)]
Stream = Annotated[str, AfterValidator(_stream)]
Credential = Annotated[str, AfterValidator(_credential)]
Cpus = Annotated[str, AfterValidator(_cpus)]
Interval = Annotated[str, AfterValidator(_interval)]
Address = Annotated[str, AfterValidator(_address)]
AbsolutePath = Annotated[str, AfterValidator(_path)]
Port = Annotated[int, Field(ge=1024, le=65535)]
Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]
Symbol = Annotated[str, AfterValidator(_symbol)]
Symbols = Annotated[tuple[Symbol, ...], AfterValidator(_symbols)]
Streams = Annotated[tuple[Stream, ...], AfterValidator(_filled)]
Url = Annotated[str, AfterValidator(_url)]
LocalTime = Annotated[str, AfterValidator(_time)]
Zone = Annotated[str, AfterValidator(_zone)]
MarketHours = Annotated[str, AfterValidator(_market_hours)]
