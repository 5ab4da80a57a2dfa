# SPDX-License-Identifier: Apache-2.0
"""Package sources move from an older layout to the declared one, and a mistake in them can be taken back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from fleet.paths import LAB_INVENTORY, LAB_STATE

HOST = "laptop"
# One-line sources of the distribution in both places, and a vendor's file under the name another tool gave it.
OLDER_LAYOUT = """
set -e
printf 'deb [signed-by=/etc/apt/trusted-old.gpg] MIRROR %s main\\n' "$(. /etc/os-release; echo $VERSION_CODENAME)" \
  | tee /etc/apt/sources.list >/etc/apt/sources.list.d/debian.list
cd /etc/apt/sources.list.d
printf 'deb [signed-by=/etc/apt/trusted-old.gpg] https://vendor.invalid stable main\\n' >vendor_invalid.list
cp /usr/share/keyrings/debian-archive-keyring.gpg /etc/apt/trusted-old.gpg
"""


def on_host(script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = ["ssh", "-F", str(LAB_STATE / "ssh_config"), HOST, "sudo", "sh", "-s"]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=check)


@pytest.fixture
def sources() -> list[dict[str, Any]]:
    local = yaml.safe_load((LAB_INVENTORY / "local.yml").read_text())["all"]["vars"]
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    main = {"name": "debian", "suites": ["{release}"], "components": ["main"], "signed_by": key}
    security = main | {"suites": ["{release}-security"], "uris": [local["lab_apt_security_mirror"]]}
    return [main | {"uris": [local["lab_apt_mirror"]], "replaces": ["vendor_invalid.list"]}, security]


@pytest.fixture(autouse=True)
def as_declared(play: Callable[..., Any]) -> Iterator[None]:
    yield
    on_host("rm -f /etc/apt/trusted-old.gpg /etc/apt/sources.list.d/vendor_invalid.list")
    assert play("base", HOST).rc == 0


def test_an_older_layout_is_replaced_and_apt_has_nothing_to_say(
    play: Callable[..., Any], sources: list[dict[str, Any]]
) -> None:
    on_host(OLDER_LAYOUT.replace("MIRROR", sources[0]["uris"][0]))
    assert on_host("apt-get update", check=False).returncode != 0, "two forms of one source stop apt: the case at hand"

    assert play("base", HOST, base_apt_sources=sources).rc == 0

    assert on_host("ls /etc/apt/sources.list.d").stdout.split() == ["debian.sources"]
    assert on_host("grep -v '^#' /etc/apt/sources.list", check=False).stdout == ""
    update = on_host("apt-get update --quiet -o APT::Update::Error-Mode=any")
    assert not [line for line in update.stderr.splitlines() if line.startswith(("W:", "E:"))]


def test_a_source_that_cannot_be_read_is_named_and_the_next_run_recovers(
    play: Callable[..., Any], sources: list[dict[str, Any]]
) -> None:
    wrong = sources[0] | {"suites": ["no-such-suite"]}
    result = play("base", HOST, base_apt_sources=[wrong, sources[1]])
    assert result.rc != 0
    assert "file set apt is written, not in effect" in result.out
    assert "no-such-suite" in result.out

    assert play("base", HOST).rc == 0
    assert on_host("apt-get update -o APT::Update::Error-Mode=any", check=False).returncode == 0


def test_an_archive_that_another_file_describes_differently_is_refused_before_apt_is_broken(
    play: Callable[..., Any], sources: list[dict[str, Any]]
) -> None:
    other = "/etc/apt/sources.list.d/vendor_invalid.list"
    on_host(f"echo 'deb [signed-by=/etc/apt/trusted-old.gpg] https://vendor.invalid/ stable main' >{other}")
    vendor = {"name": "vendor", "uris": ["https://vendor.invalid"], "suites": ["stable"], "components": ["main"]}
    for check in (True, False):
        result = play(
            "base", HOST, check=check, base_apt_sources=[*sources[1:], vendor | {"signed_by": "/etc/new.gpg"}]
        )
        assert result.rc != 0
        words = " ".join(result.out.split())
        assert f"it is in /etc/apt/sources.list.d/vendor.sources and {other}: name the older file" in words
        assert on_host("ls /etc/apt/sources.list.d").stdout.split() == ["debian.sources", "vendor_invalid.list"]
    assert on_host("apt-get indextargets", check=False).returncode == 0
