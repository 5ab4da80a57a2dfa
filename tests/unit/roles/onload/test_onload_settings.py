# SPDX-License-Identifier: Apache-2.0
"""What the role onload refuses, each in one line, and what it writes for units and profiles."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.onload.filter_plugins.onload_settings import (
    PLAIN_WORD,
    onload_exec,
    onload_files,
    onload_on_host,
    onload_package_problems,
    onload_problems,
    onload_profile,
    onload_profile_problems,
    onload_release,
)

SETTINGS = {
    "distribution": "Ubuntu",
    "version": "24.04",
    "onload_adapters": ["1924:*"],
    "onload_services": {"station@execution.service": "latency"},
    "onload_profiles": {},
}
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


def problems(settings=None, **host) -> list[str]:
    return onload_problems(SETTINGS | (settings or {}), HOST | host)


@pytest.fixture
def pinned(tmp_path):
    """Return the pair of packages as onload_packages names them."""
    entries = []
    for name in ("onload-user_9.2.1_amd64.deb", "onload-dkms_9.2.1_all.deb"):
        (tmp_path / name).write_bytes(name.encode())
        entries.append({"file": str(tmp_path / name), "sha256": hashlib.sha256(name.encode()).hexdigest()})
    return entries


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
    found = problems({"distribution": distribution, "version": version})
    assert found == [] if supported else "is not supported by Onload 9.2" in found[0]


def test_secure_boot_with_an_enrolled_key_is_accepted():
    assert problems(secure_boot=True, signing_key_enrolled=True) == []


def test_several_problems_are_all_named():
    assert len(problems(realtime=True, pci=[], headers="")) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"onload_services": {"x.service": "fast"}}, "onload_services.x.service is 'fast'"),
        ({"onload_services": {"execution": "latency"}}, "onload_services names 'execution': the full name"),
        ({"onload_profiles": {"latency": {}}}, "onload_profiles.latency: an own profile is named fleet-"),
        ({"onload_profiles": {"fleet-x": {"based_on": "fast"}}}, "onload_profiles.fleet-x.based_on is 'fast'"),
        (
            {"onload_profiles": {"fleet-x": {"settings": {"LD_PRELOAD": "x"}}}},
            "LD_PRELOAD=x is not a setting of Onload",
        ),
        ({"onload_profiles": {"fleet-x": {"settings": {"EF_NAME": "a; reboot"}}}}, "EF_NAME=a; reboot is not"),
    ],
)
def test_a_profile_or_unit_that_cannot_work_is_refused_in_one_line(settings, message):
    found = onload_profile_problems(SETTINGS | settings, SHIPPED)
    assert len(found) == 1
    assert message in found[0]


def test_names_of_profiles_are_not_checked_before_anything_ships_them():
    assert onload_profile_problems(SETTINGS | {"onload_services": {"x.service": "fast"}}, []) == []


def test_no_files_are_no_problem_and_the_pinned_pair_is_accepted(pinned):
    assert onload_package_problems([]) == []
    assert onload_package_problems(pinned) == []


def test_a_file_that_is_missing_altered_or_badly_pinned_is_refused(pinned, tmp_path):
    user, dkms = pinned
    (tmp_path / "onload-dkms_9.2.1_all.deb").write_bytes(b"altered")
    assert "it is not the file that was approved" in onload_package_problems([user, dkms])[0]
    (tmp_path / "onload-dkms_9.2.1_all.deb").unlink()
    assert "is no file on the control machine" in onload_package_problems([user, dkms])[0]
    assert "64 lower-case hexadecimal digits" in onload_package_problems([user | {"sha256": "abc"}, dkms])[0]


def test_only_a_pair_of_packages_or_one_source_release_is_taken(pinned, tmp_path):
    assert "takes the two packages onload-user and onload-dkms" in onload_package_problems(pinned[:1])[0]
    assert "takes the two packages" in onload_package_problems([pinned[0], pinned[0]])[0]
    source = tmp_path / "onload-9.2.1.tgz"
    source.write_bytes(b"source")
    entry = {"file": str(source), "sha256": hashlib.sha256(b"source").hexdigest()}
    assert onload_package_problems([entry]) == []
    assert "takes the two packages" in onload_package_problems([entry, *pinned])[0]


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


def test_files_keep_their_names_and_pins_on_the_host(pinned):
    there = onload_on_host(pinned, "/var/lib/x")
    assert [entry["path"] for entry in there] == [
        "/var/lib/x/onload-user_9.2.1_amd64.deb",
        "/var/lib/x/onload-dkms_9.2.1_all.deb",
    ]
    assert [entry["sha256"] for entry in there] == [entry["sha256"] for entry in pinned]


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
    files = onload_files({"b.service": "fleet-x", "a.service": "latency"}, {"fleet-x": {}}, "[Service]\n")
    assert [file["path"] for file in files] == [
        "/usr/libexec/onload/profiles/fleet-x.opf",
        "/etc/systemd/system/a.service.d/10-onload.conf",
        "/etc/systemd/system/b.service.d/10-onload.conf",
    ]
