# SPDX-License-Identifier: Apache-2.0
"""Isolated CPUs and the boot line: each wrong wish is refused with file and line before a host is touched."""

from __future__ import annotations

import pytest

from fleet.model.model import Fleet
from fleet.paths import PROJECT

ALL = "inventory/main/group_vars/all.yml"
DATABASE = "inventory/main/group_vars/database.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"
BETA = "inventory/main/host_vars/beta.yml"
KERNEL = """
argument_specs:
  main:
    options:
      kernel_profile: {type: str, choices: [none, cloud, inference, trading, hft], default: none, description: Profile.}
      kernel_arguments: {type: list, elements: str, default: [], description: Arguments.}
      kernel_flavour: {type: str, choices: [generic, realtime], default: generic, description: Flavour.}
      kernel_version: {type: str, default: "", description: Version.}
      kernel_transparent_hugepages: {type: str, default: "", description: Transparent huge pages.}
      kernel_hugepages:
        type: list
        elements: dict
        default: []
        description: Pages.
        options:
          size: {type: str, choices: [2M, 1G], description: Size.}
          count: {type: int, description: Count.}
          node: {type: int, description: Node.}
      irq_cpus: {type: str, default: "", description: CPUs for interrupts.}
"""


@pytest.fixture
def tuned(sandbox):
    """Return the sandbox with a kernel role on alpha, where cores 3 and 4 of four (CPUs 4-7) are isolated."""
    sandbox.write("roles/kernel/meta/argument_specs.yml", KERNEL.lstrip())
    sandbox.write("roles/kernel/defaults/main.yml", 'kernel_profile: none\nkernel_arguments: []\nirq_cpus: ""\n')
    sandbox.add("playbooks/data.yml", '- name: "Kernel: tune"\n  hosts: database\n  roles: [kernel]\n')
    sandbox.add(ALL, "boot_kernel_arguments: []\n")
    sandbox.add(DATABASE, "kernel_profile: hft\n")
    sandbox.replace(ALPHA, 'store_cpus: "2-5"', 'store_cpus: "2-3"')
    sandbox.add(ALPHA, "cpu_isolation:\n  housekeeping_cores: 2\n  services: {store: 1, feed: 1}\n")
    return sandbox


def test_a_wish_that_the_host_can_fulfil_passes(tuned):
    assert tuned.lines() == []


@pytest.mark.parametrize(
    ("change", "start", "words"),
    [
        (
            ("housekeeping_cores: 2", 'cpus: "3-6"'),
            "host_vars/alpha.yml:11: alpha: cpu_isolation.cpus: ",
            '"3-6" splits the sibling threads 2/3, 6/7 of a core; take "4-5" or "2-7"',
        ),
        (
            ("store: 1", "store: 2"),
            "host_vars/alpha.yml:12: alpha: cpu_isolation.services: ",
            "want 3 cores (store 2, feed 1) and 2 are isolated",
        ),
        (
            ("feed: 1", "feed: none"),
            "host_vars/alpha.yml:12: alpha: cpu_isolation.services.feed: ",
            "none is no number of cores",
        ),
        (
            ("housekeeping_cores: 2", "housekeeping_cores: true"),
            "host_vars/alpha.yml:11: alpha: cpu_isolation.housekeeping_cores: ",
            "True is no number of cores",
        ),
        (
            ("threads_per_core: 2", "siblings: adjacent"),
            "host_vars/alpha.yml:10: alpha: cpu_isolation: ",
            "set hardware.cpu.threads_per_core",
        ),
    ],
)
def test_a_wish_that_the_host_cannot_fulfil_is_refused_at_its_line(tuned, refused, change, start, words):
    tuned.replace(ALPHA, *change)
    refused(start, words)


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (
            ("housekeeping_cores", "housekeping_cores"),
            "host_vars/alpha.yml:11: alpha: cpu_isolation.housekeping_cores: ",
        ),
        (("housekeeping_cores: 2", "class: fast"), "host_vars/alpha.yml:10: alpha: cpu_isolation: "),
        (("housekeeping_cores: 2", "housekeeping_cores: two"), "host_vars/alpha.yml:10: alpha: cpu_isolation: "),
        (('efficiency_cpus: "8-11"', 'efficiency_cpus: "8..11"'), "host_vars/alpha.yml:8: alpha: hardware.cpu."),
    ],
)
def test_a_wish_of_the_wrong_shape_is_refused_once(tuned, refused, change, start):
    tuned.replace(ALPHA, *change)
    refused(start)


def test_a_list_that_takes_isolated_cpus_is_refused_with_the_lists_it_could_be(tuned, refused):
    tuned.replace(ALPHA, 'store_cpus: "2-3"', 'store_cpus: "2-5"')
    refused(
        'host_vars/alpha.yml:2: alpha: store_cpus: "2-5" takes 4-5 of the isolated CPUs; ',
        'cpu_sets.housekeeping "0-3,8-11"',
        'services.store "4-5", services.feed "6-7"',
    )


@pytest.mark.parametrize("text", ["4-5", "6-7", "4-7", "0-3,8-11", "{{ cpu_sets.services.store }}"])
def test_a_list_may_be_a_service_all_isolated_or_housekeeping_cpus(tuned, text):
    tuned.replace(ALPHA, 'store_cpus: "2-3"', f'store_cpus: "{text}"')
    tuned.add(ALL, "cpu_sets: {services: {store: 4-5}}\n")
    assert tuned.lines() == []


