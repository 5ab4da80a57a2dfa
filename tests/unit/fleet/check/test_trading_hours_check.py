# SPDX-License-Identifier: Apache-2.0
"""Trading hours that cannot be read, leave a host no time to be changed, or are decided in the wrong place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from station.modes.markets import market

from fleet.check.trading_hours import check
from fleet.model.model import Fleet
from fleet.paths import PROJECT

ALL = "inventory/main/group_vars/all.yml"
DATABASE = "inventory/main/group_vars/database.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"
SUNDAY = '  - {days: [Sun], from: "06:00", until: "10:00", timezone: UTC}\n'


def test_a_market_that_does_not_exist_is_refused_at_its_line_with_one_that_does(sandbox, refused):
    sandbox.add(DATABASE, "trading_markets:\n  - XNYS\n  - XNSY\n")
    refused("group_vars/database.yml:4: alpha: trading_markets.1: there is no market 'XNSY'", "write XNYS")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            '{days: [Mon], from: "09:30", until: 960, timezone: UTC}',
            "trading_windows[0].until: YAML reads it as a",
        ),
        ('{days: [Monday], from: "09:30", until: "10:00", timezone: UTC}', "trading_windows.0.days: ['Monday'] are no"),
        (
            '{days: [Mon], from: "09:30", until: "10:00", timezone: X}',
            "trading_windows.0.timezone: there is no time",
        ),
        ('{days: [Mon], from: "09:30", until: "09:30", timezone: UTC}', "trading_windows.0: from and until are both"),
        ('{days: [Mon], from: "09:30", until: "10:00"}', "trading_windows.0.timezone: there is no time zone None"),
        ('{days: [Mon], from: "09:30", untl: "10:00", timezone: UTC}', "trading_windows[0].untl: unknown key"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_at_its_line(sandbox, refused, wrong, words):
    sandbox.add(DATABASE, f"trading_windows:\n  - {wrong}\n")
    line = refused("group_vars/database.yml:3: ", words)
    assert "alpha" in line or "group database" in line


def test_a_market_that_never_closes_is_refused_without_a_maintenance_window_where_it_is_named(sandbox, refused):
    sandbox.add(ALL, "trading_maintenance_windows: []\n")
    sandbox.add(DATABASE, 'trading_markets: ["24/7"]\n')
    refused(
        "group_vars/database.yml:2: alpha: trading_maintenance_windows: 24/7 leaves the host less than 2 free hours",
        "name a time of the week in which it trades nothing",
    )


def test_with_a_maintenance_window_it_passes_and_with_one_that_is_too_short_it_is_refused(sandbox, refused):
    sandbox.add(DATABASE, f'trading_markets: ["24/7"]\ntrading_maintenance_windows:\n{SUNDAY}')
    assert sandbox.lines() == []
    sandbox.replace(DATABASE, '"10:00"', '"07:00"')
    refused("group_vars/database.yml:3: alpha: trading_maintenance_windows: ")


def test_a_word_in_place_of_a_list_is_refused_though_ansible_would_split_it(sandbox, refused):
    sandbox.add(DATABASE, "trading_markets: XNYS\n")
    refused("group_vars/database.yml:2: alpha: trading_markets: ", "a list is due")


@pytest.mark.parametrize("value", ["XNYS", "{a: 1}", "3", "[[XNYS]]", "[{a: 1}]", "[null]", "", "true"])
@pytest.mark.parametrize("key", ["trading_markets", "trading_windows", "trading_maintenance_windows"])
def test_a_value_of_another_type_is_refused_or_taken_as_ansible_takes_it_and_never_crashes(sandbox, key, value):
    sandbox.add(DATABASE, f"{key}: {value}\n")
    for line in sandbox.lines():
        assert line.startswith("group_vars/database.yml:2: ")
        assert f" {key}" in line


@pytest.mark.parametrize("key", ["dry_run", "trading_frozen"])
def test_nobody_but_the_runs_decides_whether_a_host_is_frozen(sandbox, refused, key):
    sandbox.add(ALPHA, f"{key}: false\n")
    refused(f"host_vars/alpha.yml:10: alpha: {key}: a run decides it", 'make site OVERRIDE="reason"')


def test_an_override_cannot_be_left_in_the_inventory(sandbox, refused):
    sandbox.add(ALL, "trading_override: always\n")
    refused("group_vars/all.yml:5: all: trading_override: unknown variable")


def test_a_table_of_sessions_that_ends_soon_is_a_problem_for_each_host_that_needs_it(sandbox):
    sandbox.add(DATABASE, "trading_markets: [XNYS]\n")
    last = datetime.combine(market("XNYS").last, datetime.min.time(), UTC)
    assert list(check(sandbox.fleet(), lambda: last - timedelta(days=60))) == []
    [problem] = check(sandbox.fleet(), lambda: last - timedelta(days=20))
    assert (problem.subject, problem.key) == ("alpha", "trading_markets")


@pytest.mark.parametrize(
    ("host", "markets"), [("station", ["XNYS"]), ("vps", ["24/7"]), ("ms01", []), ("aibox", []), ("laptop", [])]
)
def test_each_host_of_production_names_the_markets_that_freeze_it(host, markets):
    fleet = Fleet.load(PROJECT / "inventory/production", PROJECT, PROJECT / "inventory/secrets.yml.example")
    settings = fleet.settings(host)
    assert settings["trading_markets"] == markets
    # Until a run has decided.
    assert settings["trading_frozen"] is settings["dry_run"] is bool(markets)


def test_in_the_lab_nobody_trades():
    fleet = Fleet.load(PROJECT / "inventory/lab", PROJECT, PROJECT / "inventory/secrets.yml.example")
    assert {host for host in fleet.hosts if fleet.settings(host)["trading_markets"]} == set()
