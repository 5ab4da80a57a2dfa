# SPDX-License-Identifier: Apache-2.0
"""A host that has just booted, as an installer or a cloud image of Ubuntu leaves it, with stand-ins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleet.paths import LAB_STATE

HOST = "vps"
# apt and dpkg lock as fcntl(2) does, which flock(1) does not see. For as long as another one's upgrade takes.
HOLD_LOCKS = """
import fcntl, time
names = ("apt/lists/lock", "dpkg/lock-frontend", "dpkg/lock")
files = [open(f"/var/lib/{name}", "w") for name in names]
[fcntl.lockf(file, fcntl.LOCK_EX) for file in files]
time.sleep(6)
"""
CLOUD_INIT = """#!/bin/sh
sleep 1
echo "$@" >/run/test-cloud-init
exit 2
"""
SNAP = """#!/bin/sh
file=/run/test-snap-timer
case $1 in
  set) echo "${3#refresh.timer=}" >$file ;;
  get) cat $file 2>/dev/null || { echo 'error: snap "core" has no "refresh.timer" option' >&2; exit 1; } ;;
esac
"""
CLEAN = """
systemctl stop test-locks 2>/dev/null
apt-get purge --quiet --yes hello >/dev/null 2>&1
rm -f /run/test-* /usr/local/bin/cloud-init /usr/local/bin/snap /etc/sudoers.d/90-cloud-init-users
"""


def on_host(command: str, script: str = "") -> str:
    words = ["ssh", "-F", str(LAB_STATE / "ssh_config"), HOST, command]
    return subprocess.run(words, input=script, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def as_installed(play: Callable[..., Any]) -> Iterator[None]:
    for name, text in (("cloud-init", CLOUD_INIT), ("snap", SNAP)):
        on_host(f"sudo install -m 755 /dev/stdin /usr/local/bin/{name}", text)
    # It allows less than the fleet's rule, and sorts behind most names.
    on_host("sudo install -m 440 /dev/stdin /etc/sudoers.d/90-cloud-init-users", "ops ALL=(ALL) NOPASSWD: /bin/true\n")
    on_host("sudo install /dev/stdin /run/test-locks.py", HOLD_LOCKS)
    yield
    on_host("sudo sh -s", CLEAN)
    assert play("base", HOST).rc == 0


@pytest.mark.usefixtures("as_installed")
def test_a_host_that_upgrades_itself_at_its_first_boot_is_waited_for(play: Callable[..., Any]) -> None:
    on_host("sudo systemd-run --quiet --collect --unit=test-locks python3 /run/test-locks.py")
    settings = {"base_packages": ["hello"], "base_held_packages": ["linux-image-", "hello-"]}
    result = play("base", HOST, **settings)
    assert result.rc == 0, result.out
    assert "RETRYING" in result.out, "the locks were held"
    assert "hello" in on_host("dpkg-query --show hello")
    assert on_host("cat /run/test-cloud-init") == "status --wait\n"
    assert on_host("cat /run/test-snap-timer") == "sat,06:00\n"
    assert "changed=0" in play("base", HOST, **settings).out


@pytest.mark.usefixtures("as_installed")
def test_the_fleets_rule_of_sudo_wins_and_no_umask_closes_what_the_plays_make() -> None:
    assert on_host("umask 077; sudo sh -c umask").strip() == "0022"
    assert "NOPASSWD: /bin/true" in on_host("sudo --list")
