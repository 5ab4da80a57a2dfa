# SPDX-License-Identifier: Apache-2.0
"""What a container engine changes in the machine's firewall, undone: it leaves its chains and a DROP policy behind."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def remember(state: Path) -> None:
    """Record the forwarding switch and policy as they are before the engine starts.

    What is recorded already stays: an engine that died has left its own rules behind.
    """
    if state.exists():
        return
    policy = re.search(r"^:FORWARD (\w+)", _run(["iptables-save", "-t", "filter"]), re.MULTILINE)
    values = {"forwarding": FORWARDING.read_text().strip(), "policy": policy.group(1) if policy else "ACCEPT"}
    state.write_text(json.dumps(values))


def remove_docker_rules(state: Path, bridge: str) -> None:
    """Take the engine's chains and rules out and restore what `remember` recorded; other rules stay."""
    values = json.loads(state.read_text())
    _run(["iptables-restore"], without_docker(_run(["iptables-save"]), bridge, values["policy"]))
    FORWARDING.write_text(values["forwarding"])


def without_docker(rules: str, bridge: str, policy: str) -> str:
    """Return iptables-save output without Docker's chains and the rules of a bridge.

    Args:
        rules: the output of `iptables-save`.
        bridge: the lab's; an engine that was killed leaves the rules of its bridge behind.
        policy: policy that the FORWARD chain shall have, `ACCEPT` or `DROP`.
    """
    kept = [line for line in rules.splitlines() if "DOCKER" not in line and bridge not in line.split()]
    return re.sub(r"^:FORWARD \w+", f":FORWARD {policy}", "\n".join(kept) + "\n", flags=re.MULTILINE)


def _run(command: list[str], text: str | None = None) -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
