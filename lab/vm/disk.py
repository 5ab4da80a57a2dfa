# SPDX-License-Identifier: Apache-2.0
"""What the virtual machine starts from, made once and cached: an installed system, and the emulator of its release."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.errors import UserError
from fleet.paths import BUILD
from lab import archive, mmdebstrap, programs
from lab.containers import image
from lab.containers.engine import require_root

# All kernels, and further down what the roles install: under emulation apt takes minutes to unpack them.
KERNELS = {
    "Debian": ("linux-image-amd64", "linux-image-rt-amd64"),
    # Its realtime kernel in the free archive is not maintained, so `make test-kernel` proves profile trading on Debian.
    "Ubuntu": ("linux-image-generic-hwe-24.04",),
}
PACKAGES = (*image.PACKAGES, "grub-efi-amd64-bin", "grub2-common", "initramfs-tools", "udev", "zstd")
PREINSTALLED = {
    "Debian": ("bpftool", "linux-headers-amd64", "linux-headers-rt-amd64", "rtla"),
    "Ubuntu": ("linux-headers-generic-hwe-24.04", "linux-tools-generic-hwe-24.04"),
}
PREINSTALLED_ON_BOTH = (
    *("clang", "libbpf-dev", "libxdp-dev", "llvm", "xdp-tools"),
    *("dkms", "gcc", "make"),
    *("ethtool", "rt-tests", "sockperf", "stress-ng"),
)
# The same emulator whatever the control machine runs, and newer than Debian 12's 7.2, in which a kernel ran a
# half-patched instruction ("Oops: int3").
EMULATOR = programs.Programs("emulator", ("ovmf", "qemu-system-x86", "qemu-utils"))
TOOLS = ("mmdebstrap", "gdisk", "mtools", "dosfstools", "e2fsprogs")
INSTALL = Path(__file__).with_name("install.sh")
# Only what the machine boots from: each kernel package makes an initial file system, and a general one takes long.
SMALL_INITRD = 'mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list > "$1/etc/initramfs-tools/conf.d/modules"'
CACHE = BUILD / "vm"
FIRMWARE = EMULATOR.root / "usr/share/OVMF"
FILESYSTEM = "5ab1e0fd-7b1d-4c0e-9d5b-2f1c6b8a7e10"  # any; it only has to be the same in fstab, menu and loader
ESP_MIB, ROOT_MIB = 64, 8192
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def provide(say: Callable[[str], None]) -> Path:
    """Return the cached disk image, built if this recipe has none yet.

    Args:
        say: takes one line of progress.

    Raises:
        UserError: not root, no apt, or a step of the build fails.
    """
    distribution = archive.own()
    installed = CACHE / f"{archive.SUITES[distribution]}-{_recipe(distribution)}.qcow2"
    require_root()
    install_tools()
    programs.provide(EMULATOR)
    if not installed.exists():
        _install(installed, distribution, say)
    return installed


def _install(target: Path, distribution: str, say: Callable[[str], None]) -> None:
    work = CACHE / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        say(f"installing {distribution} {archive.SUITES[distribution]} with its kernels into a disk image ...")
        _bootstrap(work / "root", distribution)
        _assemble(work)
        _run(*program("qemu-img"), "convert", "-O", "qcow2", str(work / "disk.raw"), str(work / "disk.qcow2"))
        shutil.copy(work / "root/etc/ssh/ssh_host_ed25519_key.pub", target.with_suffix(".pub"))
        (work / "disk.qcow2").replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def program(name: str) -> list[str]:
    """Return the words that start one of the emulator's programs with the libraries it was built for."""
    return programs.command(EMULATOR, f"usr/bin/{name}")


def host_key(installed: Path) -> str:
    """Return the public ssh key of the machines that start from this image, as `type base64`."""
    return " ".join(installed.with_suffix(".pub").read_text().split()[:2])


def install_tools() -> None:
    """Install the tools that make a file system and a disk from the distribution where they are missing.

    Raises:
        UserError: no apt, or the packages cannot be installed.
    """
    if all(shutil.which(name, path=PATH) for name in ("mmdebstrap", "sgdisk", "mcopy", "mkfs.vfat", "mkfs.ext4")):
        return
    if not shutil.which("apt-get"):
        raise UserError(f"no apt-get here: install {', '.join(TOOLS)}, then run it again")
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *TOOLS)


def _packages(distribution: str) -> tuple[str, ...]:
    return (*KERNELS[distribution], *PACKAGES, *PREINSTALLED[distribution], *PREINSTALLED_ON_BOTH)


def _recipe(distribution: str) -> str:
    disk = (SMALL_INITRD, FILESYSTEM, str(ESP_MIB), str(ROOT_MIB))
    words = " ".join((archive.SUITES[distribution], *_packages(distribution), *disk))
    return hashlib.sha256(words.encode() + INSTALL.read_bytes()).hexdigest()[:12]


def _bootstrap(root: Path, distribution: str) -> None:
    """Fill a folder with the installed system."""
    suite = archive.SUITES[distribution]
    _run(
        *mmdebstrap.COMMAND,
        "--mode=root",
        "--variant=minbase",
        "--skip=cleanup/apt/lists",
        "--dpkgopt=force-unsafe-io",
        f"--components={archive.COMPONENTS[distribution]}",
        f"--include={','.join(_packages(distribution))}",
        f"--essential-hook={SMALL_INITRD}",
        f"--customize-hook={INSTALL}",
        suite,
        str(root),
        *archive.sources(distribution, suite),
        environment={"FILESYSTEM": FILESYSTEM},
    )


def _assemble(work: Path) -> None:
    """Make the raw disk: a GPT with an EFI partition and the root, no loop device needed."""
    esp, root, disk = work / "esp.img", work / "root.img", work / "disk.raw"
    _run("truncate", "-s", f"{ESP_MIB}M", str(esp))
    _run("mkfs.vfat", "-F", "32", str(esp))
    _run("mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT")
    _run("mcopy", "-i", str(esp), str(work / "root/boot/loader.efi"), "::/EFI/BOOT/BOOTX64.EFI")
    _run("truncate", "-s", f"{ROOT_MIB}M", str(root))
    # GRUB cannot read these two features of newer file systems.
    features = "^metadata_csum_seed,^orphan_file"
    _run("mkfs.ext4", "-q", "-F", "-U", FILESYSTEM, "-O", features, "-d", str(work / "root"), str(root))
    _run("truncate", "-s", f"{ESP_MIB + ROOT_MIB + 2}M", str(disk))
    _run(
        "sgdisk",
        "--clear",
        f"--new=1:1M:+{ESP_MIB}M",
        "--typecode=1:ef00",
        "--new=2:0:0",
        "--typecode=2:8300",
        str(disk),
    )
    for part, offset in ((esp, 1), (root, 1 + ESP_MIB)):
        _run("dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={offset}", "conv=notrunc,sparse", "status=none")
        part.unlink()


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    surroundings = os.environ | {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"} | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    if done.returncode != 0:
        words: Sequence[str] = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = [line for line in words if line.startswith("E:")] or words[-1:]
        program = command[0] if command[0] != mmdebstrap.COMMAND[0] else mmdebstrap.COMMAND[-1]
        raise UserError(f"`{program}` failed while the disk was made: {' '.join(reason[:1]) or 'no reason given'}")
