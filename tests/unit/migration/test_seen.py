# SPDX-License-Identifier: Apache-2.0
"""What counts as lost and as left behind when a host of before is brought to this commit."""

import pytest

from tests.migration.seen import Seen, left_over, lost

BEFORE = Seen(
    accounts=frozenset({"station:x:994:993::/var/lib/station:/usr/sbin/nologin"}),
    history={"/var/lib/station/journal/1.segment": (10, "a")},
    records=5,
    streams={"md:replay": 7},
)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/ssh/sshd_config.d/10-station.conf",
        "/etc/station/kernel.json",
        "/etc/systemd/system/station-irq.service",
        "/etc/systemd/system/multi-user.target.wants/station-nic.service",
        "/etc/systemd/system/redis-server@bus.service.d/10-station.conf",
        "/usr/local/libexec/station/boot-guard",
        "/var/lib/station/units",
        "/run/station",
        "station-boot-guard.service",
        "station_reboot_pending",
    ],
)
def test_a_name_of_the_machine_is_left_over(name):
    assert left_over(Seen(names=(name,))) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/station",
        "/etc/station/anchor.keys",
        "/etc/systemd/system/station-anchor@.service",
        "/etc/systemd/system/station.target.wants/station@journal.service",
        "/etc/systemd/system/station@journal.service.d",
        "/var/lib/station/journal",
        "/var/lib/station-oversight",
        "/usr/local/libexec/station/station",
        "/var/lib/fleet/units/station@journal.service.json",
        "station@journal.service",
        "station-anchor.socket",
        r"system-station\x2danchor.slice",
    ],
)
def test_what_the_trading_services_keep_is_not(name):
    assert left_over(Seen(names=(name,))) == []


def test_what_is_kept_or_has_grown_is_not_lost():
    grown = Seen((), BEFORE.accounts | {"new"}, {**BEFORE.history, "/more": (1, "b")}, 6, {"md:replay": 8})
    assert lost(BEFORE, BEFORE) == []
    assert lost(BEFORE, grown) == []


def test_everything_that_is_lost_is_named():
    assert lost(BEFORE, Seen()) == [
        "account station:x:994:993::/var/lib/station:/usr/sbin/nologin",
        "0 records of the journal are as they were written, of 5",
        "stream md:replay has 0 entries of 7",
        "file /var/lib/station/journal/1.segment",
    ]
