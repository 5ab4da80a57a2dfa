#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Give what belongs to the machine the names that it has now, on a host that was provisioned under the older ones."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_migrated
short_description: Move what belongs to the machine from its older names to those of today
description:
  - Machine and trading services once shared the word C(station). What belongs to the machine is called C(fleet) now.
    On a host of before, settings are renamed in place, records move and are bound to this machine, and units, programs
    and metrics of the older names go. What the trading services keep is not touched.
  - No service is restarted, and what the older units have set in the running kernel stays as it is until the units of
    today set it. A run that is cut off is finished by the next. On a host without older records nothing is looked at.
  - Refuses a host with a kernel line on trial or an SSH change that waits for its confirmation.
options:
  textfile_directory:
    description: Where the exporter of machine metrics reads files.
    type: path
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Take the machine's older names away
  fleet_migrated:
    textfile_directory: "{{ lookup('declared', 'textfile', of='node_exporter') }}"
"""

RETURN = r"""
renamed:
  description: What has, or in check mode would have, another name now.
  type: list
  elements: str
  returned: always
removed:
  description: What was, or in check mode would be, removed.
  type: list
  elements: str
  returned: always
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import atomic_file, host_command, machine_record
else:
    from ansible.module_utils import atomic_file, host_command, machine_record

WAS, IS = "station", "fleet"
STATE = "/var/lib/station"
# The records of units and sets of files: these folders go last, as long as one is there the host has older names.
MARKS = (f"{STATE}/file_sets", f"{STATE}/units")
# Settings that stay in force under the new name. The first "station" of a name becomes "fleet".
RENAMED = (
    "/etc/ssh/sshd_config.d/10-station.conf",
    "/etc/sysctl.d/99-zz-station.conf",
    "/etc/default/grub.d/60-station.cfg",
    "/boot/grub/grub.cfg.station-previous",
    "/etc/systemd/network/05-station-*.link",
    "/etc/systemd/system/redis-server@bus.service.d/10-station.conf",
    "/etc/systemd/system/prometheus-redis-exporter.service.d/10-station.conf",
    "/usr/libexec/onload/profiles/station-*.opf",
    "/var/lib/station/onload",
    "/var/lib/station-latency",
    # What the running kernel had before, and which interrupts and filters are the units' own.
    "/run/station/*",
    "/run/station-irq/*",
    "/run/station-nic/*",
)
UNITS = (
    "station-boot-guard.service",
    "station-irq-again.service",
    "station-irq-again.timer",
    "station-irq.service",
    "station-kernel.service",
    "station-nic.service",
)
# The machine's, by name: programs of the trading services are in the same folder now.
PROGRAMS = (
    *("boot-guard", "irq-affinity", "irq-policy", "irq_plan.py", "latency-run", "latency_plan.py", "nic-settings"),
    *("nic_ethtool.py", "station-kernel", "xdp-smoke"),
)
REMOVED = (
    *(f"/etc/systemd/system/{place}{unit}" for unit in UNITS for place in ("*.wants/", "")),
    "/etc/systemd/system/*.target.d/50-station-boot-guard.conf",
    "/etc/station/irq.json",
    "/etc/station/kernel.json",
    "/etc/station/nic.json",
    "/etc/grub.d/42_station_trial",
    "/boot/grub/grub.cfg.station",
    *(f"/usr/local/libexec/station/{program}" for program in PROGRAMS),
    "/usr/local/src/station",
    "/run/station",
    "/run/station-irq",
    "/run/station-nic",
)
# Folders that the trading services share on some hosts, and that nobody needs on the others.
SHARED = ("/etc/station", "/usr/local/libexec/station", STATE)
IN_FLIGHT = ("staged", "armed")
INPUTS = ("inputs", "reload_inputs")

Run = Callable[[Sequence[str]], host_command.Done]


class MigrationError(Exception):
    """The host cannot be migrated now; the message is one line."""


def renamed(name: str) -> str:
    """Return the name of today of something that belongs to the machine."""
    return name.replace(WAS, IS, 1)


