# SPDX-License-Identifier: Apache-2.0
"""What the role kernel refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.check.roles import located
from tests.unit.roles.rules_kit import Told, example, lines, refusals

CARD = {"model": "RTX PRO 6000", "architecture": "blackwell", "vram_gib": 96}


def hardware(host: str = "ms01", **changes: Any) -> dict[str, Any]:
    return {**example().settings(host)["hardware"], **changes}


@pytest.mark.parametrize("host", ["station", "ms01", "aibox", "modelserver", "vps"])
def test_the_hosts_of_the_example_pass(host):
    assert lines("kernel", host) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernel_confirm_minutes": 5}, "5 is out of range; write a number from 15 to 120"),
        ({"kernel_confirm_minutes": 121}, "121 is out of range"),
        ({"kernel_idle_latency_us": -1}, "-1 is out of range; write a number from 0 to 1000000"),
        ({"kernel_arguments": ["quiet", "idle=poll"]}, "idle=poll switches Turbo off on Intel"),
        ({"kernel_arguments": ["quiet", "quiet"]}, "quiet is the second quiet"),
        ({"kernel_arguments": ["a b"]}, "is no argument that passes the shell and GRUB unchanged"),
        ({"kernel_version": "linux-image-6.8.0"}, "is no release of a kernel; write it as uname -r prints it"),
        ({"kernel_version": "6.12.1-rt-amd64"}, "is a realtime kernel, and kernel_flavour is generic"),
        ({"kernel_hugepages": [{"size": "2M", "count": 30000}]}, "takes 60000 MiB, more than 80 % of the host"),
        ({"kernel_hugepages": [{"size": "1G", "count": 1, "node": 3}]}, "node 3 does not exist"),
        ({"kernel_hugepages_group": "huge pages"}, "'huge pages' is no name of an account"),
        ({"kernel_hugepages_group": "root"}, "root may do everything anyhow"),
        ({"kernel_profile": "cloud"}, "cloud isolates no CPUs, and cpu_isolation wants 2-11"),
        ({"cpu_isolation": {"cpus": "0-3"}}, "takes CPU 0"),
        ({"cpu_isolation": {"housekeeping_cores": 9}}, "9 leaves none of the 6 performance cores to isolate"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, words):
    (refusal,) = refusals("kernel", "ms01", **change)
    assert words in str(refusal)
    assert refusal.variable == next(iter(change))
    assert refusal.right


def test_an_empty_wish_of_isolation_isolates_nothing():
    assert lines("kernel", "ms01", cpu_isolation={}) == []
    assert lines("kernel", "ms01", cpu_isolation={}, kernel_profile="cloud") == []


def test_realtime_is_refused_where_nvidias_driver_has_to_build_and_only_there():
    (line,) = lines("kernel", "ms01", kernel_flavour="realtime", hardware=hardware(gpus=[CARD]))
    assert line.startswith("kernel_flavour: NVIDIA's driver does not build for a realtime kernel (RTX PRO 6000)")
    assert lines("kernel", "ms01", kernel_flavour="realtime") == []
    apple = CARD | {"architecture": "apple"}
    assert lines("kernel", "ms01", kernel_flavour="realtime", hardware=hardware(gpus=[apple])) == []


def test_an_argument_that_a_role_declares_and_the_policy_repeats_is_refused_once(monkeypatch):
    def declared(_self: Any, noun: str, _host: str) -> dict[str, Any]:
        return {"nic": ["pci=noaer"], "xdp": "no list"} if noun == "kernel_arguments" else {}

    monkeypatch.setattr(Told, "declared", declared)
    assert lines("kernel", "ms01", kernel_arguments=["pci=nomsi"]) == [
        "kernel_arguments.0: pci=nomsi is the second pci, nic_kernel_arguments has one; keep one of them"
    ]


def test_a_description_of_the_machine_that_is_wrong_is_left_to_its_own_check():
    wrong = hardware(cpu={"model": "x", "performance_cpus": "3-1", "threads_per_core": 2})
    assert lines("kernel", "ms01", hardware=wrong) == []
    assert lines("kernel", "ms01", hardware={"memory_gib": "plenty"}) == []
    assert lines("irq", "ms01", hardware={"memory_gib": "plenty"}) == []


@pytest.mark.parametrize("wish", ["all", {"housekeping_cores": 1}, {"class": "fast"}])
def test_a_wish_of_another_shape_is_left_to_the_checks_of_names_and_values(wish):
    assert lines("kernel", "ms01", cpu_isolation=wish) == []


def test_a_refusal_inside_a_list_is_placed_at_its_line():
    fleet = example()
    (refusal,) = refusals("kernel", "ms01", kernel_hugepages=[{"size": "2M", "count": 30000}])
    place = located(fleet, "ms01", refusal).place
    assert place.file.name == "hft.yml"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("kernel_arguments", "kernel_hugepages", "kernel_version", "kernel_flavour", "cpu_isolation", "hardware")


@given(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=3))
def test_whatever_a_variable_holds_the_rules_answer(changes):
    assert all(refusal.key and refusal.right for refusal in refusals("kernel", "ms01", **changes))
