# SPDX-License-Identifier: Apache-2.0
"""What the role alertmanager refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal
from fleet.model.view import View

SEVERITIES = ("critical", "warning", "info")
# What the role itself calls the receiver that sends nothing.
SILENT = "web interface only"
# A receiver's name is part of the names of files and credentials.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
URL = re.compile(r"https?://[^\s/@]+(/\S*)?")
MAIL = re.compile(r"[^\s@]+@[^\s@]+")
SMARTHOST = re.compile(r"[^\s:]+:[0-9]{1,5}")
WITH_MAIL = ("email_from", "email_smarthost")
FORMS = {
    "webhook_url": (URL, "write http:// or https://, without a user in it; a token is webhook_token"),
    "email_to": (MAIL, "write one mail address"),
    "email_from": (MAIL, "write one mail address"),
    "email_smarthost": (SMARTHOST, "write <host>:<port>"),
}
SECRETS = {"webhook_token": "vault_alertmanager_webhook_token", "email_password": "vault_alertmanager_email_password"}


def alertmanager_problems(
    settings: Mapping[str, Any],
    hardware: Mapping[str, Any],
    fleet: View,
) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    yield from forms.listening(settings, "alertmanager_address")
    yield from forms.port("alertmanager_port", settings["alertmanager_port"])
    receivers = settings["alertmanager_receivers"]
    yield from _names(receivers)
    for number, receiver in enumerate(receivers):
        yield from _receiver(f"alertmanager_receivers.{number}", receiver)
    yield from _routes(settings, [receiver.get("name") for receiver in receivers])


def _names(receivers: Sequence[Mapping[str, Any]]) -> Iterator[Refusal]:
    names: list[object] = []
    for number, receiver in enumerate(receivers):
        key, name = f"alertmanager_receivers.{number}.name", receiver.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield Refusal(key, f"{name!r} is no name of a receiver", "take letters, digits, '_' and '-'")
        elif name in names:
            yield Refusal(key, f"{name} is the name of another receiver too", "give each a name of its own")
        names.append(name)


def _receiver(key: str, receiver: Mapping[str, Any]) -> Iterator[Refusal]:
    if not receiver.get("webhook_url") and not receiver.get("email_to"):
        right = "set webhook_url, or email_to with email_from and email_smarthost"
        yield Refusal(key, f"{receiver.get('name')} receives nothing", right)
    for part in WITH_MAIL:
        if receiver.get("email_to") and not receiver.get(part):
            yield Refusal(f"{key}.email_to", f"no mail can be sent without {part}", f"set {part} beside it")
    if receiver.get("email_password") and not receiver.get("email_user"):
        yield Refusal(f"{key}.email_password", "belongs to no user", "set email_user beside it")
    if receiver.get("webhook_token") and not receiver.get("webhook_url"):
        yield Refusal(f"{key}.webhook_token", "belongs to no webhook", "set webhook_url beside it")
    for part, (form, right) in FORMS.items():
        value = receiver.get(part)
        # An address may carry a secret, so it is not repeated.
        if value and not form.fullmatch(str(value)):
            yield Refusal(f"{key}.{part}", "has another form", right)
    for part, name in SECRETS.items():
        value = receiver.get(part)
        if value and not forms.PRINTED.fullmatch(str(value)):
            yield Refusal(f"{key}.{part}", "has a blank or a letter outside ASCII", f"set {name} in secrets.yml")


def _routes(settings: Mapping[str, Any], names: Sequence[object]) -> Iterator[Refusal]:
    known = ", ".join(map(str, names)) or "none"
    routes = {f"alertmanager_severity_receivers.{s}": r for s, r in settings["alertmanager_severity_receivers"].items()}
    if settings["alertmanager_default_receiver"]:
        routes["alertmanager_default_receiver"] = settings["alertmanager_default_receiver"]
    for key, name in routes.items():
        if name not in names:
            wrong = f"alertmanager_receivers has no {name!r}, it has {known}"
            yield Refusal(key, wrong, "name one of them, or add it")
    for severity in settings["alertmanager_severity_receivers"]:
        if severity not in SEVERITIES:
            wrong = "no alert has this severity"
            right = f"take one of {', '.join(SEVERITIES)}"
            yield Refusal(f"alertmanager_severity_receivers.{severity}", wrong, right)
