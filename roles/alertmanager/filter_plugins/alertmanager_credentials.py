# SPDX-License-Identifier: Apache-2.0
"""The secrets of receivers as files that systemd hands to Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

SECRETS = ("webhook_token", "email_password")


def alertmanager_credentials(receivers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return an entry of a file set for each secret, named alertmanager.<receiver>.<kind>.

    Args:
        receivers: alertmanager_receivers.
    """
    return [
        {
            "path": f"/etc/credstore/alertmanager.{receiver['name']}.{kind}",
            "content": receiver[kind],
            "mode": "0600",
            "secret": True,
        }
        for receiver in receivers
        for kind in SECRETS
        if receiver.get(kind)
    ]


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"alertmanager_credentials": alertmanager_credentials}
