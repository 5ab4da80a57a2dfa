# SPDX-License-Identifier: Apache-2.0
"""AF_XDP and io_uring work on this kernel for the engine's user, with what its units get and not with less."""

import re

import pytest

from tests.host.state import unit

SMOKE = "/usr/local/libexec/fleet/xdp-smoke"
DROP_IN = "/etc/systemd/system/{unit}.d/10-xdp.conf"
WEAKER = "/run/systemd/system/xdp-smoke.service.d/90-weaker.conf"
FRAMES = 12288


@pytest.fixture
def weaken(host):
    """Return a function that takes something away from the smoke test's unit until the test has ended."""

    def add(line: str) -> None:
        host.check_output(f"mkdir -p $(dirname {WEAKER})")
        host.check_output(rf"printf '[Service]\n{line}\n' > {WEAKER} && systemctl daemon-reload")

    yield add
    host.check_output(f"rm -f {WEAKER} && systemctl daemon-reload")


@pytest.mark.parametrize("tool", ["xdp-loader", "bpftool", "clang", "llvm-objdump", "ethtool", "make"])
def test_the_toolchain_is_there(host, tool):
    assert host.exists(tool), f"{tool}: declared to be there, not found"


def test_the_engines_user_is_a_system_user_that_nobody_can_log_in_as(host, settings):
    user = host.user(settings["xdp_user"])
    assert 0 < user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    assert {"sudo", "root", "adm"} & set(user.groups) == set(), user.name


def test_the_kernels_number_of_the_io_uring_group_is_that_of_the_engines_group(host, settings):
    group = host.group(settings["xdp_io_uring_group"])
    assert group.gid == settings["xdp_io_uring_gid"]
    assert settings["xdp_io_uring_group"] in host.user(settings["xdp_user"]).groups
    assert int(host.check_output("cat /proc/sys/kernel/io_uring_group")) == group.gid
    assert host.check_output("cat /proc/sys/kernel/io_uring_disabled") == "1"


def test_each_service_gets_the_settings_that_the_smoke_test_proves_and_no_other_unit_does(host, settings):
    units = ["xdp-smoke.service", *settings["xdp_services"]]
    there = host.check_output(f"ls {DROP_IN.format(unit='*.service')}").split()
    assert sorted(there) == sorted(DROP_IN.format(unit=unit) for unit in units)
    assert len({host.file(path).sha256sum for path in there}) == 1


def test_a_process_of_such_a_unit_has_the_capabilities_and_is_not_root(host, settings):
    command = "systemd-run --quiet --wait --pipe --collect --unit=xdp-smoke.service"
    status = host.check_output(
        f"{command} sh -c 'grep -E \"^(Uid|CapEff|CapBnd|NoNewPrivs)\" /proc/self/status; ulimit -l'"
    )
    words = dict(re.findall(r"^(\w+):\s+(\w+)", status, re.MULTILINE))
    assert int(words["Uid"]) == host.user(settings["xdp_user"]).uid
    assert words["NoNewPrivs"] == "1"
    assert status.splitlines()[-1] == "unlimited"
    for field in ("CapEff", "CapBnd"):
        assert int(words[field], 16) == (1 << 39) | (1 << 12) | (1 << 13)  # linux/capability.h: BPF, NET_ADMIN, NET_RAW


def test_numbered_frames_reach_an_af_xdp_socket_complete_and_in_order(host):
    said = host.check_output(f"{SMOKE} veth")
    assert f"skb mode, copy: received {FRAMES} frames in order, none lost" in said
    assert f"driver mode, copy: received {FRAMES} frames in order, none lost" in said
    assert "zero-copy: refused, as it has to be" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CapabilityBoundingSet=~CAP_NET_RAW", "Operation not permitted"),
        ("CapabilityBoundingSet=~CAP_BPF", "the kernel does not load the XDP program"),
        ("CapabilityBoundingSet=~CAP_NET_ADMIN", "the kernel does not load the XDP program"),
        ("LimitMEMLOCK=8M", "the kernel does not register 16 MiB of frames"),
        ("RestrictAddressFamilies=~AF_XDP", "Address family not supported"),
    ],
)
def test_with_anything_less_it_fails_and_leaves_nothing_behind(host, weaken, line, message):
    weaken(line)
    assert message in host.run_expect([1], f"{SMOKE} veth").stderr
    assert "xdp-smoke" not in host.check_output("ip netns list")
    assert unit(host, "xdp-smoke.service").partition(",")[0] != "active", "xdp-smoke.service"


def test_what_a_killed_run_left_behind_does_not_stop_the_next_one(host):
    host.check_output("ip netns add xdp-smoke-rx && ip netns add xdp-smoke-tx")
    host.check_output(f"{SMOKE} veth")
    assert "xdp-smoke" not in host.check_output("ip netns list")


def test_the_engine_may_use_io_uring_and_another_user_may_not(host):
    host.check_output(f"{SMOKE} io-uring")


def test_io_uring_is_refused_when_the_engine_is_not_in_the_group(host, weaken):
    weaken("User=nobody\\nGroup=nogroup")
    assert "the engine is refused" in host.run_expect([1], f"{SMOKE} io-uring").stderr


# Taking a queue of a real card for a moment disturbs whoever uses it.
@pytest.mark.disruptive
def test_the_driver_of_a_lab_card_binds_in_zero_copy_mode(host, settings):
    cards = [card for card in settings["hardware"].get("nics", []) if card["use"] == "lab" and card["driver"] == "i40e"]
    if not cards:
        pytest.skip("no card of this host is for the lab and has a driver with zero-copy mode")
    for card in cards:
        interface = host.check_output(f"ls /sys/bus/pci/devices/{card['pci_slot']}/net").split()[0]
        assert "driver advertises zero-copy: yes" in host.check_output(f"{SMOKE} zero-copy {interface}")
