# SPDX-License-Identifier: Apache-2.0
"""What Ansible says while it reads an inventory: it goes on after a warning, this project does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible.utils.display import Display


@dataclass(frozen=True)
class Warned:
    """One warning: its words, the object that it is about, and what Ansible says above an error."""

    words: str
    about: Any = None
    headline: str = ""


@contextmanager
def heard() -> Iterator[list[Warned]]:
    """Collect Ansible's warnings instead of printing them."""
    display = Display()
    said: list[Warned] = []

    def warning(msg: str, *_: Any, obj: Any = None, **__: Any) -> None:
        said.append(Warned(str(msg), obj))

    def error_as_warning(msg: str | None, exception: BaseException, *_: Any, **__: Any) -> None:
        words = str(getattr(exception, "message", exception))
        said.append(Warned(words or str(msg), getattr(exception, "obj", None), str(msg)))

    def deprecated(*_: Any, **__: Any) -> None:
        """What still works needs no mending yet."""

    instead = {"warning": warning, "error_as_warning": error_as_warning, "deprecated": deprecated}
    # There is one Display in a process; a name set on it hides the method of its class.
    before = {name: vars(display)[name] for name in instead if name in vars(display)}
    vars(display).update(instead)
    try:
        yield said
    finally:
        for name in instead:
            del vars(display)[name]
        vars(display).update(before)
