# SPDX-License-Identifier: Apache-2.0
"""The tools of `make latency` are there, its runner understands this host, and nothing runs until it is called."""

import json

RUNNER = "/usr/local/libexec/station/latency-run"


def test_every_package_is_installed(host, settings):
    for name in settings["latency_packages"]:
        assert host.package(name).is_installed, name


def test_only_root_can_change_the_runner(host):
    file = host.file(RUNNER)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o755)


def test_nothing_runs_until_it_is_called(host):
    for unit in ("station-latency.service", "station-latency-peer.service"):
        assert host.check_output("systemctl show --property=ActiveState --value %s", unit) == "inactive"
    assert host.run("pgrep -x 'sockperf|stress-ng|oslat|cyclictest'").rc == 1


def test_the_runner_sees_the_cpus_that_the_kernel_isolates(host):
    code = "import sys, json; sys.dont_write_bytecode = True; from importlib.machinery import SourceFileLoader as L; "
    code += "m = L('latency_run', sys.argv[1]).load_module().look(); print(json.dumps([m.isolated, m.housekeeping]))"
    isolated, housekeeping = json.loads(host.check_output("python3 -W ignore -c %s %s", code, RUNNER))
    online = int(host.check_output("nproc --all"))
    assert housekeeping, "no CPU is left for the system"
    assert not set(isolated) & set(housekeeping)
    assert len(isolated) + len(housekeeping) <= online
