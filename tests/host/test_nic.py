# SPDX-License-Identifier: Apache-2.0
"""Each port is as its use wants it, read back by ethtool, now and by the files of the next boot."""

import json
import re

import pytest

from tests.host.state import exposure, kind, unit

TOOL = "/usr/local/libexec/fleet/nic-settings"
UNIT = "fleet-nic.service"
# Setting -> ethtool's option, and the line of its answer. The second half of -g and -l holds the present values.
READ = {
    "rx_ring": ("-g", r"Current hardware settings:.*?^RX:\s+(\w+)"),
    "tx_ring": ("-g", r"Current hardware settings:.*?^TX:\s+(\w+)"),
    "channels": ("-l", r"Current hardware settings:.*?^Combined:\s+(\w+)"),
    "rx_usecs": ("-c", r"^rx-usecs:\s+(\w+)"),
    "tx_usecs": ("-c", r"^tx-usecs:\s+(\w+)"),
    "adaptive_rx": ("-c", r"^Adaptive RX:\s+(\S+)"),
    "adaptive_tx": ("-c", r"^Adaptive RX:.*TX:\s+(\S+)"),
    "ntuple": ("-k", r"^ntuple-filters:\s+(\w+)"),
    "gro": ("-k", r"^generic-receive-offload:\s+(\w+)"),
    "gso": ("-k", r"^generic-segmentation-offload:\s+(\w+)"),
    "lro": ("-k", r"^large-receive-offload:\s+(\w+)"),
    "rx": ("-k", r"^rx-checksumming:\s+(\w+)"),
    "rxvlan": ("-k", r"^rx-vlan-offload:\s+(\w+)"),
    "tso": ("-k", r"tx-tcp-segmentation:\s+(\w+)"),
    "txvlan": ("-k", r"^tx-vlan-offload:\s+(\w+)"),
}


@pytest.fixture(scope="module")
def ports(host):
    """Return the configuration of each port that has one, with its interface's present name."""
    found = json.loads(host.check_output("cat /etc/fleet/nic.json"))["ports"]
    for port in found:
        folder = f"/sys/bus/pci/devices/{port['slot']}"
        paths = host.run(f"ls -d {folder}/net/* {folder}/*/net/* 2>/dev/null").stdout
        (port["interface"],) = [line.rpartition("/")[2] for line in paths.splitlines()]
    return found


def test_every_port_of_the_inventory_is_in_the_machine_with_its_driver(host, settings):
    for nic in settings["hardware"]["nics"]:
        if nic.get("pci_slot"):
            assert kind(host, f"/sys/bus/pci/devices/{nic['pci_slot']}") == "directory", nic["pci_slot"]
        there = host.check_output("cat /sys/class/net/*/device/uevent")
        assert f"DRIVER={nic['driver']}" in there.splitlines()


def test_the_unit_runs_at_boot_and_is_hardened(host):
    assert unit(host, UNIT) == "active, enabled", UNIT
    assert exposure(host, UNIT) <= 2.0, UNIT


def test_each_port_has_the_settings_of_its_use(settings, ports):
    for port in ports:
        use = settings["nic_uses"][port["use"]]
        wanted = {k: v for k, v in use.items() if k not in {"offloads", "filters", "firmware"}} | (
            use.get("offloads") or {}
        )
        assert {key: int(wanted[key]) for key in port["settings"]} == port["settings"]
        left_out = wanted.keys() - port["settings"].keys()
        assert [key for key in left_out if key not in settings["nic_optional"] and wanted[key] is not False] == []


def test_ethtool_reads_back_every_setting(host, ports):
    compared = 0
    for port in ports:
        for key, want in port["settings"].items():
            if key == "mtu":
                found = host.check_output(f"cat /sys/class/net/{port['interface']}/mtu")
            else:
                option, pattern = READ[key]
                text = host.check_output(f"ethtool {option} {port['interface']}")
                (found,) = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
            assert str({"on": 1, "off": 0}.get(found, found)) == str(want), f"{key} of {port['interface']}"
            compared += 1
    print(f"compared {compared} settings")
    assert compared or not ports, "no setting was compared"


def test_the_tool_finds_nothing_to_do(host):
    host.check_output(f"{TOOL} check")


def test_each_port_has_a_link_file_that_matches_it_and_keeps_its_name(host, ports):
    # The stock policy, or what another file said before ours: never one that names the port anew.
    files = host.run("ls /etc/systemd/network/05-fleet-*.link 2>/dev/null").stdout.split()
    assert len(files) == sum(bool(port["settings"]) for port in ports)
    for port in ports:
        if not port["settings"]:
            continue
        (file,) = [name for name in files if name.endswith(f"-{re.sub('[:.]', '-', port['slot'])}.link")]
        text = host.file(file).content_string
        path = host.check_output(
            f"udevadm info --query=property --property=ID_PATH --value /sys/class/net/{port['interface']}"
        )
        assert f"\nPath={path}\n" in text
        names = re.findall(r"^(NamePolicy|Name=.*)", text, re.MULTILINE)
        assert names == (["NamePolicy"] if "NamePolicy" in names else [f"Name={port['interface']}"]), file


def test_udev_understands_every_line_of_the_link_files(host, ports):
    # The dry run of udev's own builtin says which file counts, and complains about lines that it does not know.
    for port in ports:
        if port["settings"]:
            said = host.run(f"udevadm test-builtin --action=change net_setup_link /sys/class/net/{port['interface']}")
            text = said.stdout + said.stderr
            assert "05-fleet-" in text
            assert re.findall(r".*05-fleet-\S+:\d+: .*", text) == []


def test_after_a_boot_udev_has_applied_our_file_and_the_name_is_the_old_one(host, ports):
    for port in ports:
        if not port["settings"]:
            continue
        written = host.check_output(
            f"stat -c %Y /etc/systemd/network/05-fleet-{port['use']}-*.link | sort -n | tail -1"
        )
        booted = host.check_output("stat -c %Y /proc/1")
        if int(written) > int(booted):
            pytest.skip("this host has not booted since the file was written")
        udev = host.check_output(f"udevadm info --query=property /sys/class/net/{port['interface']}")
        assert "/05-fleet-" in dict(line.partition("=")[::2] for line in udev.splitlines())["ID_NET_LINK_FILE"]


@pytest.mark.disruptive
def test_a_setting_that_somebody_changed_comes_back_when_the_unit_starts(host, ports):
    for port in ports:
        if "mtu" in port["settings"]:
            file = f"/sys/class/net/{port['interface']}/mtu"
            host.check_output(f"ip link set dev {port['interface']} mtu {port['settings']['mtu'] - 100}")
            host.check_output(f"systemctl restart {UNIT}")
            assert int(host.check_output(f"cat {file}")) == port["settings"]["mtu"]
            return
    pytest.skip("no port of this host has a setting that can be changed without a risk")
