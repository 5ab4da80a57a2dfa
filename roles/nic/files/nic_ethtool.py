#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What the network ports of this machine are, offer and are set to, over the kernel's own ethtool interface.

Needs no package, so that it can look at a bare host before anything is changed. Rings, channels and coalescing go over
netlink, where a setting that the driver lacks is absent instead of 0 (Documentation/networking/ethtool-netlink.rst);
driver, firmware and offloads over the older ioctl. Run as a program it prints everything as JSON.
"""

from __future__ import annotations

import array
import errno
import fcntl
import json
import os
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SLOT = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")

# linux/netlink.h, linux/genetlink.h
NETLINK_GENERIC, SOL_NETLINK, NETLINK_EXT_ACK = 16, 270, 11
NLMSG_ERROR, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 2, 16, 3, 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CAPPED, NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG = 1, 4, 0x100, 0x200, 1
NLA_F_NESTED, NLA_TYPE = 0x8000, 0x3FFF
HEADER, HEADER_DEV_NAME = 1, 2
# linux/ethtool_netlink.h: the message that reads, setting -> (attribute, its size, attribute of the maximum).
# The message that writes has the next number.
GROUPS: dict[int, dict[str, tuple[int, int, int | None]]] = {
    15: {"rx_ring": (6, 4, 2), "tx_ring": (9, 4, 5)},
    17: {"channels": (9, 4, 5)},
    19: {
        "rx_usecs": (2, 4, None),
        "tx_usecs": (6, 4, None),
        "adaptive_rx": (11, 1, None),
        "adaptive_tx": (12, 1, None),
    },
}
# linux/sockios.h, linux/ethtool.h
SIOCETHTOOL, SIOCSIFMTU = 0x8946, 0x8922
GDRVINFO, GSTRINGS, GSSET_INFO, GFEATURES, SFEATURES, STRINGS_OF_FEATURES = 0x03, 0x1B, 0x37, 0x3A, 0x3B, 4
# What the kernel answers to SFEATURES: 1, that it cannot be changed at all.
F_UNSUPPORTED = 1
# ethtool's short names -> the kernel's.
FEATURES = {
    "gro": "rx-gro",
    "gso": "tx-generic-segmentation",
    "lro": "rx-lro",
    "ntuple": "rx-ntuple-filter",
    "rx": "rx-checksum",
    "rxvlan": "rx-vlan-hw-parse",
    "tso": "tx-tcp-segmentation",
    "txvlan": "tx-vlan-hw-insert",
}


def attribute(kind: int, value: bytes) -> bytes:
    """Return one netlink attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes of a message by their numbers."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & NLA_TYPE] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


