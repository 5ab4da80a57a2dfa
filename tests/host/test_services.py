# SPDX-License-Identifier: Apache-2.0
"""The services run from their own release, lose no bar, and come back when killed."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from fleet.model.model import Fleet
from plugins.filter.services import journal_key
from roles.services.filter_plugins.services_planned import services_planned
from roles.services.rules import declared_for_services
from tests.host.state import exposure, kind, owned, refused

PROGRAM = "/opt/station/current/venv/bin/station"
HOUR_US = 3_600_000_000
COLUMNS = ("Open", "High", "Low", "Close", "Volume")
HALT = "/var/lib/station/halt"
PATIENCE_S = 180

# Runs on the host: the password goes from its file into the request and into no argument.
QUERY = """
import base64, sys, urllib.parse, urllib.request
port, user, sql = sys.argv[1:]
password = open("/etc/credstore/questdb-http").read().strip()
request = urllib.request.Request(f"http://127.0.0.1:{port}/exec?" + urllib.parse.urlencode({"query": sql}))
request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""

Settings = Mapping[str, Any]
Units = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def units(settings: Settings, fleet: Fleet) -> Units:
    """Return what the inventory says about each service, by name."""
    declared = declared_for_services(fleet, settings["inventory_hostname"])
    return {unit["name"]: unit for unit in services_planned(settings["services_instances"], declared)}


@pytest.fixture
def _described(units: Units) -> None:
    """Skip what cannot be asked of a host without services."""
    if not units:
        pytest.skip("no service is described for this host (services_instances)")


described = pytest.mark.usefixtures("_described")


def shown(host: Host, unit: str, *properties: str) -> tuple[str, ...]:
    """Return properties of a unit, in the order in which they are asked for."""
    text = host.check_output("systemctl show --property=%s -- %s", ",".join(properties), unit)
    found = dict(line.split("=", 1) for line in text.splitlines())
    return tuple(found[name] for name in properties)


def main_pid(host: Host, unit: str) -> int:
    return int(shown(host, unit, "MainPID")[0])


def wait_until(what: str, holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.5)


def is_ready(host: Host, unit: str) -> bool:
    return shown(host, unit, "ActiveState", "SubState") == ("active", "running")


def rows(host: Host, settings: Settings, sql: str) -> list[list[Any]]:
    port, user = str(settings["questdb_http_port"]), settings["questdb_http_user"]
    found: list[list[Any]] = json.loads(host.check_output("python3 -c %s %s %s %s", QUERY, port, user, sql))["dataset"]
    return found


def test_every_service_has_said_that_it_is_ready(host: Host, units: Units) -> None:
    found = {
        name: shown(host, unit["unit"], "Type", "ActiveState", "SubState", "UnitFileState", "StatusText")
        for name, unit in units.items()
    }
    assert found == dict.fromkeys(units, ("notify", "active", "running", "enabled", "works"))


def test_no_other_service_starts_with_the_target(host: Host, units: Units) -> None:
    assert set(shown(host, "station.target", "Wants")[0].split()) == {unit["unit"] for unit in units.values()}
    assert shown(host, "station.target", "UnitFileState") == ("enabled",)


def test_each_has_the_watchdog_of_its_file(host: Host, units: Units) -> None:
    found = {name: shown(host, unit["unit"], "WatchdogUSec")[0] for name, unit in units.items()}
    seconds = {name: f"{unit['watchdog_s']}s" for name, unit in units.items() if unit["watchdog_s"] < 60}
    assert {name: found[name] for name in seconds} == seconds


def test_each_runs_on_the_cpus_that_it_was_given(host: Host, units: Units) -> None:
    def allowed(pid: int) -> str:
        return str(host.check_output(f"grep Cpus_allowed_list /proc/{pid}/status").split()[1])

    found = {name: allowed(main_pid(host, unit["unit"])) for name, unit in units.items()}
    assert found == {name: unit["cpus"] or allowed(1) for name, unit in units.items()}


def test_units_are_hardened(host: Host, units: Units) -> None:
    found = {unit["unit"]: exposure(host, unit["unit"]) for unit in units.values()}
    assert {name: value for name, value in found.items() if value > 2.0} == {}


def test_processes_are_no_root_and_have_no_capability(host: Host, units: Units) -> None:
    for unit in units.values():
        pid = main_pid(host, unit["unit"])
        assert host.check_output(f"stat --format=%U /proc/{pid}") == "station", unit["unit"]
        assert host.check_output(f"grep CapEff /proc/{pid}/status").split()[1] == "0" * 16, unit["unit"]


