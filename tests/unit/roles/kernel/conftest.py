# SPDX-License-Identifier: Apache-2.0
"""Modules find their shared code as ansible.module_utils.<name>, as on a host: one copy for all tests."""

import os
import sys
from importlib import import_module
from pathlib import Path

import ansible.module_utils
import pytest

# In the order in which they need each other.
for name in ("kernel_boot_plan", "kernel_grub", "kernel_trial", "kernel_boot_host"):
    module = import_module(f"roles.kernel.module_utils.{name}")
    sys.modules[f"ansible.module_utils.{name}"] = module
    setattr(ansible.module_utils, name, module)

# The kit needs the names above.
from tests.unit.roles.kernel.kernel_boot_kit import Played, installed  # noqa: E402


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Return a played host with GRUB, just installed."""
    monkeypatch.setattr(os, "sync", lambda: None)
    return installed(tmp_path)
