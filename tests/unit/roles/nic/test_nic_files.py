# SPDX-License-Identifier: Apache-2.0
"""How nic-settings touches ports: only what differs, in order, and never a link that does not come back."""

import ctypes
import errno
import importlib
import json
import os
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.paths import PROJECT

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(PROJECT / "roles/nic/files"))
    ne = importlib.import_module("nic_ethtool")
    ns = importlib.import_module("nic_settings")

ETH = "eth7"
SLOT = "0000:02:00.0"


class FakePorts:
    """Ports in memory; `rounds` is what the driver makes of a value, `lost` a setting that costs the link."""

    def __init__(self, ports: dict[str, dict[str, int]], lost: str = "", refuses: str = "", rounds: Any = None) -> None:
        self.ports, self.lost, self.refuses, self.rounds = ports, lost, refuses, rounds or {}
        self.up, self.writes = True, list[tuple[str, int]]()

    def by_slot(self) -> dict[str, list[str]]:
        return {SLOT: list(self.ports), "0000:00:03.0": ["eth0"]}

    def settings(self, name: str) -> dict[str, dict[str, int]]:
        return {key: {"value": value} for key, value in self.ports[name].items()}

    def carrier(self, _name: str) -> bool:
        return self.up

    def _put(self, name: str, key: str, value: int) -> None:
        if key == self.refuses:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        self.writes.append((key, value))
        self.ports[name][key] = self.rounds.get(value, value)
        self.up = key != self.lost or value == 9

    def set_numbers(self, name: str, _message: int, values: dict[str, int]) -> None:
        for key, value in values.items():
            self._put(name, key, value)

    def set_offload(self, name: str, key: str, on: bool) -> None:
        self._put(name, key, int(on))

    def set_mtu(self, name: str, mtu: int) -> None:
        self._put(name, "mtu", mtu)


class FakeEthtool:
    """Filters of one interface by location."""

    def __init__(self, refuses: str = "") -> None:
        self.rules, self.calls = dict[int, list[str]](), list[list[str]]()
        self.refuses = refuses

    def __call__(self, words: Sequence[str]) -> tuple[int, str]:
        self.calls.append(list(words))
        if words[1] == "-n":
            return int(int(words[4]) not in self.rules), ""
        if words[3] == "delete":
            del self.rules[int(words[4])]
        elif self.refuses and self.refuses in words:
            return 1, "rmgr: Cannot insert RX class rule: Operation not supported"
        else:
            self.rules[int(words[-1])] = list(words[3:-2])
        return 0, ""


def port(filters: Sequence[str] = (), **settings: int) -> Any:
    return ns.Port(SLOT, "lab", settings, tuple(filters))


@pytest.fixture
def converge(tmp_path):
    """Return `converge(wanted, ports, ethtool=…, write=…)`, which gives what was told and what went wrong."""

    def run(wanted, ports, ethtool=None, write=True):
        filters = ns.Filters(tmp_path / "filters.json", ethtool or FakeEthtool())
        setter = ns.Setter(ports, filters, write, seconds=0.0, pause=0.0)
        ns.converge(wanted, ports, setter, "eth0")
        return setter.lines, setter.errors

    return run


def test_only_what_differs_is_written_queues_before_what_lies_on_them(converge):
    now = {"mtu": 9000, "channels": 20, "rx_ring": 512, "rx_usecs": 50, "adaptive_rx": 1, "gro": 1, "ntuple": 1}
    ports = FakePorts({ETH: now})
    wanted = port(mtu=1500, channels=4, rx_ring=512, rx_usecs=0, adaptive_rx=0, gro=0, ntuple=1)
    lines, errors = converge([wanted], ports)
    assert errors == []
    assert ports.writes == [("channels", 4), ("rx_usecs", 0), ("adaptive_rx", 0), ("gro", 0), ("mtu", 1500)]
    assert "lab eth7 channels: 20 -> 4" in lines
    assert converge([wanted], ports) == ([], [])
    assert len(ports.writes) == 5


def test_check_tells_the_same_and_writes_nothing(converge):
    ports = FakePorts({ETH: {"mtu": 9000}})
    assert converge([port(mtu=1500)], ports, write=False) == (["lab eth7 mtu: 9000 -> 1500"], [])
    assert ports.writes == []


def test_a_link_that_does_not_return_gets_its_old_value_back_and_is_an_error(converge):
    ports = FakePorts({ETH: {"channels": 9}}, lost="channels")
    _, errors = converge([port(channels=4)], ports)
    assert ports.writes == [("channels", 4), ("channels", 9)]
    assert errors == ["eth7: the link did not return in 0 s after channels 4: put back"]


