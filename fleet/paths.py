# SPDX-License-Identifier: Apache-2.0
"""Where things lie in the project: one place for the folders that several commands use."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
INVENTORIES = PROJECT / "inventory"
LAB_INVENTORY = INVENTORIES / "lab"
LAB_STATE = PROJECT / ".lab"
BUILD = PROJECT / "build"
VENV_BIN = PROJECT / ".venv" / "bin"
