# SPDX-License-Identifier: Apache-2.0
"""What YAML takes otherwise than its writer: keys that stand twice, keys that are no text, old notations of numbers."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
DATABASE = "inventory/main/group_vars/database.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"


@pytest.mark.parametrize(
    ("name", "change", "start", "first"),
    [
        (HOSTS, ("    beta:", "    alpha: {ansible_host: 10.0.0.9}\n    beta:"), "hosts.yml:4: -: alpha: ", "line 3"),
        (ALPHA, ("_gib: 16\n", "_gib: 16\n  memory_gib: 32\n"), "host_vars/alpha.yml:5: alpha: hardware.m", "line 4"),
        (DATABASE, ("fast", "fast\nstore_port: 1\nstore_mode: safe"), "group_vars/database.yml:3: group", "line 1"),
        (HOSTS, ("{alpha: }", "{alpha: , alpha: }"), "hosts.yml:7: -: alpha: ", "line 7"),
        (HOSTS, ("    gpu:", "    database: {hosts: {beta: }}\n    gpu:"), "hosts.yml:8: -: database: ", "line 7"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(sandbox, name, change, start, first):
    sandbox.replace(name, *change)
    (line,) = [line for line in sandbox.lines() if "is written twice" in line]
    assert line.startswith(start), line
    assert first in line


def test_what_a_merge_brings_in_may_be_written_again(sandbox):
    sandbox.add(DATABASE, "boot_optional:\n  - &one {name: a, size: 1}\n  - {<<: *one, name: b}\n")
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("store_port: 022", ("store_port", "YAML reads 022 as 18")),
        ("store_port: 1:30", ("store_port", "YAML reads 1:30 as 90")),
        ("store_sysctl: {yes: 1}", ("store_sysctl.yes", "as yes or no")),
        ("store_sysctl: {1: 1}", ("store_sysctl.1", "as a number")),
        ("store_sysctl: {~: 1}", ("store_sysctl.~", "as nothing")),
        ("store_sysctl: {2024-01-01: 1}", ("store_sysctl.2024-01-01", "as a date")),
        ("on: 1", ("group database: on:", "as yes or no")),
    ],
)
def test_what_yaml_reads_otherwise_is_refused_at_its_line(sandbox, text, words):
    sandbox.add(DATABASE, text + "\n")
    line = next(line for line in sandbox.lines() if "YAML reads" in line)
    assert line.startswith("group_vars/database.yml:2: group database: ")
    assert all(word in line for word in words), line


def test_an_alias_inside_what_it_names_is_refused(sandbox):
    sandbox.add(DATABASE, "boot_optional: &all\n  - *all\n")
    assert sandbox.lines()[0].startswith("group_vars/database.yml:1: -: database.yml: invalid YAML: an alias refers")
