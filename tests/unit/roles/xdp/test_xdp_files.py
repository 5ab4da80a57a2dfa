# SPDX-License-Identifier: Apache-2.0
"""The smoke test's own parts: valid frames, and reports of what does not hold. The kernel is the host tests' part."""

import importlib.util
import io
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.paths import PROJECT

FILES = PROJECT / "roles/xdp/files"
SPEC = importlib.util.spec_from_file_location("xdp_smoke", FILES / "xdp-smoke.py")
assert SPEC
assert SPEC.loader
smoke = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(smoke)

HEADERS = 14 + 20 + 8


class Sender:
    """Takes frames as a raw socket does, and remembers their numbers."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def send(self, data: bytes) -> None:
        self.numbers.append(struct.unpack("!I", data[HEADERS : HEADERS + 4])[0])


@given(st.binary(min_size=20, max_size=60).filter(lambda header: len(header) % 2 == 0))
def test_a_header_with_its_checksum_sums_up_to_nothing(header):
    filled = header[:10] + b"\0\0" + header[12:]
    assert smoke.checksum(filled[:10] + struct.pack("!H", smoke.checksum(filled)) + filled[12:]) == 0


@given(st.integers(0, 2**32 - 1))
def test_a_frame_is_a_full_sized_udp_datagram_with_its_number(number):
    data = smoke.frame(number)
    assert len(data) >= 60
    assert data[12:14] == b"\x08\x00"
    assert smoke.checksum(data[14:34]) == 0
    assert struct.unpack("!H", data[16:18])[0] == len(data) - 14
    assert struct.unpack("!H", data[38:40])[0] == len(data) - 34
    assert data[HEADERS : HEADERS + 4] == struct.pack("!I", number)


def test_the_program_and_the_receiver_agree_with_the_sender():
    program, receiver = (FILES / "redirect.bpf.c").read_text(), (FILES / "xdp-receive.c").read_text()
    assert f"#define PROBE_PORT {smoke.PORT}\n" in program
    assert f"WINDOW = {smoke.WINDOW}" in receiver
    # Loss is impossible by design only while a window fits in the rings.
    sizes = dict(re.findall(r"(FRAMES|RING) = (\d+)", receiver))
    assert min(int(size) for size in sizes.values()) >= 4 * smoke.WINDOW
    # More frames than memory: every frame of it is used again.
    assert 2 * int(sizes["FRAMES"]) < smoke.WINDOW * smoke.WINDOWS


def test_each_window_is_sent_after_the_one_before_it_was_taken():
    sender = Sender()
    words = ["ready", *(f"taken {(window + 1) * smoke.WINDOW}" for window in range(smoke.WINDOWS))]
    smoke.send_windows(sender, io.StringIO("\n".join(words) + "\n"))
    assert sender.numbers == list(range(smoke.WINDOW * smoke.WINDOWS))


@pytest.mark.parametrize(
    ("said", "sent", "message"),
    [
        ("", 0, "the receiver ended"),
        ("ready\n", smoke.WINDOW, "the receiver ended"),
        ("ready\ntaken 1\n", smoke.WINDOW, "said 'taken 1' where 'taken 1024' was due"),
    ],
)
def test_a_receiver_that_ends_or_takes_something_else_is_reported(said, sent, message):
    sender = Sender()
    with pytest.raises(smoke.SmokeError, match=message):
        smoke.send_windows(sender, io.StringIO(said))
    assert len(sender.numbers) == sent


def test_a_command_runs_as_the_unit_that_has_the_engines_settings():
    command = smoke.as_engine(["/bin/true"], ["NetworkNamespacePath=/run/netns/x"])
    assert "--unit=xdp-smoke.service" in command
    assert "--property=NetworkNamespacePath=/run/netns/x" in command
    assert command[-2:] == ["--", "/bin/true"]


@pytest.mark.parametrize("words", [[], ["zero-copy"], ["veth", "eth0"], ["zero-copy", "eth0", "1", "2"]])
def test_wrong_words_give_the_usage(words, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(smoke.os, "geteuid", lambda: 0)
    monkeypatch.setattr(smoke, "DROP_IN", tmp_path)
    assert smoke.main(words) == 2
    assert "xdp-smoke veth" in capsys.readouterr().err


def test_a_host_without_the_role_is_told_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(smoke, "DROP_IN", tmp_path / "absent")
    assert smoke.main(["veth"]) == 2
    assert "which the role xdp writes" in capsys.readouterr().err