def unit_record(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a unit with the files that it has read under their names of today."""

    def today(path: str) -> str:
        # By pattern, not by what was renamed just now: an earlier run may have been cut off in between.
        return renamed(path) if any(fnmatchcase(path, pattern) for pattern in RENAMED) else path

    return {**data, **{key: {today(path): mark for path, mark in data[key].items()} for key in INPUTS}}


@dataclass(frozen=True)
class Host:
    """The files and commands of the host; the root and the runner are replaced in tests."""

    root: Path = Path("/")
    run: Run = host_command.run

    def path(self, name: str) -> Path:
        """Return a path below the root."""
        return self.root / name.lstrip("/")

    def name(self, path: Path) -> str:
        """Return what a path below the root is called on the host."""
        return f"/{path.relative_to(self.root)}"

    def found(self, *patterns: str) -> list[str]:
        """Return what is there, in the order of the patterns."""
        return [self.name(path) for pattern in patterns for path in sorted(self.root.glob(pattern.lstrip("/")))]

    def json(self, name: str) -> dict[str, Any]:
        """Return a record of before; nothing when it is absent or damaged."""
        try:
            data = json.loads(self.path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def is_old(self) -> bool:
        """Whether the host has records under the names of before."""
        return any(self.path(name).exists() for name in MARKS)

    def knows_boot(self, boot_id: str) -> bool:
        """Whether this boot or one in this machine's journal has that id."""
        if boot_id == self.path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip():
            return True
        words = ["journalctl", "--quiet", "--no-pager", "--lines=0", f"--boot={boot_id.replace('-', '')}"]
        return bool(boot_id) and self.run(words).status == 0


def refuse_unfinished(host: Host) -> None:
    """Refuse a host on which something waits that only the release that began it can finish.

    Raises:
        MigrationError: a kernel line is on trial, or an SSH change is not confirmed.
    """
    state = f"{STATE}/kernel/state.json"
    phase = str(host.json(state).get("phase", ""))
    if phase in IN_FLIGHT or (not phase and host.found("/etc/grub.d/42_station_trial")):
        raise MigrationError(
            f"{state}: a kernel line is {phase or 'staged'} for its trial: let the release that staged it finish"
            " (its site.yml with kernel_reboot_allowed), or take the arguments back with it; then run this again"
        )
    if host.found(f"{STATE}/ssh-rollback/armed", f"{STATE}/ssh-rollback/firing"):
        raise MigrationError(
            f"{STATE}/ssh-rollback: a change of the SSH configuration waits for its confirmation:"
            " wait until the host has taken it back (ssh_rollback_timeout, a minute), then run this again"
        )


def rename(host: Host, names: Sequence[str]) -> None:
    """Give settings their new names, each in one step; what has the new name already stays."""
    for name in names:
        old, new = host.path(name), host.path(renamed(name))
        new.parent.mkdir(parents=True, exist_ok=True)
        if new.exists():
            _remove(old)
        else:
            old.rename(new)
            atomic_file.sync_folder(new.parent)


def move_records(host: Host) -> None:
    """Write the records anew, as this machine's; one that is written is not written again."""
    for name in host.found(f"{STATE}/units/*.json"):
        data = host.json(name)
        if Path(name).stem in UNITS or not all(isinstance(data.get(key), dict) for key in INPUTS):
            atomic_file.remove(host.path(name))
        else:
            move_record(host, name, unit_record(data))
    for name in host.found(f"{STATE}/file_sets/*"):
        move_record(host, name, {"fingerprint": host.path(name).read_text(encoding="utf-8")})
    for name in host.found(f"{STATE}/kernel/held"):
        move_record(host, name, {"packages": host.path(name).read_text(encoding="utf-8").split()}, 0o644)
    for name in host.found(f"{STATE}/kernel/failed.json"):
        move_record(host, name, host.json(name), 0o644)
    for name in host.found(f"{STATE}/kernel/state.json"):
        data = host.json(name)
        if host.knows_boot(str(data.get("boot_id", ""))):
            move_record(host, name, data)
    # What is left says no machine: the role kernel sets it aside, and its line boots on trial.
    rename(host, host.found(f"{STATE}/kernel/state.json", f"{STATE}/kernel/reached"))


def move_record(host: Host, name: str, data: Mapping[str, Any], mode: int = 0o600) -> None:
    """Write one record under its new name, then remove the old one."""
    new = host.path(renamed(name))
    new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not new.exists():
        atomic_file.atomic_write(new, machine_record.sealed(data, machine_record.identity(host.root)), mode)
    atomic_file.remove(host.path(name))


def retire_units(host: Host, names: Sequence[str]) -> None:
    """Take units away without what they do when they stop: they would put the running kernel's settings back.

    A unit whose file is gone when the manager reads its files again has no command left to run.
    """
    for name in names:
        _remove(host.path(name))
    host.run(["systemctl", "daemon-reload"])
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--", *UNITS]
    loaded = [line.split()[0] for line in host.run(words).out.splitlines() if line.split()]
    if loaded:
        host.run(["systemctl", "stop", "--", *loaded])
        host.run(["systemctl", "reset-failed", "--", *loaded])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_if_empty(host: Host, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        path = host.path(name)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
            yield name


def migrate(host: Host, textfile_directory: str, check: bool) -> dict[str, Any]:
    """Look, refuse, and unless in check mode act; returns the module's result.

    Args:
        host: the host.
        textfile_directory: where the exporter of machine metrics reads files.
        check: only report.

    Raises:
        MigrationError: the host cannot be migrated now.
    """
    if not host.is_old():
        return {"changed": False, "renamed": [], "removed": []}
    refuse_unfinished(host)
    names = {name: renamed(name) for name in host.found(*RENAMED)}
    folders = [f"{STATE}/kernel", f"{STATE}/ssh-rollback", *MARKS]
    removed = [*host.found(*REMOVED, f"{textfile_directory}/station_*.prom"), *host.found(*folders)]
    if not check:
        rename(host, list(names))
        move_records(host)
        retire_units(host, host.found(*REMOVED, f"{textfile_directory}/station_*.prom"))
        for name in host.found(*folders):
            _remove(host.path(name))
        removed += _remove_if_empty(host, SHARED)
    text = "".join(f"{old} -> {new}\n" for old, new in names.items())
    return {
        "changed": True,
        "renamed": list(names.values()),
        "removed": removed,
        "diff": {"before": "".join(f"{name}\n" for name in [*names, *removed]), "after": text},
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={"textfile_directory": {"type": "path", "required": True}}, supports_check_mode=True
    )
    try:
        result = migrate(Host(), module.params["textfile_directory"], module.check_mode)
    except (MigrationError, OSError) as error:
        module.fail_json(msg=f"migration: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
