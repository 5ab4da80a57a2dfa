# SPDX-License-Identifier: Apache-2.0
"""On which hosts the role onload refuses to work, and what it writes for units and profiles."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.onload.filter_plugins.onload_settings import (
    onload_exec,
    onload_files,
    onload_host_problems,
    onload_on_host,
    onload_profile,
    onload_release,
    onload_unknown_profiles,
)
from roles.onload.rules import PLAIN_WORD

HOST = {
    "kernel": "6.8.0-60-generic",
    "realtime": False,
    "headers": "archive",
    "pci": ["8086:1572", "1924:0b03"],
    "secure_boot": False,
    "signing_key_enrolled": False,
    "preloads": [],
    "leftovers": [],
    "profiles": [],
}
SHIPPED = ["latency", "latency-best", "safe"]


def problems(distribution: str = "Ubuntu", version: str = "24.04", **host) -> list[str]:
    return onload_host_problems(HOST | host, distribution, version, ["1924:*"])


def test_the_station_is_accepted_before_and_after_the_installation():
    assert problems() == []
    assert problems(profiles=SHIPPED, headers="installed") == []


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"kernel": "5.10.0-28-amd64"}, "kernel 5.10.0-28-amd64 is outside 5.11 to 7.0"),
        ({"kernel": "7.1.0-5-generic"}, "kernel 7.1.0-5-generic is outside 5.11 to 7.0"),
        ({"realtime": True}, "is a PREEMPT_RT kernel"),
        (
            {"headers": ""},
            "the headers of the running kernel 6.8.0-60-generic are neither installed nor in the archive",
        ),
        ({"pci": ["8086:1572", "1a03:1924"]}, "the host has no card for Onload (PCI id 1924:*)"),
        ({"secure_boot": True}, "Secure Boot is on and no enrolled key signs what DKMS builds"),
        ({"preloads": ["/etc/ld.so.preload: libonload.so"]}, "/etc/ld.so.preload: libonload.so: a global preload"),
        ({"leftovers": ["/opt/onload"]}, "/opt/onload is left of an installation by onload_install"),
    ],
)
def test_a_host_on_which_it_cannot_work_is_refused_in_one_line(host, message):
    found = problems(**host)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("kernel", ["5.11.0-49-generic", "6.12.48+deb13-amd64", "7.0.9-1-generic"])
def test_the_ends_of_the_range_of_kernels_belong_to_it(kernel):
    assert problems(kernel=kernel) == []


@pytest.mark.parametrize(
    ("distribution", "version", "supported"),
    [
        ("Ubuntu", "22.04", False),
        ("Ubuntu", "26.04", True),
        ("Debian", "13.1", True),
        ("Debian", "11", False),
        ("Fedora", "44", False),
    ],
)
def test_only_systems_of_the_release_notes_are_accepted(distribution, version, supported):
    found = problems(distribution, version)
    assert found == [] if supported else "is not supported by Onload 9.2" in found[0]


def test_secure_boot_with_an_enrolled_key_is_accepted():
    assert problems(secure_boot=True, signing_key_enrolled=True) == []


def test_several_problems_are_all_named():
    assert len(problems(realtime=True, pci=[], headers="")) == 3


@pytest.mark.parametrize(
    ("services", "own", "message"),
    [
        ({"x.service": "fast"}, {}, "onload_services.x.service is 'fast': /usr/libexec/onload/profiles has latency, "),
        ({}, {"fleet-x": {"based_on": "fast"}}, "onload_profiles.fleet-x.based_on is 'fast'"),
    ],
)
def test_a_profile_that_the_release_does_not_ship_is_named_once_there_is_one(services, own, message):
    (line,) = onload_unknown_profiles(SHIPPED, services, own)
    assert message in line
    assert onload_unknown_profiles([], services, own) == []


def test_profiles_that_are_shipped_or_described_are_known():
    own = {"fleet-x": {"based_on": "latency"}}
    assert onload_unknown_profiles(SHIPPED, {"x.service": "fleet-x", "y.service": "safe"}, own) == []


@given(
    st.lists(
        st.binary(min_size=1, max_size=4).map(lambda data: hashlib.sha256(data).hexdigest()), unique=True, min_size=1
    )
)
def test_a_release_is_named_by_its_checksums_whatever_their_order(checksums):
    entries = [{"file": f"/x/{number}", "sha256": checksum} for number, checksum in enumerate(checksums)]
    name = onload_release(entries)
    assert name == onload_release(list(reversed(entries)))
    assert name != onload_release([*entries, {"file": "/x/y", "sha256": "0" * 64}])
    assert len(name) == 16


def test_files_keep_their_names_and_pins_on_the_host():
    pinned = [{"file": "/here/onload-user_9.2.1_amd64.deb", "sha256": "a"}]
    there = [{"path": "/var/lib/x/onload-user_9.2.1_amd64.deb", "sha256": "a"}]
    assert onload_on_host(pinned, "/var/lib/x") == there


def test_only_a_named_unit_starts_through_the_wrapper():
    assert onload_exec({"a.service": "latency"}, "a.service") == "/usr/bin/onload --profile=latency "
    assert onload_exec({"a.service": "latency"}, "b.service") == ""


@given(
    st.dictionaries(
        st.from_regex(r"EF_[A-Z]{1,8}", fullmatch=True),
        st.one_of(st.integers(0), st.from_regex(PLAIN_WORD, fullmatch=True)),
    )
)
def test_own_settings_stand_before_the_profile_they_refine(settings):
    lines = onload_profile({"settings": settings, "based_on": "latency"}).splitlines()
    assert lines[-1] == "onload_import latency"
    assert lines[1:-1] == [f"onload_set {key} {settings[key]}" for key in sorted(settings)]


def test_each_unit_gets_a_drop_in_and_each_own_profile_a_file():
    files = onload_files({"b.service": "fleet-x", "a.service": "latency"}, {"fleet-x": {}})
    assert [file["path"] for file in files] == [
        "/usr/libexec/onload/profiles/fleet-x.opf",
        "/etc/systemd/system/a.service.d/10-onload.conf",
        "/etc/systemd/system/b.service.d/10-onload.conf",
    ]
