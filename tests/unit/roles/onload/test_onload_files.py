# SPDX-License-Identifier: Apache-2.0
"""The probe reads a host's files; the stand-in for the vendor's packages is the same bytes each time."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import PROJECT
from roles.onload.rules import package_refusals

SPEC = importlib.util.spec_from_file_location("onload_probe", PROJECT / "roles/onload/files/onload-probe.py")
assert SPEC
assert SPEC.loader
onload_probe = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(onload_probe)

BUILD = PROJECT / "lab/stand-ins/onload/build.sh"
KERNEL = "6.12.0-test"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty root directory of a host without any command."""
    monkeypatch.setattr(onload_probe, "output", lambda *_: "")
    return tmp_path


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def probe(root: Path, build: str = "#1 SMP PREEMPT_DYNAMIC Debian") -> dict[str, Any]:
    found: dict[str, Any] = onload_probe.probe(root, KERNEL, build)
    return found


def test_an_empty_host_has_nothing_of_all(root):
    found = probe(root)
    assert found.pop("kernel") == KERNEL
    assert not any(found.values())


def test_cards_are_listed_by_vendor_and_device(root):
    write(root / "sys/bus/pci/devices/0000:04:00.0/vendor", "0x1924\n")
    write(root / "sys/bus/pci/devices/0000:04:00.0/device", "0x0b03\n")
    assert probe(root)["pci"] == ["1924:0b03"]


def test_a_realtime_kernel_is_recognised_by_its_build(root):
    assert probe(root, "#1 SMP PREEMPT_RT Debian 6.12.48-1")["realtime"]
    assert not probe(root)["realtime"]


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("etc/ld.so.preload", "libonload.so\n", ["/etc/ld.so.preload: libonload.so"]),
        ("etc/ld.so.preload", "# libonload.so\nlibjemalloc.so\n", []),
        (
            "etc/environment",
            "LD_PRELOAD=/opt/onload/lib64/libonload.so\n",
            ["/etc/environment: LD_PRELOAD=/opt/onload/lib64/libonload.so"],
        ),
        (
            "etc/profile.d/x.sh",
            "export LD_PRELOAD=libonload.so\n",
            ["/etc/profile.d/x.sh: export LD_PRELOAD=libonload.so"],
        ),
        (
            "etc/systemd/system.conf.d/x.conf",
            "DefaultEnvironment=LD_PRELOAD=libonload.so",
            ["/etc/systemd/system.conf.d/x.conf: DefaultEnvironment=LD_PRELOAD=libonload.so"],
        ),
        ("etc/profile.d/x.sh", "# never LD_PRELOAD=libonload.so\nPATH=$PATH:/opt/onload/bin\n", []),
    ],
)
def test_only_lines_that_preload_onload_everywhere_are_found(root, path, content, found):
    write(root / path, content)
    assert probe(root)["preloads"] == found


def test_secure_boot_is_the_fifth_byte_of_the_firmwares_variable(root):
    variable = root / onload_probe.SECURE_BOOT
    write(variable, b"\6\0\0\0\0")
    assert not probe(root)["secure_boot"]
    write(variable, b"\6\0\0\0\1")
    assert probe(root)["secure_boot"]


def test_a_signing_key_counts_once_the_firmware_knows_it(root, monkeypatch):
    write(root / "var/lib/dkms/mok.pub", "key")
    answers = {"mokutil": "mok.pub is not enrolled\n"}
    monkeypatch.setattr(onload_probe, "output", lambda *words: answers.get(words[0], ""))
    assert not probe(root)["signing_key_enrolled"]
    answers["mokutil"] = "mok.pub is already enrolled\n"
    assert probe(root)["signing_key_enrolled"]


def test_headers_are_installed_or_in_the_archive_under_exactly_this_name(root, monkeypatch):
    names = {"apt-cache": f"linux-headers-{KERNEL}-unsigned\n"}
    monkeypatch.setattr(onload_probe, "output", lambda *words: names.get(words[0], ""))
    assert probe(root)["headers"] == ""
    names["apt-cache"] += f"linux-headers-{KERNEL}\n"
    assert probe(root)["headers"] == "archive"
    write(root / f"lib/modules/{KERNEL}/build/Makefile", "")
    assert probe(root)["headers"] == "installed"


def test_a_wrapper_that_no_package_owns_and_a_folder_of_its_own_are_leftovers(root, monkeypatch):
    write(root / "usr/bin/onload", "")
    write(root / "opt/onload/bin/onload", "")
    assert probe(root)["leftovers"] == ["/opt/onload", "/usr/bin/onload"]
    monkeypatch.setattr(onload_probe, "output", lambda *_: "onload-user: /usr/bin/onload\n")
    assert probe(root)["leftovers"] == ["/opt/onload"]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb makes the stand-in")
@pytest.mark.parametrize("kind", ["good", "broken", "source"])
def test_the_stand_in_has_a_lasting_checksum_and_the_form_that_the_role_takes(tmp_path, kind):
    built = []
    for name in ("one", "two"):
        said = subprocess.run(
            [str(BUILD), str(tmp_path / name), "9.2.1.0", kind], capture_output=True, text=True, check=True
        )
        built.append(json.loads(said.stdout))
    assert list(package_refusals(built[0])) == []
    assert [entry["sha256"] for entry in built[0]] == [entry["sha256"] for entry in built[1]]
