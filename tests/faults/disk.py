# SPDX-License-Identifier: Apache-2.0
"""A disk of one's own: an ext4 image in a file, which can be full, and whose power can be cut.

Only inside a mount namespace of one's own (`__main__`): whatever happens, neither a mount nor a loop device stays.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from lab import programs

_CHUNKS = (1 << 26, 1 << 20, 1 << 16, 1 << 12)
# EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of linux/fs/ext4/ext4.h.
_SHUTDOWN, _WITHOUT_LOG = 0x8004587D, 2
_BALLAST = "ballast"
_BUSY_S = 5.0


class Disk:
    """A mounted image.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, folder: Path, size_mib: int) -> None:
        """Make the image, sparse, and mount it.

        Args:
            folder: where image and mount point are made.
            size_mib: how much fits, MiB.
        """
        folder.mkdir()
        self.path, self._image = folder / "d", folder / "image"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(size_mib << 20)
        # No reserve for root: full is full.
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self._mount()

    def fill(self) -> None:
        """Leave no block free."""
        file = os.open(self.path / _BALLAST, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            size = os.fstat(file).st_size
            for chunk in _CHUNKS:
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file, size, chunk)
                        size += chunk
        finally:
            os.close(file)

    def free(self) -> None:
        """Give the room back."""
        (self.path / _BALLAST).unlink()

    def settle(self) -> None:
        """Let everything reach the disk, as what was installed on a host long ago has."""
        _run("sync", "--file-system", str(self.path))

    def cut(self) -> None:
        """Do what a power cut does: from one moment on nothing reaches the image.

        ext4 has a call for such tests, which ends the file system without writing its log. A copy of the image would
        not be of one moment: the kernel goes on writing while it is made, also when all processes stand still.
        """
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("=I", _WITHOUT_LOG))
        finally:
            os.close(folder)

    def come_back(self) -> str:
        """Mount what the cut has left, and return what the check of the file system said.

        Whoever had files open there has to be dead.
        """
        self.unmount()
        # What systemd-fsck does at boot: a full check would make files longer than the log says, with zeros.
        words = ["e2fsck", "-p", str(self._image)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=_environment())
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"e2fsck cannot mend the image: {done.stdout}")
        self._mount()
        return done.stdout.strip().splitlines()[-1]

    def unmount(self) -> None:
        """Take it away; its loop device goes with it."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                _run("umount", str(self.path))
            except RuntimeError:
                # A process that was killed a moment ago may still be on its way out.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": programs.PATH}