def test_nobody_waits_for_a_link_that_was_down_before(converge):
    class Down(FakePorts):
        def carrier(self, _name: str) -> bool:
            return False

    ports = Down({ETH: {"channels": 9, "mtu": 9000}})
    assert converge([port(channels=4, mtu=1500)], ports)[1] == []
    assert ports.ports[ETH] == {"channels": 4, "mtu": 1500}


def test_a_value_that_the_driver_refuses_is_named_and_the_others_are_set(converge):
    ports = FakePorts({ETH: {"channels": 9, "mtu": 9000}}, refuses="channels")
    _, errors = converge([port(channels=4, mtu=1500)], ports)
    assert errors == ["eth7: the driver refuses channels 4: Operation not supported"]
    assert ports.ports[ETH]["mtu"] == 1500


def test_a_value_that_the_driver_rounds_is_an_error_that_says_what_to_declare(converge):
    ports = FakePorts({ETH: {"rx_ring": 512}}, rounds={1000: 1024})
    _, errors = converge([port(rx_ring=1000)], ports)
    assert errors == ["eth7: the driver made 1024 of rx_ring 1000: declare 1024"]


def test_a_value_that_the_driver_ignores_is_an_error_at_each_run(converge):
    ports = FakePorts({ETH: {"rx_usecs": 50, "mtu": 9000}}, rounds={60: 50})
    said = ["eth7: the driver ignores rx_usecs 60 and keeps 50: declare what it can do, or leave rx_usecs out"]
    for _ in range(2):
        assert converge([port(rx_usecs=60, mtu=1500)], ports)[1] == said
    assert ports.ports[ETH]["mtu"] == 1500
    assert converge([port(rx_usecs=60)], ports, write=False)[1] == []


def test_an_ignored_value_fails_the_program(tmp_path, monkeypatch, capsys):
    file = tmp_path / "nic.json"
    entry = {"slot": SLOT, "use": "lab", "settings": {"rx_usecs": 60}, "filters": []}
    file.write_text(json.dumps({"ports": [entry]}))
    monkeypatch.setattr(ns, "Ports", lambda: FakePorts({ETH: {"rx_usecs": 50}}, rounds={60: 50}))
    monkeypatch.setattr(ns, "default_interface", lambda: "eth0")
    assert ns.main(["--config", str(file), "apply"]) == 1
    assert "eth7: the driver ignores rx_usecs 60 and keeps 50" in capsys.readouterr().err


def test_a_setting_that_the_driver_does_not_have_is_one_error(converge):
    _, errors = converge([port(rx_usecs=60)], FakePorts({ETH: {}}, refuses="rx_usecs"))
    assert errors == ["eth7: the driver refuses rx_usecs 60: Operation not supported"]


def test_a_port_that_is_gone_is_an_error_and_the_others_are_set(converge):
    ports = FakePorts({ETH: {"mtu": 9000}})
    gone = ns.Port("0000:09:00.0", "market", {"mtu": 1500})
    _, errors = converge([gone, port(mtu=1500)], ports)
    assert errors == ["market: no interface at 0000:09:00.0; present: 0000:02:00.0 eth7, 0000:00:03.0 eth0"]
    assert ports.ports[ETH]["mtu"] == 1500


def test_the_port_of_the_default_route_is_touched_last():
    first, last = ns.Port("0000:00:03.0", "uplink", {}), port()
    interfaces = {SLOT: [ETH], "0000:00:03.0": ["eth0"]}
    assert ns.ordered([first, last], interfaces, "eth0") == [last, first]
    assert ns.ordered([first, last], interfaces, "") == [first, last]


def test_the_default_route_is_found(tmp_path):
    table = tmp_path / "route"
    table.write_text("Iface\tDestination\tGateway\nlan0\t0000A8C0\t0\neth0\t00000000\t0202000A\n")
    assert ns.default_interface(table) == "eth0"
    table.write_text("Iface\tDestination\tGateway\n")
    assert ns.default_interface(table) == ""


FILTERS = ["flow-type udp4 dst-port 5000 action 1", "flow-type udp4 dst-port 5001 action 2"]


def test_filters_are_set_once_at_their_place_in_the_list_and_again_when_they_vanish(converge):
    ports, ethtool = FakePorts({ETH: {}}), FakeEthtool()
    lines, errors = converge([port(FILTERS)], ports, ethtool)
    assert (lines, errors) == (["lab eth7 filters -> 2"], [])
    assert ethtool.rules == {0: FILTERS[0].split(), 1: FILTERS[1].split()}
    assert converge([port(FILTERS)], ports, ethtool) == ([], [])
    del ethtool.rules[0]  # as when ntuple is switched off and on
    assert converge([port(FILTERS)], ports, ethtool)[0] == ["lab eth7 filters -> 2"]
    assert set(ethtool.rules) == {0, 1}


def test_filters_that_are_no_longer_wanted_are_removed(converge):
    ports, ethtool = FakePorts({ETH: {}}), FakeEthtool()
    converge([port(FILTERS)], ports, ethtool)
    converge([port(FILTERS[1:])], ports, ethtool)
    assert ethtool.rules == {0: FILTERS[1].split()}


