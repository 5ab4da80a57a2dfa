# SPDX-License-Identifier: Apache-2.0
"""What a host has before and after: the trading state that may only grow, and names that should be gone."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Paths and units with the word "station" that the trading services and their anchors keep. The rest is left over.
TRADING = tuple(
    re.compile(pattern)
    for pattern in (
        r"/etc/station(/((anchor|journal)\.keys|release|services|sets))?",
        r"/etc/systemd/system/(.*\.wants/)?station(-anchor)?(@.*)?\.(service|service\.d|socket|target|target\.wants)",
        r"/opt/station",
        r"/run/station-anchor\.sock",
        r"/usr/local/bin/station",
        r"/usr/lib/systemd/network/80-wifi-station\.network\.example",
        r"/var/lib/station(/(halt|journal|momentum|replay))?",
        r"/var/lib/station-oversight",
        # The machine's own record of a unit has the unit's name.
        r"/var/lib/fleet/units/station(-anchor)?(@.*)?\.(service|socket|target)\.json",
        r"/usr/local/libexec/station(/station)?",
        r"station(-anchor)?(@.*)?\.(service|socket|target)",
        r"system-station(\\x2danchor)?\.slice",
    )
)
# Text of configuration and programs that names what has another name now.
OLD_WORDS = (
    r"station-(irq|nic|kernel|boot-guard|latency)|[./]station[._]trial|libexec/station/(?!anchor)|src/station|10-station\.conf"
    r"|99-zz-station|60-station|05-station-|/var/lib/station/(units|file_sets|kernel|onload|ssh-rollback)"
    r"|station_(irq|reboot|boot|firmware)_"
)
# What systemd makes for the units that it runs goes with them.
SYSTEMDS = " -o ".join(f"-path '{path}'" for path in ("/run/credentials", "/run/systemd", "/var/tmp/systemd-private-*"))
PATHS = (
    f"find /etc /boot /opt /run /usr/lib /usr/local /var -xdev \\( {SYSTEMDS} \\) -prune"
    " -o -name '*station*' -print -prune 2>/dev/null;"
    " find /etc/station /var/lib/station /etc/systemd/system/*.wants -mindepth 1 -maxdepth 1 2>/dev/null | grep station"
)
UNITS = "systemctl list-units --all --plain --no-legend --no-pager '*station*' | cut -d' ' -f1"
WORDS = f"grep --recursive --files-with-matches --binary-files=without-match -P '{OLD_WORDS}' /etc /usr/local"
METRICS = "grep --no-filename --only-matching -E '^station_[a-z_]+' /var/lib/prometheus/node-exporter/*.prom"
HISTORY = (
    "for file in /var/lib/station/journal/*.segment /var/lib/station-oversight/checkpoints/*;"
    ' do [ -e "$file" ] && echo "$(stat --format=%s "$file") $(sha256sum <"$file" | cut -d" " -f1) $file"; done; true'
)


@dataclass(frozen=True)
class Seen:
    """What one host shows.

    Attributes:
        names: paths, units, files with old words, and metrics that hold the word "station".
        accounts: users and groups.
        history: files that only grow, with their size in bytes and their checksum.
        records: how many records of the journal are as they were written, 0 on a host without one.
        streams: length of each stream of the bus.
    """

    names: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    history: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    records: int = 0
    streams: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A host of the lab, asked as root by ssh."""

    name: str
    ssh_config: Path

    def ask(self, command: str) -> list[str]:
        """Return the lines of an answer.

        Raises:
            RuntimeError: the host cannot be asked.
        """
        words = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", self.name]
        # What finds nothing has another status than 0, ssh itself 255.
        command = f"sudo sh -c {shlex.quote(command)}"
        done = subprocess.run([*words, command], capture_output=True, text=True, check=False)
        if done.returncode == 255:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    def look(self, *, trades: bool) -> Seen:
        """Ask for everything; of a host that trades its bus and its journal too."""
        records, streams = 0, {}
        if trades:
            verdict = json.loads("".join(self.ask("station journal verify --json")))
            records = verdict["checked"] if verdict["ok"] else 0
            status = json.loads("".join(self.ask("station status --json")))
            streams = {stream["name"]: stream["length"] for stream in status}
        rows = (line.split(maxsplit=2) for line in self.ask(HISTORY))
        return Seen(
            names=tuple(line for command in (PATHS, UNITS, WORDS, METRICS) for line in self.ask(command)),
            accounts=frozenset(self.ask("getent passwd; getent group")),
            history={path: (int(size), digest) for size, digest, path in rows},
            records=records,
            streams=streams,
        )

    def still_begins(self, path: str, size: int, digest: str) -> bool:
        """Whether a file begins with what it was before."""
        answer = self.ask(f"head --bytes={size} {shlex.quote(path)} | sha256sum")
        return answer[:1] == [f"{digest}  -"]


def left_over(seen: Seen) -> list[str]:
    """Return the names of before that a host still has; pure."""
    return sorted({name for name in seen.names if not any(pattern.fullmatch(name) for pattern in TRADING)})


def lost(before: Seen, after: Seen) -> list[str]:
    """Return what a host had and has no more; pure."""
    problems = [f"account {account}" for account in sorted(before.accounts - after.accounts)]
    if after.records < before.records:
        problems.append(f"{after.records} records of the journal are as they were written, of {before.records}")
    for stream, length in before.streams.items():
        if after.streams.get(stream, 0) < length:
            problems.append(f"stream {stream} has {after.streams.get(stream, 0)} entries of {length}")
    problems += [f"file {path}" for path in sorted(before.history.keys() - after.history.keys())]
    return problems