def test_interrupts_may_not_be_on_isolated_cpus_even_if_a_service_has_them(tuned, refused):
    tuned.add(DATABASE, 'irq_cpus: "4-5"\n')
    refused(
        'group_vars/database.yml:3: alpha: irq_cpus: "4-5" takes 4-5 of the isolated CPUs; ',
        'cpu_sets.irq "0-3"',
    )


def test_isolation_without_a_profile_that_isolates_is_refused(tuned, refused):
    tuned.replace(DATABASE, "hft", "cloud")
    refused("group_vars/database.yml:2: alpha: kernel_profile: cloud isolates no CPUs, and cpu_isolation wants 4-7")


def test_a_harmful_argument_is_refused_at_its_line(tuned, refused):
    tuned.add(DATABASE, "kernel_arguments:\n  - quiet\n  - idle=poll\n")
    refused("group_vars/database.yml:5: alpha: kernel_arguments: idle=poll switches Turbo off")


def test_an_argument_of_a_role_that_the_profile_decides_is_refused(tuned, refused):
    tuned.add(DATABASE, "store_kernel_arguments:\n  - skew-tick=0\n")
    refused("group_vars/database.yml:4: alpha: store_kernel_arguments: skew-tick=0 repeats what kernel_profile hft")


def test_an_argument_of_policy_and_role_is_refused_once(tuned, refused):
    tuned.add(DATABASE, "store_kernel_arguments: [pci=noaer]\nkernel_arguments: [pci=nomsi]\n")
    refused("group_vars/database.yml:", "kernel argument pci is claimed by", "keep it in one of them")


def test_an_argument_given_twice_in_one_list_is_refused(tuned, refused):
    tuned.add(DATABASE, "kernel_arguments:\n  - quiet\n  - quiet\n")
    refused("group_vars/database.yml:5: alpha: kernel_arguments: quiet is the second quiet")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{size: 1G, count: 13}", "takes 13312 MiB, more than 80 % of the host"),
        ("{size: 2M, count: 1, node: 1}", "node 1 does not exist"),
    ],
)
def test_huge_pages_that_the_host_does_not_have_are_refused(tuned, refused, entry, words):
    tuned.add(DATABASE, f"kernel_hugepages:\n  - {entry}\n")
    refused("group_vars/database.yml:", " alpha: kernel_hugepages: ", words)


def test_huge_pages_of_a_wrong_size_are_refused_once(tuned, refused):
    tuned.add(DATABASE, "kernel_hugepages:\n  - {size: 4M, count: 1}\n")
    refused("group_vars/database.yml:3: alpha: kernel_hugepages: ", "4M")


def test_a_realtime_kernel_takes_no_preempt(tuned, refused):
    tuned.replace(DATABASE, "hft", "none")
    tuned.replace(ALPHA, "cpu_isolation:\n  housekeeping_cores: 2\n  services: {store: 1, feed: 1}\n", "")
    tuned.add(DATABASE, "kernel_flavour: realtime\nkernel_arguments: [preempt=full]\n")
    refused("group_vars/database.yml:4: alpha: kernel_arguments: preempt=full is unknown to a realtime kernel")


def test_a_pinned_kernel_of_the_other_flavour_is_refused(tuned, refused):
    tuned.add(DATABASE, "kernel_version: 6.12.1-rt-amd64\n")
    refused("group_vars/database.yml:3: alpha: kernel_version: ")


def test_a_host_without_the_wish_is_left_alone(tuned):
    tuned.add(BETA, "cpu_isolation: {}\n")
    assert tuned.lines() == []


@pytest.fixture(scope="module")
def production():
    return Fleet.load(PROJECT / "inventory" / "production", PROJECT, PROJECT / "inventory" / "secrets.yml.example")


@pytest.mark.parametrize(
    ("host", "profile", "isolated", "housekeeping"),
    [
        ("station", "trading", "2-5", "0-1,6-23"),
        ("ms01", "hft", "2-11", "0-1,12-19"),
        ("aibox", "inference", "", "0-11"),
        ("modelserver", "inference", "", "0-63"),
        ("vps", "cloud", "", "0-7"),
    ],
)
def test_each_host_of_the_fleet_has_its_profile_and_its_cpu_sets(production, host, profile, isolated, housekeeping):
    settings = production.settings(host)
    assert settings["kernel_profile"] == profile
    sets = settings["cpu_sets"]
    assert (sets["isolated"], sets["housekeeping"], sets["problems"]) == (isolated, housekeeping, [])


def test_the_services_of_the_station_share_its_isolated_cpus(production):
    assert production.settings("station")["cpu_sets"]["services"] == {"feed": "2-3", "execution": "4", "risk": "5"}


def test_only_the_test_bench_may_be_rebooted_by_a_run_and_the_station_knows_its_market_hours(production):
    allowed = {host for host in production.hosts if production.settings(host).get("kernel_reboot_allowed")}
    assert allowed == {"ms01"}
    assert production.settings("station")["trading_markets"] == ["XNYS"]