def test_a_filter_that_is_refused_is_named_and_tried_again_next_time(converge):
    ports, ethtool = FakePorts({ETH: {}}), FakeEthtool(refuses="5001")
    _, errors = converge([port(FILTERS)], ports, ethtool)
    assert errors == [f"eth7: filter {FILTERS[1]}: rmgr: Cannot insert RX class rule: Operation not supported"]
    assert converge([port(FILTERS)], ports, ethtool)[0]
    converge([port()], ports, ethtool)
    assert ethtool.rules == {}


def test_no_port_means_no_word_to_ethtool(converge):
    ethtool = FakeEthtool()
    assert converge([port()], FakePorts({ETH: {}}), ethtool) == ([], [])
    assert ethtool.calls == []


def test_the_configuration_file_is_read():
    item = {"slot": SLOT, "use": "lab", "settings": {"gro": False, "mtu": 1500}, "filters": FILTERS}
    assert ns.Port.load(json.loads(json.dumps(item))) == port(FILTERS, gro=0, mtu=1500)


@given(st.sets(st.sampled_from([*ne.FEATURES, "mtu", *(key for group in ne.GROUPS.values() for key in group)])))
def test_every_setting_is_written_in_exactly_one_step(keys):
    written = [key for step in ns.steps(sorted(keys)) for key in step]
    assert sorted(written) == sorted(keys)


@given(st.dictionaries(st.integers(1, 100), st.binary(max_size=9)))
def test_netlink_attributes_are_read_as_they_were_written(values):
    data = b"".join(ne.attribute(kind, value) for kind, value in values.items())
    assert len(data) % 4 == 0
    assert ne.attributes(data) == values


def test_a_refusal_of_the_kernel_carries_its_words():
    said = ne.attribute(ne.NLMSGERR_ATTR_MSG, b"requested ring size exceeds maximum\0")
    message = struct.pack("=i", -errno.EINVAL) + bytes(16) + said
    with pytest.raises(OSError, match="Invalid argument: requested ring size exceeds maximum"):
        ne.Netlink._raise(message, ne.NLM_F_ACK_TLVS | ne.NLM_F_CAPPED)
    ne.Netlink._raise(struct.pack("=i", 0), 0)


class FakeKernel:
    """The older interface, as Python hands it on: the answer to a request in bytes is lost."""

    def __init__(self, answer: int) -> None:
        self.answer, self.set = answer, list[tuple[int, ...]]()

    def __call__(self, _socket: Any, _number: int, request: bytes | bytearray) -> Any:
        (address,) = struct.unpack_from("P", request, 16)
        (command,) = struct.unpack("=I", ctypes.string_at(address, 4))
        if command == ne.GSSET_INFO:
            ctypes.memmove(address + 16, struct.pack("=I", 1), 4)
        elif command == ne.GSTRINGS:
            ctypes.memmove(address + 12, b"rx-gro", 6)
        elif command == ne.SFEATURES:
            self.set.append(struct.unpack("=III", ctypes.string_at(address + 4, 12)))
            return self.answer if isinstance(request, bytearray) else bytes(request)
        return 0 if isinstance(request, bytearray) else bytes(request)


@pytest.fixture
def kernel(monkeypatch):
    """Return a function that gives ports whose kernel answers so when an offload is switched."""
    monkeypatch.setattr(ne, "Netlink", lambda: None)

    def make(answer: int) -> tuple[Any, FakeKernel]:
        fake = FakeKernel(answer)
        monkeypatch.setattr(ne.fcntl, "ioctl", fake)
        return ne.Ports(), fake

    return make


def test_an_offload_that_the_kernel_cannot_change_is_refused(kernel):
    ports, fake = kernel(1)
    with pytest.raises(OSError, match="not supported"):
        ports.set_offload(ETH, "gro", True)
    assert fake.set == [(1, 1, 1)]


def test_an_offload_that_waits_for_another_one_is_no_refusal_yet(kernel):
    ports, fake = kernel(2)
    ports.set_offload(ETH, "gro", False)
    assert fake.set == [(1, 1, 0)]


def test_an_offload_that_the_kernel_does_not_know_is_refused(kernel):
    ports, fake = kernel(0)
    with pytest.raises(OSError, match="not supported"):
        ports.set_offload(ETH, "lro", False)
    assert fake.set == []


def test_this_machine_can_be_read():
    # Read-only, and without a package: netlink and ioctl of the kernel underneath.
    try:
        ports = ne.Ports()
    except OSError as error:
        pytest.skip(f"no ethtool netlink here: {error}")
    for seen in ports.all():
        assert seen["settings"]["mtu"]["value"] > 0
        assert ne.SLOT.fullmatch(seen["slot"])
