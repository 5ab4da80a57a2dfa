# SPDX-License-Identifier: Apache-2.0
"""What the role irq refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import check
from tests.unit.roles.rules_kit import example, lines, refusals


@pytest.mark.parametrize("host", ["station", "ms01", "aibox", "modelserver", "vps"])
def test_the_hosts_of_the_example_pass(host):
    assert lines("irq", host) == []


def test_sensible_rules_pass_and_may_have_isolated_cpus_and_single_threads():
    rules: list[dict[str, Any]] = [
        {"device": "use:lab", "cpus": "3", "spread": True},
        {"device": "nvme*"},
        {"device": "driver:i40e"},
        {"device": "i40e-0000:02:00.0:misc"},
    ]
    assert lines("irq", "ms01", irq_devices=rules) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (
            {"irq_cpus": "0-3"},
            "irq_cpus",
            '"0-3" takes 2-3 of the isolated CPUs; interrupts belong on cpu_sets.irq "0-1"',
        ),
        ({"irq_cpus": "", "irq_devices": []}, "irq_cpus", "is empty, and cpu_isolation isolates 2-11"),
        ({"irq_cpus": "0-1,99"}, "irq_cpus", "names CPUs 99, which the host does not have"),
        ({"irq_cpus": "0"}, "irq_cpus", "splits the sibling threads 0/1 of a core"),
        ({"irq_cpus": "first"}, "irq_cpus", '"first" is no CPU list'),
        ({"irq_devices": [{"device": "use:marekt"}]}, "irq_devices.0.device", "there is no use 'marekt' of a port"),
        ({"irq_devices": [{"device": "use:marekt"}]}, "irq_devices.0.device", "did you mean use:market?"),
        ({"irq_devices": [{"device": "use:market"}]}, "irq_devices.0.device", "has no port for the use market"),
        ({"irq_devices": [{"device": "usr:lab"}]}, "irq_devices.0.device", "did you mean use:lab?"),
        ({"irq_devices": [{"device": "driver:"}]}, "irq_devices.0.device", "names no driver"),
        ({"irq_devices": [{"device": ""}]}, "irq_devices.0.device", "is no device"),
        ({"irq_devices": [{"device": "142"}]}, "irq_devices.0.device", "the next boot may give its number to another"),
        ({"irq_devices": [{"device": "x"}, {"device": "x"}]}, "irq_devices.1.device", "is here twice"),
        ({"irq_devices": [{"device": "x", "cpus": "20"}]}, "irq_devices.0.cpus", "CPU 20 is not in hardware.cpu"),
        ({"irq_devices": [{"device": "x", "cpus": "3-1"}]}, "irq_devices.0.cpus", '"3-1" counts down'),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, key, words):
    (refusal,) = refusals("irq", "ms01", **change)
    assert refusal.key == key
    assert words in str(refusal)
    assert refusal.right


def test_a_rule_needs_cpus_where_interrupts_have_none():
    (line,) = lines("irq", "vps", irq_cpus="", irq_devices=[{"device": "use:uplink"}])
    assert line == "irq_devices.0: has no CPUs, and irq_cpus names none; give it cpus"
    assert lines("irq", "vps", irq_cpus="", irq_devices=[{"device": "use:uplink", "cpus": "1"}]) == []


@given(st.lists(st.fixed_dictionaries({"device": st.text(max_size=12)}, optional={"cpus": st.text(max_size=6)})))
def test_whatever_a_device_is_called_the_rules_answer(devices):
    assert all(refusal.variable == "irq_devices" for refusal in refusals("irq", "ms01", irq_devices=devices))


@pytest.mark.parametrize("text", ["0-1,99", "0-3"])
def test_what_the_checks_of_cpus_say_too_is_said_once(monkeypatch, text):
    fleet = example()
    known = fleet.settings("ms01")
    monkeypatch.setitem(known._raw, "irq_cpus", text)
    monkeypatch.setattr(known, "_rendered", {})
    said = [problem for problem in check.problems(fleet) if problem.key == "irq_cpus"]
    assert len(said) == 1