@described
def test_producers_know_the_boot_of_the_host_though_they_do_not_see_it(host: Host) -> None:
    boot = host.check_output("cat /proc/sys/kernel/random/boot_id").replace("-", "")
    states = host.check_output("tail -n +1 /var/lib/station/*/producer").splitlines()
    found = [line.split()[2] for line in states if line and not line.startswith("==>")]
    assert set(found) == {boot}


def test_metrics_are_served_on_the_loopback_address_alone(host: Host, units: Units) -> None:
    lines = host.check_output("ss --tcp --listening --numeric --processes --no-header").splitlines()
    pids = {f"pid={main_pid(host, unit['unit'])},": unit["metrics_port"] for unit in units.values()}
    found = {line.split()[3] for line in lines if any(pid in line for pid in pids)}
    assert found == {f"127.0.0.1:{port}" for port in pids.values()}


def test_secrets_are_in_no_process_list_environment_file_or_journal(host: Host, settings: Settings) -> None:
    # Searched here: a search on the host would put them into its own arguments.
    places = {
        "processes": "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true",
        "journal": "journalctl --no-pager --output=cat --unit='station*'",
        "files": "cat /etc/station/services/*.yml /etc/station/journal.keys /etc/systemd/system/station*.service; true",
    }
    seen = {place: host.check_output(command) for place, command in places.items()}
    key = journal_key(settings["services_journal_secret"], settings["services_journal_name"])
    secrets = {**settings["services_credentials"], "secret": settings["services_journal_secret"], "key": key}
    assert [(place, name) for place, text in seen.items() for name in secrets if secrets[name] in text] == []


def test_credentials_are_for_root_alone(host: Host, settings: Settings) -> None:
    for name in [*settings["services_credentials"], "journal-key"]:
        assert owned(host, f"/etc/credstore/{name}") == "root:root 600", name


@described
def test_files_are_those_of_the_inventory_and_the_release_takes_them(host: Host, units: Units) -> None:
    found = host.check_output("ls /etc/station/services/").split()
    assert sorted(found) == sorted(f"{name}.yml" for name in units)
    for name, unit in units.items():
        assert host.file(f"/etc/station/services/{name}.yml").content_string == unit["text"], name
    assert host.run_expect([0], f"{PROGRAM} config check /etc/station/services").stderr == ""


def test_what_runs_is_the_release_that_was_ready(host: Host, units: Units) -> None:
    release, files = host.file("/opt/station/confirmed").content_string.split()
    assert host.file("/opt/station/current").linked_to == f"/opt/station/releases/{release}"
    assert host.file("/etc/station/services").linked_to == f"/etc/station/sets/{files}"
    folder = f"/opt/station/releases/{release}/venv/"
    for unit in units.values():
        pid = main_pid(host, unit["unit"])
        assert folder in host.check_output(f"grep --max-count=1 {folder} /proc/{pid}/maps")
    assert len(host.check_output("ls /opt/station/releases").split()) <= 2


def test_the_environment_is_what_the_lock_says(host: Host) -> None:
    folder = host.check_output("readlink --canonicalize /opt/station/current")
    wanted = host.file(f"{folder}/wheels/requirements.txt").content_string.lower().replace("_", "-")
    listed = host.check_output(f"{folder}/venv/bin/python -m pip list --format=freeze --disable-pip-version-check")
    # Both came with the empty environment.
    found = {line.lower().replace("_", "-") for line in listed.splitlines()} - {""}
    found = {line for line in found if not line.startswith(("pip==", "setuptools=="))}
    assert found == {line.split()[0] for line in wanted.splitlines()}
    assert host.check_output(f"{folder}/venv/bin/python -m pip check").strip() == "No broken requirements found."


def test_every_stream_is_on_the_bus(host: Host, settings: Settings) -> None:
    streams = {stream["name"] for stream in json.loads(host.check_output(f"{PROGRAM} status --json --seconds 0.2"))}
    assert {one["stream"] for one in settings["services_instances"] if "stream" in one} <= streams


