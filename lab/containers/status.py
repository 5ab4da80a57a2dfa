# SPDX-License-Identifier: Apache-2.0
"""How the lab stands: what the last runs said, and what the hosts say now."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fleet import terminal
from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, PROJECT
from fleet.run import last
from lab.containers import engine, hosts


def show(names: Sequence[str]) -> int:
    """Print what the last runs said of each host beside what its systemd says now; 0 if all is well."""
    selected, client = hosts.select(names), engine.connect()
    containers = hosts.existing(client)
    kept = last.read()
    titles = list(dict.fromkeys(what for words in kept.values() for what in words))
    titles.sort(key="verify".__eq__)  # it comes last, whatever ran later
    rows, well = [], True
    for name, address in selected.items():
        now = "absent"
        if name in containers and containers[name].status == "running":
            _, failed = hosts.run_inside(containers[name], ["systemctl", "--failed", "--plain", "--no-legend"])
            units = [line.split()[0] for line in failed.splitlines() if line.strip()]
            now = f"failed: {', '.join(units)}" if units else "running"
        well = well and now == "running"
        words = kept.get(name, {})
        rows.append([name, address, now, *(_dated(words[title]) if title in words else "" for title in titles)])
    terminal.console().print(terminal.Grid(["host", "address", "now", *titles], rows))
    for line in next_steps(names) if well else ["next: `make lab` brings missing or failed hosts back"]:
        print(line)
    return 0 if well else 1


def _dated(word: last.Word) -> str:
    return f"{word.text} ({time.strftime('%H:%M', time.localtime(word.at))})"


def next_steps(names: Sequence[str]) -> list[str]:
    """Return what to look at next: addresses that open, and how to reach what listens on loopback only."""
    fleet = Fleet.load(LAB_INVENTORY, PROJECT)
    lines = []
    for host, address in hosts.select(names).items():
        settings = fleet.settings(host)
        pages = [role for role in ("prometheus", "alertmanager") if role in fleet.roles(host)]
        lines += [f"  {role:<13} http://{address}:{settings[f'{role}_port']}" for role in pages]
        if "questdb" in fleet.roles(host):
            port = settings["questdb_http_port"]
            lines.append(
                f"  questdb       ssh -F .lab/ssh_config -N -L {port}:127.0.0.1:{port} {host}, then http://127.0.0.1:{port}"
            )
    return ["look at:", *lines, "next: `make verify` proves it again, `make lab-down` removes it"]
