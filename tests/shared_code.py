# SPDX-License-Identifier: Apache-2.0
"""Modules find their shared code as ansible.module_utils.<name>, as on a host: one copy of it for all tests."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from fleet.paths import PROJECT

PREFIX = "ansible.module_utils."


class Shared(MetaPathFinder, Loader):
    """Finds ansible.module_utils.<name> where Ansible does: in fleet/host and in the roles' module_utils."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Answer for the names that are ours."""
        name = fullname.removeprefix(PREFIX)
        return ModuleSpec(fullname, self) if fullname.startswith(PREFIX) and name in HOMES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that the project's own code imports, not a second copy of it."""
        return import_module(HOMES[spec.name.removeprefix(PREFIX)])

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it has been executed by the import."""


def _homes() -> dict[str, str]:
    files = [*PROJECT.glob("fleet/host/*.py"), *PROJECT.glob("roles/*/module_utils/*.py")]
    names = (path.relative_to(PROJECT).with_suffix("") for path in files if path.stem != "__init__")
    return {name.name: ".".join(name.parts) for name in names}


HOMES = _homes()


def install() -> None:
    """Let modules import their shared code, in any test."""
    sys.meta_path.insert(0, Shared())
