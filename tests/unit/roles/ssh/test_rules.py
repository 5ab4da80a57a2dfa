# SPDX-License-Identifier: Apache-2.0
"""What the role ssh refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.rules_kit import lines, refusals


def test_the_example_passes() -> None:
    assert lines("ssh", host="vps") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ssh_allow_groups": []}, "is empty"),
        ({"ssh_ciphers": []}, "is empty"),
        ({"ssh_macs": ["hmac sha2"]}, "'hmac sha2' has a letter"),
        ({"ssh_allow_groups": ["wheel"]}, "the administrator ops is in none of wheel"),
        ({"ssh_port": 70000, "ansible_port": 70000}, "70000 is no TCP port"),
        ({"ssh_port": 0}, "0 is no TCP port"),
        ({"ssh_port": 2222}, "will not listen on 22, where the next connection goes to"),
        ({"ssh_transition_port": 22}, "is ssh_port itself"),
        ({"ssh_listen_addresses": ["10.10.0.300"]}, "'10.10.0.300' is no IP address"),
        ({"ssh_penalty_exempt_sources": ["lan"]}, "neither an address nor a network"),
        ({"ssh_rollback_timeout": 5}, "5 s are too short"),
        ({"ssh_login_grace_time": 0}, "no limit"),
        ({"ssh_max_startups": "many"}, "no start:rate:full"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_its_key(change: dict[str, Any], words: str) -> None:
    found = refusals("ssh", host="vps", **change)
    assert [refusal for refusal in found if words in refusal.wrong and refusal.variable == next(iter(change))], found


def test_a_move_to_another_port_passes_step_by_step() -> None:
    assert lines("ssh", host="vps", ssh_port=2222, ssh_transition_port=22) == []
    assert lines("ssh", host="vps", ssh_port=2222, ssh_transition_port=22, ansible_port=2222) == []
    assert lines("ssh", host="vps", ssh_port=2222, ansible_port=2222) == []


@pytest.mark.parametrize("address", ["127.0.0.2", "localhost"])
def test_the_port_of_a_tunnel_is_not_one_of_the_host(address: str) -> None:
    assert lines("ssh", host="vps", ansible_host=address, ansible_port=2210) == []
