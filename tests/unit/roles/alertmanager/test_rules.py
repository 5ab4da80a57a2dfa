# SPDX-License-Identifier: Apache-2.0
"""What the role alertmanager refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.alertmanager.filter_plugins.alertmanager_credentials import FilterModule, alertmanager_credentials
from tests.unit.roles.rules_kit import lines, refusals

HOOK = {"name": "pager", "webhook_url": "https://alerts.example/hook", "webhook_token": "t0ken"}
MAIL = {
    "name": "mail",
    "email_to": "ops@example.com",
    "email_from": "fleet@example.com",
    "email_smarthost": "mail.example.com:587",
    "email_user": "fleet",
    "email_password": "secret",
}
ROUTES: dict[str, Any] = {
    "alertmanager_default_receiver": "mail",
    "alertmanager_severity_receivers": {"critical": "pager"},
}


def test_receivers_and_routes_pass() -> None:
    assert lines("alertmanager") == []
    assert lines("alertmanager", alertmanager_receivers=[HOOK, MAIL], **ROUTES) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"alertmanager_address": "0.0.0.0"}, "alertmanager_address", "every address of the host"),
        ({"alertmanager_address": "10.10.0.99"}, "alertmanager_address", "nor the host's own"),
        ({"alertmanager_port": 25}, "alertmanager_port", "25 is no port"),
        (
            {"alertmanager_default_receiver": "pagr"},
            "alertmanager_default_receiver",
            "has no 'pagr', it has pager, mail",
        ),
        (
            {"alertmanager_severity_receivers": {"warning": "nobody"}},
            "alertmanager_severity_receivers.warning",
            "has no 'nobody'",
        ),
        (
            {"alertmanager_severity_receivers": {"criticl": "pager"}},
            "alertmanager_severity_receivers.criticl",
            "no alert has this severity",
        ),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change: dict[str, Any], key: str, words: str) -> None:
    (refusal,) = refusals("alertmanager", **{"alertmanager_receivers": [HOOK, MAIL]} | change)
    assert (refusal.key, words in refusal.wrong) == (key, True), refusal


@pytest.mark.parametrize(
    ("receiver", "key", "words"),
    [
        ({"name": "deaf"}, "", "deaf receives nothing"),
        (MAIL | {"email_from": None}, ".email_to", "without email_from"),
        (MAIL | {"email_smarthost": ""}, ".email_to", "without email_smarthost"),
        (MAIL | {"email_user": None}, ".email_password", "belongs to no user"),
        (MAIL | {"webhook_token": "t"}, ".webhook_token", "belongs to no webhook"),
        (MAIL | {"email_smarthost": "mail.example.com"}, ".email_smarthost", "another form"),
        (HOOK | {"webhook_url": "alerts.example/hook"}, ".webhook_url", "another form"),
        (HOOK | {"webhook_url": "https://user:word@alerts.example"}, ".webhook_url", "another form"),
        (HOOK | {"webhook_token": "two words"}, ".webhook_token", "has a blank"),
        (HOOK | {"name": "../pager"}, ".name", "no name of a receiver"),
        (HOOK | {"name": "web interface only"}, ".name", "no name of a receiver"),
    ],
)
def test_a_receiver_that_cannot_receive_is_refused(receiver: dict[str, Any], key: str, words: str) -> None:
    (refusal,) = refusals("alertmanager", alertmanager_receivers=[receiver])
    assert (refusal.key, words in refusal.wrong) == (f"alertmanager_receivers.0{key}", True), refusal


def test_two_receivers_of_one_name_are_refused() -> None:
    (line,) = lines("alertmanager", alertmanager_receivers=[HOOK, HOOK])
    assert line.startswith("alertmanager_receivers.1.name: pager is the name of another receiver too")


@given(st.sampled_from(["webhook_token", "email_password"]), st.text(min_size=1, max_size=20))
def test_no_message_carries_a_secret(kind: str, secret: str) -> None:
    receiver = HOOK | MAIL | {kind: f"hunter2{secret}"}
    assert not [line for line in lines("alertmanager", alertmanager_receivers=[receiver]) if "hunter2" in line]


def test_each_secret_is_a_file_of_its_own_that_no_difference_shows() -> None:
    found = alertmanager_credentials([HOOK, MAIL, {"name": "plain", "webhook_url": "http://x", "webhook_token": ""}])
    assert [(entry["path"], entry["content"]) for entry in found] == [
        ("/etc/credstore/alertmanager.pager.webhook_token", "t0ken"),
        ("/etc/credstore/alertmanager.mail.email_password", "secret"),
    ]
    assert all(entry["secret"] and entry["mode"] == "0600" for entry in found)
    assert set(FilterModule().filters()) == {"alertmanager_credentials"}
