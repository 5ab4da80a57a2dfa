# SPDX-License-Identifier: Apache-2.0
"""The node exporter measures the machine, listens on one address, and can do nothing else."""

import re

from tests.host.state import exposure, refused, unit

UNIT = "prometheus-node-exporter.service"


def metrics(host, settings) -> str:
    address = f"http://{settings['node_exporter_address']}:{settings['node_exporter_port']}/metrics"
    code = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    return str(host.check_output("python3 -c %s %s", code, address))


def value(text: str, series: str) -> float | None:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else None


def test_it_listens_on_its_address_and_no_other(host, settings):
    rows = host.check_output("ss -Hltn sport = :%s", str(settings["node_exporter_port"])).splitlines()
    assert [row.split()[3] for row in rows] == [f"{settings['node_exporter_address']}:{settings['node_exporter_port']}"]


def test_it_starts_at_boot_and_runs(host):
    assert unit(host, UNIT) == "active, enabled", UNIT


def test_it_measures_the_machine(host, settings):
    text = metrics(host, settings)
    total = int(host.check_output("awk '/^MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert value(text, "node_memory_MemTotal_bytes") == total
    boot = int(host.check_output("awk '/^btime/ {print $2}' /proc/stat"))
    # The kernel rounds the boot time each time it is asked.
    assert abs((value(text, "node_boot_time_seconds") or 0) - boot) <= 1


def test_disabled_collectors_are_off(host, settings):
    text = metrics(host, settings)
    for collector in settings["node_exporter_disabled_collectors"]:
        assert value(text, f'node_scrape_collector_success{{collector="{collector}"}}') is None, collector


def test_enabled_collectors_work(host, settings):
    text = metrics(host, settings)
    for collector in settings["node_exporter_collectors"]:
        assert value(text, f'node_scrape_collector_success{{collector="{collector}"}}') == 1, collector


def test_a_unit_that_fails_is_reported(host, settings):
    name = "fleet-test-failure.service"
    try:
        host.run("systemd-run --wait --unit=%s false", name)
        assert (
            value(metrics(host, settings), f'node_systemd_unit_state{{name="{name}",state="failed",type="simple"}}')
            == 1
        )
    finally:
        host.run("systemctl reset-failed %s", name)


def test_the_group_may_leave_metrics_and_others_may_not(host, settings):
    file = f"{settings['node_exporter_textfile']}/fleet-test.prom"
    write = "umask 022; echo 'fleet_test_metric 42' > %s"
    try:
        said = refused(host, "setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c %s", write % file)
        assert "Permission denied" in said
        host.check_output("setpriv --reuid=nobody --regid=prometheus --clear-groups sh -c %s", write % file)
        assert value(metrics(host, settings), "fleet_test_metric") == 42
    finally:
        host.run("rm -f %s", file)


def test_the_process_has_no_capability_and_gains_none(host):
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    status = dict(line.split(":\t", 1) for line in host.file(f"/proc/{pid}/status").content_string.splitlines())
    found = {name: int(status[name], 16) for name in ("CapEff", "CapBnd", "NoNewPrivs")}
    assert found == {"CapEff": 0, "CapBnd": 0, "NoNewPrivs": 1}
    assert host.check_output("ps -o user= -p %s", pid) == "prometheus"


def test_the_unit_is_hardened(host):
    assert exposure(host, UNIT) <= 2.0, UNIT
