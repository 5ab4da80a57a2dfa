# SPDX-License-Identifier: Apache-2.0
"""What the role firmware_check refuses of its variables: items that do not exist, and values that none can have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.firmware_check.filter_plugins.firmware_report import ITEMS, wanted_value


def firmware_check_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot be wanted.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    for item, value in settings["firmware_check_wanted"].items():
        if item in ITEMS and value is not None:  # an item that is not named is None here; one unknown is the spec's
            try:
                wanted_value(item, value)
            except ValueError as error:
                yield Refusal(f"firmware_check_wanted.{item}", f"{value!r} cannot be", str(error))
    for item in settings["firmware_check_menu_paths"]:
        if item not in ITEMS:
            near = difflib.get_close_matches(str(item), ITEMS, n=1)
            right = f"did you mean {near[0]}?" if near else f"known are {', '.join(ITEMS)}"
            yield Refusal(f"firmware_check_menu_paths.{item}", "there is no such item", right)
