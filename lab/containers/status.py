# SPDX-License-Identifier: Apache-2.0
"""How the lab stands: what the last runs said, and what the hosts say now."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from fleet import terminal
from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT
from fleet.run.progress import Progress
from lab.containers import engine, hosts

RECORD = LAB_STATE / "state.json"


def record(progress: Progress, checks: dict[str, str]) -> None:
    """Keep what a run of site.yml and of the checks said, for `make lab-status`."""
    cells: dict[str, dict[str, object]] = {host: {} for host in progress.hosts}
    for (host, layer), cell in progress.cells.items():
        cells[host][layer] = asdict(cell)
    state = {
        "at": time.time(),
        "layers": [layer for layer in progress.layers if layer != "preflight"],
        "cells": cells,
        "verify": checks,
    }
    RECORD.write_text(json.dumps(state, indent=1))


def show(names: Sequence[str]) -> int:
    """Print hosts x layers of the last run beside what each host's systemd says now; 0 if all is well."""
    selected, client = hosts.select(names), engine.connect()
    containers = hosts.existing(client)
    state = json.loads(RECORD.read_text()) if RECORD.exists() else {"layers": [], "cells": {}, "verify": {}}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", "address", "now", *state["layers"], "verify"):
        table.add_column(title, no_wrap=True)
    well = True
    for name, address in selected.items():
        now = "absent"
        if name in containers and containers[name].status == "running":
            _, failed = hosts.run_inside(containers[name], ["systemctl", "--failed", "--plain", "--no-legend"])
            units = [line.split()[0] for line in failed.splitlines() if line.strip()]
            now = f"failed: {', '.join(units)}" if units else "running"
        well = well and now == "running"
        cells = state["cells"].get(name, {})
        last = [str(cells[layer]["state"]) if layer in cells else "-" for layer in state["layers"]]
        table.add_row(name, address, now, *last, state["verify"].get(name, "-"))
    terminal.console().print(table)
    if "at" in state:
        print(f"layers and verify: as of {time.strftime('%H:%M:%S', time.localtime(state['at']))}")
    for line in next_steps(names) if well else ["next: `make lab` brings missing or failed hosts back"]:
        print(line)
    return 0 if well else 1


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
