# SPDX-License-Identifier: Apache-2.0
"""The tools of `make latency` are there, its runner understands this host, and nothing runs until it is called."""

import json

from fleet.hardware.cpus import parse
from tests.host.state import installed, owned, unit

RUNNER = "/usr/local/libexec/fleet/latency-run"
PLAN = "/usr/local/libexec/fleet/latency_plan.py"
LISTS = "/usr/local/libexec/fleet/cpu_lists.py"
LOOK = """
import json, os, sys
from importlib.machinery import SourceFileLoader
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(sys.argv[1]))
runner = SourceFileLoader("latency_run", sys.argv[1]).load_module()
found = runner.look(runner.cpus(sys.argv[2]))
print(json.dumps([found.isolated, found.housekeeping, found.idle, found.sets()]))
"""


def test_every_package_is_installed(host, settings):
    wanted = settings["latency_packages"]
    assert installed(host, wanted) == set(wanted)


def test_only_root_can_change_the_runner(host):
    for name, mode in ((RUNNER, 755), (PLAN, 644), (LISTS, 644)):
        assert owned(host, name) == f"root:root {mode}", name


def test_nothing_runs_until_it_is_called(host):
    for name in ("fleet-latency.service", "fleet-latency-peer.service"):
        assert unit(host, name).partition(",")[0] == "inactive", name
    assert host.run("pgrep --list-name -x 'sockperf|stress-ng|oslat|cyclictest'").stdout == ""


def test_the_runner_sees_the_cpus_that_the_kernel_isolates_and_measures_on_none_that_is_left_empty(host, settings):
    empty = settings["cpu_sets"]["idle"]
    words = host.check_output("python3 -W ignore -c %s %s %s", LOOK, RUNNER, empty)
    isolated, housekeeping, idle, measured = json.loads(words)
    online = int(host.check_output("nproc --all"))
    assert housekeeping, "no CPU is left for the system"
    assert set(isolated) & set(housekeeping) == set(), "both isolated and for the system"
    assert len(isolated) + len(housekeeping) <= online
    assert set(idle) == set(isolated) & parse(empty)
    assert set(idle) & {cpu for cpus in measured.values() for cpu in cpus} == set(), "measured, though left empty"
