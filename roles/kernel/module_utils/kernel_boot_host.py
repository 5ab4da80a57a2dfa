# SPDX-License-Identifier: Apache-2.0
"""The files and commands of a host that decide what it boots."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.host import atomic_file, host_command, machine_record
    from roles.kernel.module_utils import kernel_boot_plan as plan
    from roles.kernel.module_utils import kernel_grub as grub
    from roles.kernel.module_utils import kernel_trial as trial
    from roles.kernel.module_utils.kernel_words import PAGE_KIB
else:
    from ansible.module_utils import atomic_file, host_command, machine_record
    from ansible.module_utils import kernel_boot_plan as plan
    from ansible.module_utils import kernel_grub as grub
    from ansible.module_utils import kernel_trial as trial
    from ansible.module_utils.kernel_words import PAGE_KIB

DROPIN = "/etc/default/grub.d/60-fleet.cfg"
SCRIPT = "/etc/grub.d/42_fleet_trial"
CONFIG = "/boot/grub/grub.cfg"
GRUBENV = "/boot/grub/grubenv"
RECORD = "/var/lib/fleet/kernel/state.json"
FAILED = "/var/lib/fleet/kernel/failed.json"
REACHED = "/var/lib/fleet/kernel/reached"
CONFIRMED = "/run/fleet/boot-confirmed"
# systemd-analyze on slow machines: a trial's units may take minutes to start.
SETTLE_SECONDS = 600
# The files are sourced as grub-mkconfig does it; ours is left out, or another one is put in its place.
SOURCE = """
ours=$1 instead=$2; shift 2
{
  for file in "$@"; do
    if [ "$file" = "$ours" ]; then file=$instead; fi
    if [ -n "$file" ] && [ -e "$file" ]; then . "$file"; fi
  done
} >/dev/null 2>&1
printf '%s\\0' "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT" "$GRUB_DEFAULT"
"""


class BootError(Exception):
    """The host cannot be brought to the wanted line; the message is one line."""


Run = Callable[[Sequence[str], float], str]


def run_command(words: Sequence[str], seconds: float = 900) -> str:
    """Run a command and return its output; BootError with the end of what it said when it fails."""
    done = host_command.run(words, seconds)
    if done.status != 0:
        raise BootError(f"`{' '.join(words)[:200]}` failed: {done.said}")
    return done.out


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step that survives a power cut, or remove it when the text is empty."""
    if text:
        atomic_file.atomic_write(path, text, mode)
    else:
        atomic_file.remove(path)


@dataclass(frozen=True)
class Host:
    """The files and commands of the host; the root and the runner are replaced in tests."""

    root: Path = Path("/")
    run: Run = field(default=run_command)

    def path(self, name: str) -> Path:
        """Return a path below the root."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return the text of a file, "" when it is absent."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def machine(self) -> str:
        """The name of this machine in its records."""
        return machine_record.identity(self.root)

    def record(self, name: str) -> machine_record.Found:
        """Read a record."""
        return machine_record.opened(self.text(name), self.machine)

    def set_aside(self, name: str) -> None:
        """Keep a record of another machine where nobody takes it for this one's."""
        machine_record.set_aside(self.path(name))

    def knows_boot(self, boot_id: str) -> bool:
        """Whether the journal of this machine has entries of a boot."""
        words = ["journalctl", "--quiet", "--no-pager", "--lines=0", f"--boot={boot_id.replace('-', '')}"]
        try:
            self.run(words, 60)
        except BootError:
            return False
        return True

    def kernels(self) -> list[str]:
        """Return the releases that are installed whole."""
        images = self.path("/boot").glob("vmlinuz-*")
        found = (path.name.removeprefix("vmlinuz-") for path in images)
        return sorted(release for release in found if self.path(f"/boot/initrd.img-{release}").exists())

    def dkms(self, release: str) -> set[str]:
        """Return the modules that DKMS has built for a kernel."""
        built = self.path(f"/lib/modules/{release}/updates/dkms").glob("*.ko*")
        return {path.name.partition(".ko")[0] for path in built}

    def settings(self, instead: str = "") -> grub.Settings:
        """Return GRUB's settings with our drop-in left out, or another file in its place."""
        ours = str(self.path(DROPIN))
        drop_ins = sorted(str(path) for path in self.path("/etc/default/grub.d").glob("*.cfg"))
        files = [str(self.path("/etc/default/grub")), *sorted({*drop_ins, ours})]
        return grub.Settings.read(self.run(["sh", "-c", SOURCE, "sh", ours, instead, *files], 60))

    def environment(self) -> dict[str, str]:
        """Return GRUB's environment block."""
        if not self.path(GRUBENV).exists():
            return {}
        listed = self.run(["grub-editenv", str(self.path(GRUBENV)), "list"], 60)
        return dict(line.partition("=")[::2] for line in listed.splitlines() if "=" in line)

    def failed_units(self) -> tuple[str, ...]:
        """Return the units that have failed."""
        words = ["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"]
        return tuple(sorted(line.split()[0] for line in self.run(words, 60).splitlines() if line.split()))

    def evidence(self, hugepages: Sequence[Mapping[str, Any]]) -> trial.Evidence:
        """Wait until the system has started, and look at what a trial has to show."""
        with contextlib.suppress(BootError):  # "degraded" is an exit status too
            self.run(["systemctl", "is-system-running", "--wait"], SETTLE_SECONDS)
        pages = {}
        for entry in hugepages:
            size, node = PAGE_KIB[str(entry["size"])], entry.get("node")
            folder = "/sys/kernel/mm/hugepages" if node is None else f"/sys/devices/system/node/node{node}/hugepages"
            pages[size, node] = int(self.text(f"{folder}/hugepages-{size}kB/nr_hugepages") or 0)
        cpu = "/sys/devices/system/cpu"
        log = self.run(["dmesg"], 60)
        return trial.Evidence(
            self.text(f"{cpu}/isolated"), self.text(f"{cpu}/nohz_full"), log, self.failed_units(), pages
        )


def read_line(data: Mapping[str, Any]) -> plan.Line:
    """Read a line of a record."""
    return plan.Line(str(data["release"]), tuple(str(word) for word in data["words"]))


def read_record(data: Mapping[str, Any] | None) -> plan.Record | None:
    """Read the record; one that is damaged counts as none, the host itself says the rest."""
    try:
        data = data or {}
        units = tuple(str(unit) for unit in data["failed_units"])
        line = read_line(data["line"])
        return plan.Record(
            str(data["phase"]), line, str(data["boot_id"]), int(data["attempts"]), str(data["previous"]), units
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_failed(data: Mapping[str, Any] | None) -> plan.Failed | None:
    """Read what failed last."""
    try:
        data = data or {}
        return plan.Failed(read_line(data["line"]), str(data["reason"]))
    except (ValueError, KeyError, TypeError):
        return None


def as_text(value: object, machine: str) -> str:
    """Return the text of a record of a machine, "" for none."""
    if value is None:
        return ""
    data = asdict(value)  # type: ignore[call-overload]  # Record or Failed
    if isinstance(value, plan.Failed):
        data["when"] = datetime.now(UTC).isoformat(timespec="seconds")
        data["hash"] = value.line.hash
    return machine_record.sealed(data, machine)