class Netlink:
    """The kernel's ethtool family: one request, one answer."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        answer = self._ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, b"ethtool\0"))
        (self._family,) = struct.unpack("=H", answer[CTRL_ATTR_FAMILY_ID])

    def _ask(self, family: int, command: int, payload: bytes) -> dict[int, bytes]:
        body = struct.pack("=BBH", command, 1, 0) + payload
        flags = NLM_F_REQUEST | NLM_F_ACK
        self._socket.send(struct.pack("=IHHII", 16 + len(body), family, flags, 0, 0) + body)
        answer: dict[int, bytes] = {}
        while True:
            data = self._socket.recv(65536)
            while data:
                length, kind, flags = struct.unpack_from("=IHH", data)
                message, data = data[16:length], data[(length + 3) & ~3 :]
                if kind == NLMSG_ERROR:
                    self._raise(message, flags)
                    return answer
                answer = attributes(message[4:])

    @staticmethod
    def _raise(message: bytes, flags: int) -> None:
        code = -struct.unpack_from("=i", message)[0]
        if code:
            told = b""
            if flags & NLM_F_ACK_TLVS:
                echoed = 16 if flags & NLM_F_CAPPED else struct.unpack_from("=I", message, 4)[0]
                told = attributes(message[4 + echoed :]).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0")
            raise OSError(code, ": ".join(filter(None, [os.strerror(code), told.decode()])))

    def _device(self, name: str) -> bytes:
        return attribute(HEADER | NLA_F_NESTED, attribute(HEADER_DEV_NAME, name.encode() + b"\0"))

    def read(self, name: str, message: int) -> dict[int, int]:
        """Return the numbers of a message; nothing when the driver has no such settings."""
        try:
            found = self._ask(self._family, message, self._device(name))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return {}
        return {kind: int.from_bytes(value, "little") for kind, value in found.items() if kind != HEADER}

    def write(self, name: str, message: int, values: Mapping[int, tuple[int, int]]) -> None:
        """Set attributes, each a value and its size, in one message."""
        words = b"".join(attribute(kind, value.to_bytes(size, "little")) for kind, (value, size) in values.items())
        self._ask(self._family, message, self._device(name) + words)


class Ports:
    """Reads and sets the network ports of this machine."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._netlink = Netlink()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _call(self, name: str, buffer: array.array[int]) -> int:
        """Hand a buffer to the kernel, which may fill it, and return what it answers."""
        # Of bytes instead of a bytearray Python would return a copy, and drop the kernel's answer.
        request = bytearray(struct.pack("16sP16x", name.encode(), buffer.buffer_info()[0]))
        answer: int = fcntl.ioctl(self._socket, SIOCETHTOOL, request)
        return answer

    def _ioctl(self, name: str, request: bytes) -> bytes:
        buffer = array.array("B", request)
        self._call(name, buffer)
        return buffer.tobytes()

    def _features(self, name: str) -> tuple[list[str], int]:
        """Return the names of the offloads in the kernel's order, and how many blocks of 32 they fill."""
        answer = self._ioctl(name, struct.pack("=IIQI", GSSET_INFO, 0, 1 << STRINGS_OF_FEATURES, 0))
        (count,) = struct.unpack_from("=I", answer, 16)
        answer = self._ioctl(name, struct.pack("=III", GSTRINGS, STRINGS_OF_FEATURES, count) + bytes(32 * count))
        names = [answer[12 + 32 * i : 44 + 32 * i].partition(b"\0")[0].decode() for i in range(count)]
        return names, (count + 31) // 32

    def offloads(self, name: str) -> dict[str, tuple[bool, bool]]:
        """Return each offload by ethtool's short name: whether it is on, and whether it can be changed."""
        names, blocks = self._features(name)
        answer = self._ioctl(name, struct.pack("=II", GFEATURES, blocks) + bytes(16 * blocks))
        found = {}
        for short, long in FEATURES.items():
            if long in names:
                block, bit = divmod(names.index(long), 32)
                available, _, active, never = struct.unpack_from("=IIII", answer, 8 + 16 * block)
                found[short] = bool(active >> bit & 1), bool((available & ~never) >> bit & 1)
        return found

    def set_offload(self, name: str, short: str, on: bool) -> None:
        """Switch one offload, or record the wish where another offload stands in its way."""
        names, blocks = self._features(name)
        if FEATURES[short] not in names:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        block, bit = divmod(names.index(FEATURES[short]), 32)
        words = [0] * (2 * blocks)
        words[2 * block], words[2 * block + 1] = 1 << bit, int(on) << bit
        answer = self._call(name, array.array("B", struct.pack(f"=II{2 * blocks}I", SFEATURES, blocks, *words)))
        # Of a wish (F_WISH) the kernel makes a setting as soon as it can, such as in the next step: no refusal yet.
        if answer & F_UNSUPPORTED:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set the largest packet."""
        fcntl.ioctl(self._socket, SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))

    def set_numbers(self, name: str, message: int, values: Mapping[str, int]) -> None:
        """Set rings, channels or coalescing: one group in one message, which resets the link once at most."""
        group = GROUPS[message]
        self._netlink.write(name, message + 1, {group[key][0]: (value, group[key][1]) for key, value in values.items()})

    def settings(self, name: str) -> dict[str, dict[str, int]]:
        """Return what the driver offers: setting -> its value, with its maximum where there is one."""
        found: dict[str, dict[str, int]] = {"mtu": {"value": int((self._net(name) / "mtu").read_text())}}
        for message, group in GROUPS.items():
            values = self._netlink.read(name, message)
            for key, (kind, _, maximum) in group.items():
                if kind in values:
                    found[key] = {"value": values[kind]} | ({"max": values[maximum]} if maximum in values else {})
        for short, (on, changeable) in self.offloads(name).items():
            found[short] = {"value": int(on)} | ({} if changeable else {"max": int(on), "min": int(on)})
        return found

    def _net(self, name: str) -> Path:
        return self._root / "sys/class/net" / name

    def by_slot(self) -> dict[str, list[str]]:
        """Return the interfaces of each PCI function; one may have several, most have one."""
        found: dict[str, list[str]] = {}
        for link in sorted(self._net("").glob("*/device")):
            slots = SLOT.findall(str(link.resolve()))
            if slots:
                found.setdefault(slots[-1], []).append(link.parent.name)
        return found

    def carrier(self, name: str) -> bool:
        """Tell whether the interface is up and has a link."""
        try:
            return (self._net(name) / "carrier").read_text().strip() == "1"
        except OSError:
            return False  # it is down

    def udev(self, name: str) -> dict[str, str]:
        """Return what udev knows of an interface: the .link file that it applied, and the path to match it by."""
        index = (self._net(name) / "ifindex").read_text().strip()
        record = self._root / "run/udev/data" / f"n{index}"
        lines = record.read_text().splitlines() if record.is_file() else []
        words = (line.removeprefix("E:").partition("=") for line in lines if line.startswith("E:"))
        return {key: value for key, _, value in words}

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield everything about each port that sits on the PCI bus."""
        for slot, names in self.by_slot().items():
            folder = self._root / "sys/bus/pci/devices" / slot
            for name in names:
                answer = self._ioctl(name, struct.pack("=I192x", GDRVINFO))
                driver, version, firmware = (answer[i : i + 32].partition(b"\0")[0].decode() for i in (4, 36, 68))
                udev = self.udev(name)
                link = Path(udev.get("ID_NET_LINK_FILE", ""))
                yield {
                    "interface": name,
                    "slot": slot,
                    "id": ":".join((folder / word).read_text().strip()[2:] for word in ("vendor", "device")),
                    "driver": driver,
                    "version": version,
                    "firmware": firmware,
                    "path": udev.get("ID_PATH") or f"pci-{slot}",
                    "link_file": str(link) if link.name else "",
                    "link_text": link.read_text() if link.is_file() else "",
                    "settings": self.settings(name),
                }


if __name__ == "__main__":
    print(json.dumps(list(Ports().all())))
