# SPDX-License-Identifier: Apache-2.0
"""From files, or plain data, to services, or to what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from station.config.document import Document, Keys, read
from station.config.messages import Fault, nearest, sentences
from station.config.rules import between
from station.config.services import KINDS, AnyService
from station.errors import StationError


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it counts."""

    key: str
    value: str
    source: str  # "default", or file and line


def load(path: Path) -> AnyService:
    """Return the service that a file describes.

    Raises:
        StationError: something is wrong with it; the message is the first thing, and says how many more there are.
    """
    document = read(path)
    service, problems = _service(document)
    if service is None:
        more = f" (and {len(problems) - 1} more: station config check {path})" if len(problems) > 1 else ""
        raise StationError(f"{problems[0]}{more}")
    return service


def check(paths: Iterable[Path]) -> list[str]:
    """Return what is wrong, one line each. A folder stands for its files, and several files for one host's services.

    Args:
        paths: files of services, or folders of them.
    """
    files = [file for path in paths for file in _files(path)]
    problems: list[str] = []
    documents = []
    for file in files:
        try:
            documents.append(read(file))
        except StationError as error:
            problems.append(str(error))
    # A file alone cannot tell who writes what it reads.
    return problems + [str(fault) for fault in _check(documents, together=len(files) > 1)]


def check_services(services: Sequence[Any], where: str = "services_instances") -> list[Fault]:
    """Return what is wrong with the services of one host; a fault's document is `<where>.<number of the service>`.

    Args:
        services: mappings, as their files would have them.
        where: the variable that holds them, for messages.
    """
    return _check([Document(f"{where}.{number}", service) for number, service in enumerate(services)], together=True)


def explain(path: Path) -> list[Value]:
    """Return every setting of a service with its source.

    Raises:
        StationError: as for `load`.
    """
    document = read(path)
    service = load(path)
    return [
        Value(".".join(map(str, keys)), value, document.place(keys) if keys in document.lines else "default")
        for keys, value in _leaves((), service)
    ]


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.yml")) if path.is_dir() else [path]


def _check(documents: Iterable[Document], *, together: bool) -> list[Fault]:
    problems: list[Fault] = []
    services = []
    for document in documents:
        service, found = _service(document)
        problems += found
        if service is not None:
            services.append((document, service))
    # What a broken service writes or sends is not known, and others would be blamed for it.
    return problems + list(between(services) if together and not problems else ())


def _service(document: Document) -> tuple[AnyService | None, list[Fault]]:
    content = document.content
    if not isinstance(content, Mapping):
        return None, [Fault(document, (), "is no service; write keys and values, beginning with kind and name")]
    kind = content.get("kind")
    if kind is None:
        return None, [Fault(document, ("kind",), f"missing; set it to one of {', '.join(KINDS)}")]
    model = KINDS.get(str(kind))
    if model is None:
        return None, [Fault(document, ("kind",), f'"{kind}" is none; {nearest(str(kind), list(KINDS))}')]
    try:
        return model.model_validate_json(document.as_json()), []
    except ValidationError as error:
        return None, list(sentences(error, model, document))


def _leaves(keys: Keys, value: object) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*keys, name), getattr(value, name))
    elif isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves((*keys, name), item)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for number, item in enumerate(value):
            yield from _leaves((*keys, number), item)
    else:
        yield keys, _spelled(value)


def _spelled(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, tuple | Mapping):
        return ", ".join(map(str, value)) or "-"
    return str(value)
