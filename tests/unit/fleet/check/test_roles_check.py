# SPDX-License-Identifier: Apache-2.0
"""What a role refuses is said by the inventory check, with the line that must change."""

from __future__ import annotations

import pytest

RULES = """
from fleet.model.rules import Refusal


def store_problems(settings, hardware, fleet):
    if settings["store_port"] < 1024:
        yield Refusal("store_port", "is low", "take a higher one")
    for name, text in settings["store_users"].items():
        if text == "bad":
            yield Refusal(f"store_users.{name}", "is bad", "make it good")
    for number, entry in enumerate(settings["store_list"]):
        if entry.get("size") == 0:
            yield Refusal(f"store_list.{number}.size", "is nothing", "make it more")
    if settings["store_mode"] == "fast" and hardware["memory_gib"] < 8:
        yield Refusal("store_mode", "is too much here", "take safe")
    if "beta" not in fleet.members["gpu"]:
        yield Refusal("store_mode", "needs a GPU", "name one")
"""


@pytest.fixture(autouse=True)
def _store_has_rules(sandbox) -> None:
    sandbox.write("roles/store/rules.py", RULES)
    sandbox.add(
        "roles/store/meta/argument_specs.yml",
        "      store_users: {type: dict, description: Users.}\n"
        "      store_list: {type: list, elements: dict, description: Things.}\n",
    )
    sandbox.add("roles/store/defaults/main.yml", "store_users: {}\nstore_list: []\n")


def test_a_healthy_inventory_passes(sandbox) -> None:
    assert sandbox.lines() == []


def test_a_refusal_has_file_line_host_key_and_remedy(sandbox, refused) -> None:
    sandbox.add("inventory/main/group_vars/database.yml", "store_port: 22\n")
    refused("group_vars/database.yml:2: alpha: store_port: is low; take a higher one")


def test_a_refusal_inside_a_variable_has_the_line_inside(sandbox, refused) -> None:
    sandbox.add("inventory/main/group_vars/database.yml", "store_users:\n  one: good\n  two: bad\n")
    refused("group_vars/database.yml:4: alpha: store_users.two: is bad")


def test_a_refusal_at_a_key_that_has_dots_of_its_own_has_its_line(sandbox, refused) -> None:
    sandbox.add("inventory/main/group_vars/database.yml", "store_users:\n  one: good\n  two.service: bad\n")
    refused("group_vars/database.yml:4: alpha: store_users.two.service: is bad")


def test_a_refusal_inside_a_list_has_the_line_of_its_key(sandbox, refused) -> None:
    sandbox.add("inventory/main/group_vars/database.yml", "store_list:\n  - size: 1\n  - name: x\n    size: 0\n")
    refused("group_vars/database.yml:5: alpha: store_list.1.size: is nothing")


def test_rules_know_hardware_and_the_other_hosts(sandbox, refused) -> None:
    sandbox.replace("inventory/main/host_vars/alpha.yml", "memory_gib: 16", "memory_gib: 4")
    refused("group_vars/database.yml:1: alpha: store_mode: is too much here")


def test_a_host_without_the_role_is_not_asked(sandbox) -> None:
    sandbox.add("inventory/main/host_vars/beta.yml", "store_port: 22\n")
    assert not [line for line in sandbox.lines() if "is low" in line]
