# SPDX-License-Identifier: Apache-2.0
"""A played host for the tests of the kernel role."""

import os
from pathlib import Path

import pytest

from tests.unit.roles.kernel.kernel_boot_kit import Played, installed


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Return a played host with GRUB, just installed."""
    monkeypatch.setattr(os, "sync", lambda: None)
    return installed(tmp_path)
