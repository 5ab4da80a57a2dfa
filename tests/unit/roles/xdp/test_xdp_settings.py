# SPDX-License-Identifier: Apache-2.0
"""What of the role xdp a host cannot have, and which packages it gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.xdp.filter_plugins.xdp_settings import OLDEST, PACKAGES, xdp_drop_in, xdp_host_problems, xdp_packages

KERNEL = "6.12.48+deb13-amd64"


def problems(*host: str, distribution: str = "Debian", version: str = "13.1") -> list[str]:
    return xdp_host_problems(host, distribution, version, "io-uring", 815)


def test_a_fresh_and_a_converged_host_are_accepted():
    assert problems() == []
    assert problems("execution:x:999:999::/nonexistent:/usr/sbin/nologin", "io-uring:x:815:execution") == []


@pytest.mark.parametrize(
    ("distribution", "version", "supported"),
    [
        ("Ubuntu", "22.04", False),
        ("Ubuntu", "24.04", True),
        ("Ubuntu", "26.04", True),
        ("Debian", "12", False),
        ("Debian", "13", True),
        ("Fedora", "44", False),
    ],
)
def test_only_releases_that_have_the_libraries_are_accepted(distribution, version, supported):
    found = problems(distribution=distribution, version=version)
    assert found == [] if supported else found[0].startswith(f"{distribution} {version} has no libxdp")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("postfix:x:815:", "which the host's group postfix has: choose a free number"),
        ("io-uring:x:812:", "the host's group io-uring has number 812: use that, or groupmod"),
        ("root:x:0:0:root:/root:/bin/bash", "xdp_user is root, an account with number 0"),
        ("ops:x:1000:1000::/home/ops:/bin/bash", "the engine needs a system user of its own"),
    ],
)
def test_what_the_host_cannot_have_is_named_in_one_line(host, message):
    (line,) = problems(host)
    assert message in line


def test_packages_of_the_running_kernel_are_wanted_only_where_the_archive_has_them():
    assert f"linux-headers-{KERNEL}" not in xdp_packages([], "Debian", "13", KERNEL)
    assert f"linux-headers-{KERNEL}" in xdp_packages([f"linux-headers-{KERNEL}"], "Debian", "13", KERNEL)
    # apt-cache answers with every name that begins so.
    assert xdp_packages([f"linux-headers-{KERNEL}-unsigned"], "Debian", "13", KERNEL) == xdp_packages(
        [], "Debian", "13", KERNEL
    )


def test_bpftool_comes_from_the_kernel_tools_on_ubuntu_before_it_was_a_package():
    host = ["linux-headers-6.8.0-60-generic", "linux-tools-6.8.0-60-generic"]
    noble = xdp_packages(host, "Ubuntu", "24.04", "6.8.0-60-generic")
    assert {"linux-tools-common", "linux-tools-6.8.0-60-generic", "linux-headers-6.8.0-60-generic"} <= set(noble)
    assert "bpftool" not in noble
    assert "bpftool" in xdp_packages(host, "Ubuntu", "26.04", "7.0.0-1-generic")
    assert "bpftool" in xdp_packages([], "Debian", "13", KERNEL)


@given(
    st.sampled_from(sorted(OLDEST)),
    st.integers(0, 99),
    st.lists(st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True)),
)
def test_every_host_gets_the_toolchain_once_and_nothing_the_archive_did_not_name(distribution, version, host):
    names = xdp_packages(host, distribution, f"{version}.04", KERNEL)
    assert set(PACKAGES) < set(names)
    assert len(names) == len(set(names))
    assert not {name for name in names if KERNEL in name and f"{name}" not in host}


def test_a_drop_in_lies_in_the_folder_of_its_unit():
    assert xdp_drop_in("a@b.service") == {
        "path": "/etc/systemd/system/a@b.service.d/10-xdp.conf",
        "template": "10-xdp.conf.j2",
    }
