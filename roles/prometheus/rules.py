# SPDX-License-Identifier: Apache-2.0
"""What the role prometheus refuses of its variables, and of what all roles declare for it, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal, declarations
from fleet.model.view import View
from roles.prometheus.filter_plugins.scrape_jobs import scrape_refusals

# Forms of prometheus.io/docs, configuration and storage; each unit once, the larger one first.
DURATION = re.compile(r"(?=\d)([1-9]\d*y)?([1-9]\d*w)?([1-9]\d*d)?([1-9]\d*h)?([1-9]\d*m)?([1-9]\d*s)?([1-9]\d*ms)?")
SIZE = re.compile(r"[1-9]\d*(KB|MB|GB|TB)")
LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def prometheus_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: all hosts, for what their roles declare as <role>_scrape.
    """
    yield from forms.listening(settings, "prometheus_address")
    yield from forms.port("prometheus_port", settings["prometheus_port"])
    yield from forms.folder("prometheus_data_directory", settings["prometheus_data_directory"], "/var/lib/prometheus")
    for key in ("prometheus_retention_time", "prometheus_scrape_interval"):
        if not DURATION.fullmatch(settings[key]):
            right = "write a number and one of ms, s, m, h, d, w, y, such as " + (
                "30d" if key == "prometheus_retention_time" else "15s"
            )
            yield Refusal(key, f"{settings[key]!r} is no duration", right)
    size = settings["prometheus_retention_size"]
    if not SIZE.fullmatch(size):
        right = "write a number and one of KB, MB, GB, TB, such as 10GB"
        yield Refusal("prometheus_retention_size", f"{size!r} is no size", right)
    yield from _labels(settings["prometheus_external_labels"])
    for number, file in enumerate(settings["prometheus_rule_files"]):
        if file.startswith("/") and not Path(file).is_file():
            wrong = f"there is no file {file} on this machine"
            yield Refusal(f"prometheus_rule_files.{number}", wrong, "correct the path, or remove it")
    yield from _targets(settings, fleet)


def _labels(labels: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, value in labels.items():
        key = f"prometheus_external_labels.{name}"
        if not LABEL.fullmatch(name):
            yield Refusal(key, "is no name of a label", "take letters, digits and '_'")
        if not isinstance(value, str):
            yield Refusal(key, f"{value!r} is no text", "write it in quotes")


def _targets(settings: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    hosts = fleet.members.get("all", ())
    declared = declarations(fleet, "scrape", hosts)
    own = str(settings["inventory_hostname"])
    # This role's own is judged as the caller has it.
    if "prometheus" in declared.get(own, {}):
        declared[own] = declared[own] | {"prometheus": settings["prometheus_scrape"]}
    ports = {
        (host, role, str(entry.get("port")))
        for host, roles in declarations(fleet, "ports", hosts).items()
        for role, entries in roles.items()
        for entry in entries
        if isinstance(entry, Mapping)
    }
    yield from scrape_refusals(declared, {host: forms.address(fleet, host) for host in hosts}, own, ports)
