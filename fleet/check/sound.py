# SPDX-License-Identifier: Apache-2.0
"""Values that the checks of names and shapes have nothing to say against: what other checks can build on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.model.model import Fleet
from fleet.model.project import Spec
from fleet.model.settings import UnrenderableError
from fleet.model.shapes import misfits


class Reader:
    """Reads values of hosts, and leaves out what another check refuses."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def value(self, host: str, key: str, default: Any = None) -> Any:
        """Return a variable; the default when it is not set, None when it is another check's to refuse."""
        spec = self.fleet.every_option.get(key, {})
        try:
            value = self.fleet.settings(host).get(key, default)
        except UnrenderableError:
            return None
        return value if _sound(spec, value) else None

    def cpu(self, host: str) -> Mapping[str, Any] | None:
        """Return `hardware.cpu` of a host, whatever is wrong with the rest of its hardware."""
        try:
            hardware = self.fleet.settings(host).get("hardware")
        except UnrenderableError:
            return None
        cpu = hardware.get("cpu") if isinstance(hardware, Mapping) else None
        spec = (self.fleet.every_option.get("hardware", {}).get("options") or {}).get("cpu", {})
        return cpu if isinstance(cpu, Mapping) and not any(_wrong(spec, cpu)) else None


def _wrong(spec: Spec, value: Any) -> Any:
    return misfits("", spec, value, value) if spec and value is not None else ()


def _sound(spec: Spec, value: Any) -> bool:
    return not any(_wrong(spec, value)) and not _unknown(spec, value)


def _unknown(spec: Spec, value: Any) -> bool:
    """Tell whether a dictionary or a list of them has a key that the specification does not know."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    known = spec.get("options") or {}
    return bool(known) and any(key not in known for entry in entries if isinstance(entry, Mapping) for key in entry)
