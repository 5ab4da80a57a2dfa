# SPDX-License-Identifier: Apache-2.0
"""The running kernel, the file for the next boot, and the declarations say the same."""

from itertools import pairwise

import pytest

from roles.sysctl.library.sysctl_applied import assignments
from roles.sysctl.module_utils.sysctl_keys import canonical, key_path, normalise

FILE = "/etc/sysctl.d/99-zz-fleet.conf"


@pytest.fixture(scope="module")
def declared(host):
    return assignments(host.file(FILE).content_string)


@pytest.fixture(scope="module")
def container(host):
    return host.run("systemd-detect-virt --container --quiet").rc == 0


def test_the_policy_of_the_inventory_is_in_the_file(settings, declared):
    policy = settings["sysctl_settings"] | settings["sysctl_tuning"]
    assert policy, "the inventory declares no kernel parameter"
    wanted = {canonical(key): normalise(value) for key, value in policy.items()}
    assert {key: declared.get(key, "nothing") for key in wanted} == wanted


def test_every_key_in_the_file_names_its_owner(host, declared):
    lines = [line for line in host.file(FILE).content_string.splitlines() if line]
    owners = {key.split(" = ")[0]: comment for comment, key in pairwise(lines) if " = " in key}
    assert owners.keys() == declared.keys()
    assert [key for key, comment in owners.items() if not comment.startswith("# ")] == []


def test_the_running_kernel_has_every_declared_value(host, settings, declared, container, record_property):
    keys = [key for key in declared if not container or key.startswith("net.")]
    # Of net.*, a container sees and may write only what belongs to its own network namespace.
    test = "test -w" if container else "test -e"
    script = "\n".join(
        f"{test} /proc/sys/{key_path(key)} && echo '{key} = '$(cat /proc/sys/{key_path(key)})" for key in keys
    )
    running = assignments(host.run(script).stdout)
    record_property("compared", f"{len(running)} of {len(declared)} keys")
    print(f"compared {len(running)} of {len(declared)} declared keys")
    assert running, "the kernel shows none of the declared parameters"
    assert running == {key: declared[key] for key in running}
    missing = set(keys) - running.keys() - {canonical(key) for key in settings["sysctl_optional"]}
    assert (set() if container else missing) == set(), "the kernel does not know them"


def test_no_file_read_later_at_boot_changes_a_declared_value(host, declared):
    boot = assignments(host.check_output("/usr/lib/systemd/systemd-sysctl --cat-config"))
    assert {key: boot.get(key) for key in declared} == declared
