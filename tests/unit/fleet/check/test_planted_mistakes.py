# SPDX-License-Identifier: Apache-2.0
"""Mistakes planted one at a time into the production example are refused before a host is touched.

Each is an edit of a real file; the line of the refusal has file, line, key, what is wrong and what would be right.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fleet import check as checks
from fleet.model.model import Fleet
from fleet.paths import PROJECT

EXAMPLE = PROJECT / "inventory" / "secrets.yml.example"
LINE = re.compile(r"\S+:\d+: [^:]+: [\w.\[\]-]+: .+; .+")
SERVICES = """
services_data: {}
services_instances:
  - kind: recorder
    name: journal
    metrics_port: 9301
    anchors: "{{ groups['anchors'] | default([]) | journal_anchors(hostvars, inventory_hostname) }}"
  - kind: feed
    name: replay
    stream: md:replay
    metrics_port: 9302
    cpus: "2-3"
    feed: {source: replay, symbols: [EURUSD], interval: 1h, speed: 0, files: [FILE]}
  - kind: agent
    name: momentum
    stream: strat:momentum
    metrics_port: 9303
    strategy: {name: Momentum}
    reads: [md:replay]
    symbols: [EURUSD]
""".replace(
    "FILE",
    "{path: /opt/station/data/x.csv, origin: x, stamped: open, symbol: EURUSD, time: t, "
    "columns: {open: o, high: h, low: l, close: c, volume: v}}",
)
AGENTS, TRADING, ACCESS = "group_vars/agents.yml", "group_vars/trading.yml", "group_vars/all/access.yml"
SYSCTL, MONITORING = "group_vars/all/sysctl.yml", "group_vars/monitoring.yml"
REDIS, QUESTDB = "group_vars/redis.yml", "group_vars/questdb.yml"
STATION, MS01 = "inventory/production/host_vars/station.yml", "inventory/production/host_vars/ms01.yml"
WINDOW = "trading_windows: [{days: [Mon], from: '09.30', until: '16:00', timezone: Etc/UTC}]"
# File, what to replace (nothing: append), with what, words of the refusal.
MISTAKES = [
    (AGENTS, "reads:", "redas:", "redas"),
    (AGENTS, "9302", "9301", "9301"),
    (AGENTS, "[md:replay]", "[md:nobody]", "md:nobody"),
    (AGENTS, 'cpus: "2-3"', 'cpus: "77"', "77"),
    (AGENTS, "9302", "9121", "redis_exporter_port"),
    (AGENTS, "9302", "9000", "questdb_http_port"),
    (AGENTS, "9302", "9100", "node_exporter_port"),
    (AGENTS, "kind: recorder", "kind: recoder", "recoder"),
    (AGENTS, "name: replay", "name: halt", "halt"),
    (TRADING, "", "redis_ballast_mib: 10", "redis_ballast_mib"),
    (TRADING, "", "redis_group: bus bus", "redis_group"),
    (TRADING, "", "redis_socket: /run/other/other.sock", "redis_socket"),
    (TRADING, "", "questdb_http_port: 9003", "questdb"),
    (TRADING, "", "node_exporter_textfile: metrics", "node_exporter_textfile"),
    (TRADING, "", "kernel_governor: perfomance", "perfomance"),
    (TRADING, "", "kernel_confirm_minutes: 5", "kernel_confirm_minutes"),
    (
        TRADING,
        "trading_markets:",
        "trading_windows: [{days: [Mon], from: '09.30', until: '16:00', timezone: X}]\ntrading_markets:",
        "trading_windows",
    ),
    (TRADING, "XNYS", "XNYZ", "XNYS"),
    (ACCESS, 'base_admin_user: "{{ ansible_user }}"', "base_admin_user: root", "base_admin_user"),
    (ACCESS, "ssh_allow_groups: [ssh-users]", "ssh_allow_groups: []", "ssh_allow_groups"),
    (ACCESS, "ssh_allow_groups: [ssh-users]", "ssh_allow_groups: [wheel]", "nobody could log in"),
    (ACCESS, "", "base_timezone: Etc/UTX", "Etc/UTX"),
    (ACCESS, "", "ssh_rollback_timeout: 5", "ssh_rollback_timeout"),
    (ACCESS, "", "base_maintenance_window: 16:30", "base_maintenance_window"),
    (ACCESS, "", "base_journal_max_use: 4 Gigs", "4 Gigs"),
    (ACCESS, "", "ssh_listen_addresses: [10.10.0.300]", "10.10.0.300"),
    (SYSCTL, "net.ipv4.tcp_syncookies: 1", "net.ipv4.tcp_syncookies: true", "write 1"),
    (SYSCTL, "net.ipv4.tcp_syncookies: 1", "vm.swapiness: 1", "vm.swappiness"),
    (MONITORING, "prometheus_retention_time: 180d", "prometheus_retention_time: long", "prometheus_retention_time"),
    (MONITORING, "", "alertmanager_default_receiver: pager", "pager"),
    (MONITORING, "", "prometheus_address: 0.0.0.0", "every address"),
    (REDIS, "redis_maxmemory_mib: 8192", "redis_maxmemory_mib: 999999", "999999"),
    (REDIS, "", 'redis_users: {admin: "~* &* +@all"}', "exporter"),
    (REDIS, "", 'redis_cpus: "0"\nredis_background_cpus: "0"', "redis_background_cpus"),
    (QUESTDB, "", "questdb_commit_mode: nosync", "nosync"),
    (QUESTDB, "questdb_heap_mib: 4096", "questdb_heap_mib: 409600", "questdb_heap_mib"),
    (QUESTDB, "2d381e8", "2d381e", "sha256"),
    (MS01, "", 'irq_devices: [{device: "use:market", spread: true}]', "the use market"),
    (STATION, "feed: 2", "fed: 2", "fed"),
    (STATION, "", "redis_maxmemroy_mib: 1", "redis_maxmemory_mib"),
    ("group_vars/kernel_tuned.yml", "", "kernel_arguments: [idle=poll]", "idle=poll"),
    (STATION, "aspm: performance", "aspm: fast", "fast"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the production example whose station has services."""
    for name in ("inventory", "group_vars"):
        hidden = shutil.ignore_patterns("secrets.yml", "local.yml", ".vault-password*")
        shutil.copytree(PROJECT / name, tmp_path / name, symlinks=True, ignore=hidden)
    for name in ("roles", "playbooks", "plugins"):
        (tmp_path / name).symlink_to(PROJECT / name)
    agents = tmp_path / AGENTS
    agents.write_text(agents.read_text().replace("services_instances: []\n", SERVICES))
    return tmp_path


def lines(project: Path) -> list[str]:
    fleet = Fleet.load(project / "inventory/production", project, EXAMPLE)
    return [problem.text(project) for problem in checks.problems(fleet)]


def test_without_a_mistake_nothing_is_refused(project: Path) -> None:
    assert lines(project) == []


@pytest.mark.parametrize(("file", "old", "new", "words"), MISTAKES, ids=[f"{m[0]}-{m[2][:40]}" for m in MISTAKES])
def test_a_planted_mistake_is_refused_with_file_line_key_and_remedy(
    project: Path, file: str, old: str, new: str, words: str
) -> None:
    text = (project / file).read_text()
    assert old in text
    changed = text.replace(old, new, 1) if old else f"{text.rstrip()}\n{new}\n"
    (project / file).write_text(changed)
    found = lines(project)
    assert any(words in line and file.rpartition("/")[2] in line for line in found), found
    assert all(LINE.fullmatch(line) for line in found), found