def test_the_database_holds_exactly_the_bars_that_were_replayed(host: Host, settings: Settings) -> None:
    if "EURUSD.csv" not in settings["services_data"]:
        pytest.skip("the sample bars are replayed in the lab only (group_vars/lab.yml)")
    wanted = replayed(settings["services_data"]["EURUSD.csv"])
    which = f"FROM bars WHERE symbol = 'EURUSD' AND source = 'gym-anytrading' AND \"interval\" = {HOUR_US}"
    count = f"SELECT count() {which}"
    wait_until("all bars are stored", lambda: rows(host, settings, count)[0][0] >= len(wanted))
    found = rows(host, settings, f"SELECT cast(ts AS LONG), open, high, low, close, volume {which} ORDER BY ts")
    assert [tuple(row) for row in found] == wanted


def replayed(path: str) -> list[tuple[float, ...]]:
    """Return close (us) and numbers of every line of the file, which stamps a bar at its open."""
    with Path(path).open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    opened = [datetime.strptime(line["Time"], "%d.%m.%Y %H:%M:%S.%f").replace(tzinfo=UTC) for line in lines]
    return [
        (int(start.timestamp()) * 1_000_000 + HOUR_US, *(float(line[name]) for name in COLUMNS))
        for start, line in zip(opened, lines, strict=True)
    ]


@described
def test_history_is_as_it_was_written_and_anchored(host: Host, settings: Settings) -> None:
    recorder = next(one for one in settings["services_instances"] if one["kind"] == "recorder")
    # The newest checkpoint reaches an anchor within some seconds.
    wait_until(
        "all anchors keep checkpoints", lambda: " 0 anchored" not in host.run(f"{PROGRAM} journal verify").stdout
    )
    answer = host.check_output(f"{PROGRAM} journal verify --json")
    assert set(json.loads(answer)["anchored"]) == {anchor["name"] for anchor in recorder["anchors"]}


def test_the_recorder_reaches_its_anchors_and_others_nobody(host: Host, units: Units) -> None:
    for unit in units.values():
        allowed, denied = shown(host, unit["unit"], "IPAddressAllow", "IPAddressDeny")
        wanted = {"127.0.0.0/8", "::1/128", *(f"{address}/32" for address in unit["network"])}
        assert set(allowed.split()) == wanted, unit["unit"]
        assert set(denied.split()) == {"0.0.0.0/0", "::/0"}, unit["unit"]


def test_the_kill_switch_has_its_place_and_services_may_not_release_it(host: Host) -> None:
    assert kind(host, HALT) == "directory", HALT
    assert owned(host, HALT) == "root:station 2755", HALT
    as_service = "setpriv --reuid=station --regid=station --clear-groups"
    assert "ermission denied" in refused(host, f"{as_service} touch {HALT}/released")


@described
@pytest.mark.disruptive
def test_each_service_comes_back_when_it_is_killed(host: Host, units: Units) -> None:
    for unit in units.values():
        before = main_pid(host, unit["unit"])
        host.check_output(f"kill -KILL {before}")
        wait_until(
            f"{unit['unit']} is back",
            lambda name=unit["unit"], pid=before: main_pid(host, name) not in {0, pid} and is_ready(host, name),
        )


@described
@pytest.mark.disruptive
def test_all_come_back_when_all_are_killed_and_history_is_whole(host: Host, units: Units) -> None:
    before = {unit["unit"]: main_pid(host, unit["unit"]) for unit in units.values()}
    host.check_output(f"kill -KILL {' '.join(map(str, before.values()))}")
    for name, pid in before.items():
        wait_until(
            f"{name} is back",
            lambda name=name, pid=pid: main_pid(host, name) not in {0, pid} and is_ready(host, name),
        )
    host.check_output(f"{PROGRAM} journal verify")


@described
@pytest.mark.disruptive
def test_a_stop_of_the_target_drains_and_ends_with_the_recorder(host: Host, units: Units) -> None:
    names = [unit["unit"] for unit in units.values()]
    try:
        host.check_output("systemctl stop station.target")
        ended = {name: shown(host, name, "ActiveState", "Result", "InactiveEnterTimestampMonotonic") for name in names}
        assert {name: state[:2] for name, state in ended.items()} == dict.fromkeys(names, ("inactive", "success"))
        last = max(ended, key=lambda name: int(ended[name][2]))
        assert last == names[0]  # who is read by all starts first
    finally:
        host.check_output("systemctl start station.target")
    for name in names:
        wait_until(f"{name} is ready", lambda name=name: is_ready(host, name))
