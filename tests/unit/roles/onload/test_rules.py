# SPDX-License-Identifier: Apache-2.0
"""What the role onload refuses of its variables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.roles.rules_kit import example, lines, refusals

UNIT = "station@execution.service"


def pin(path: Path, content: bytes) -> dict[str, str]:
    path.write_bytes(content)
    return {"file": str(path), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def pinned(tmp_path):
    """Return the pair of packages as onload_packages names them."""
    return [
        pin(tmp_path / name, name.encode()) for name in ("onload-user_9.2.1_amd64.deb", "onload-dkms_9.2.1_all.deb")
    ]


def test_no_files_are_no_problem_and_the_pinned_pair_and_a_source_release_pass(pinned, tmp_path):
    assert lines("onload") == []
    assert lines("onload", onload_packages=pinned, onload_services={UNIT: "latency"}) == []
    assert lines("onload", onload_packages=[pin(tmp_path / "onload-9.2.1.tgz", b"source")]) == []


def test_a_file_that_is_missing_altered_or_badly_pinned_is_refused_at_its_entry(pinned, tmp_path):
    user, dkms = pinned
    for changed, key, words in (
        (dkms | {"sha256": "abc"}, "onload_packages.1.sha256", "'abc' is no SHA-256"),
        (dkms | {"sha256": dkms["sha256"].upper()}, "onload_packages.1.sha256", "lower-case"),
        (dkms | {"sha256": "0" * 64}, "onload_packages.1.file", "it is not the file that was approved"),
        (
            dkms | {"file": str(tmp_path / "gone" / "onload-dkms_9.2.1_all.deb")},
            "onload_packages.1.file",
            "No such file",
        ),
    ):
        (refusal,) = refusals("onload", onload_packages=[user, changed])
        assert refusal.key == key
        assert words in str(refusal)


def test_only_a_pair_of_packages_or_one_source_release_is_taken(pinned, tmp_path):
    source = pin(tmp_path / "onload-9.2.1.tgz", b"source")
    for packages in (pinned[:1], [pinned[0], pinned[0]], [source, *pinned], [source | {"file": str(tmp_path)}]):
        (line,) = lines("onload", onload_packages=packages)
        assert "give onload-user and onload-dkms (.deb), or one source release (.tgz)" in line


def test_a_host_that_has_no_card_or_a_realtime_kernel_is_refused(pinned):
    known = example().settings("station")["hardware"]
    (line,) = lines("onload", onload_packages=pinned, hardware={**known, "nics": []})
    assert "hardware.nics has no card for Onload (PCI id 1924:*)" in line
    (line,) = lines("onload", onload_packages=pinned, kernel_flavour="realtime")
    assert "write kernel_flavour: generic" in line
    assert lines("onload", hardware={**known, "nics": []}, kernel_flavour="realtime") == []


def own(**profiles: Any) -> dict[str, Any]:
    return {"onload_profiles": {name.replace("_", "-"): profile for name, profile in profiles.items()}}


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"onload_adapters": ["1924"]}, "onload_adapters.0", "'1924' is no PCI id"),
        ({"onload_adapters": ["1924:0B03"]}, "onload_adapters.0", "write vendor:device as `lspci -n` prints it"),
        (own(latency={}), "onload_profiles.latency", "name an own profile fleet-..."),
        (own(fleet_x="fast"), "onload_profiles.fleet-x", "is no description of a profile"),
        (own(fleet_x={"setings": {}}), "onload_profiles.fleet-x.setings", "is an unknown key"),
        (own(fleet_x={"settings": ["EF_POLL"]}), "onload_profiles.fleet-x.settings", "is no dictionary"),
        (
            own(fleet_x={"settings": {"LD_PRELOAD": "x"}}),
            "onload_profiles.fleet-x.settings.LD_PRELOAD",
            "not a setting",
        ),
        (own(fleet_x={"settings": {"EF_NAME": "a; b"}}), "onload_profiles.fleet-x.settings.EF_NAME", "no plain value"),
        (own(fleet_x={"settings": {"EF_TCP": True}}), "onload_profiles.fleet-x.settings.EF_TCP", "such as 1"),
        (own(fleet_x={"based_on": "fleet-y"}), "onload_profiles.fleet-x.based_on", "there is no profile fleet-y"),
        (own(fleet_x={"based_on": "fleet-x"}), "onload_profiles.fleet-x.based_on", "fleet-x -> fleet-x"),
        (own(fleet_x={"based_on": "a b"}), "onload_profiles.fleet-x.based_on", "'a b' is no name of a profile"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, key, words):
    (refusal,) = refusals("onload", **change)
    assert refusal.key == key
    assert words in str(refusal)
    assert refusal.right


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({"execution": "latency"}, "'execution' is no service"),
        ({"fleet-kernel.service": "latency"}, "is a unit of the role kernel"),
        ({UNIT: "fleet-x"}, "there is no profile fleet-x"),
        ({UNIT: ""}, "'' is no name of a profile"),
        ({UNIT: 3}, "3 is no name of a profile"),
    ],
)
def test_a_service_that_cannot_run_under_onload_is_refused(pinned, services, words):
    (line,) = lines("onload", onload_packages=pinned, onload_services=services)
    assert words in line


def test_units_without_files_are_refused():
    (line,) = lines("onload", onload_services={UNIT: "latency"})
    assert line.startswith("onload_services: names units, and onload_packages no files")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["onload_profiles", "onload_services", "onload_adapters", "onload_packages"]), ANY)
)
def test_whatever_the_variables_hold_the_rules_answer(changes):
    assert all(refusal.variable.startswith("onload_") and refusal.right for refusal in refusals("onload", **changes))
