# SPDX-License-Identifier: Apache-2.0
"""Values of a wrong shape: refused with their own key and line, before Ansible converts them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.shapes import misfits

DATABASE = "inventory/main/group_vars/database.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"
BETA = "inventory/main/host_vars/beta.yml"
SLOT = "gpus: [{model: card, architecture: ada, vram_gib: 8"


@pytest.mark.parametrize(
    ("old", "new", "start", "word"),
    [
        ("  memory_gib: 16", "  memory_gib: 16GB", "host_vars/beta.yml:3: beta: hardware.memory_gib: ", "int"),
        ("  memory_gib: 16", "  memory_gib: -160", "host_vars/beta.yml:3: beta: hardware.memory_gib: ", "less than 1"),
        ("  memory_gib: 16", "  memory_gib: 0", "host_vars/beta.yml:3: beta: hardware.memory_gib: ", "less than 1"),
        ("  memory_gib: 16", "  memory_gib:", "host_vars/beta.yml:3: beta: hardware.memory_gib: ", "is empty"),
        ("  memory_gib: 16", "  memory_gib: [16]", "host_vars/beta.yml:3: beta: hardware.memory_gib: ", "int"),
        ("vram_gib: 8", "vram_gib: -96", "host_vars/beta.yml:5: beta: hardware.gpus[0].vram_gib: ", "less than 1"),
        ("vram_gib: 8", "vram_gib: yes", "host_vars/beta.yml:5: beta: hardware.gpus[0].vram_gib: ", "yes or no"),
        (
            "[{model: card, architecture: ada, vram_gib: 8}]",
            "{model: card}",
            "host_vars/beta.yml:5: beta: hardware.gpus: ",
            "a list is due",
        ),
        (
            "[{model: card, architecture: ada, vram_gib: 8}]",
            "[card]",
            "host_vars/beta.yml:5: beta: hardware.gpus[0]: ",
            "a mapping is due",
        ),
        (
            "vram_gib: 8}",
            "vram_gib: 8, power_watts: 0}",
            "host_vars/beta.yml:5: beta: hardware.gpus[0].power_watts: ",
            "less",
        ),
        (
            "vram_gib: 8}",
            'vram_gib: 8, pci_slot: "04:00.0"}',
            "host_vars/beta.yml:5: beta: hardware.gpus[0].pci_slot: ",
            "lspci -D",
        ),
        ("model: card, ", "", "host_vars/beta.yml:5: beta: hardware.gpus[0].model: ", "required and not set"),
        ("{model: plain, ", "{model: 5600, ", "host_vars/beta.yml:4: beta: hardware.cpu.model: ", "write it in quotes"),
        (
            'performance_cpus: "0-3"',
            "performance_cpus: 0",
            "host_vars/beta.yml:4: beta: hardware.cpu.performance_cpus: ",
            "quotes",
        ),
        (
            'performance_cpus: "0-3"',
            'performance_cpus: "0-3", threads_per_core: yes',
            "host_vars/beta.yml:4: beta: hardware.cpu.threads",
            "yes or no",
        ),
        (
            "operating_system: debian-13",
            "operating_system: 13",
            "host_vars/beta.yml:1: beta: operating_system: ",
            "quotes",
        ),
        ("hardware:\n", "hardware: 0\n_rest:\n", "host_vars/beta.yml:2: beta: hardware: ", "a mapping is due"),
    ],
)
def test_hardware_of_a_wrong_shape_is_refused_at_its_own_line(sandbox, old, new, start, word):
    sandbox.replace(BETA, old, new)
    lines = [line for line in sandbox.lines() if "without a GPU" not in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith(start), lines
    assert word in lines[0]


@pytest.mark.parametrize("slot", ["0000:01:00.0", "0000:04:00.1"])
def test_a_pci_slot_that_yaml_reads_as_a_number_is_refused(sandbox, slot):
    sandbox.replace(BETA, "vram_gib: 8}", f"vram_gib: 8, pci_slot: {slot}}}")
    assert all("hardware.gpus[0].pci_slot" in line and "quotes" in line for line in sandbox.lines())
    assert sandbox.lines()


@pytest.mark.parametrize("text", ["off", "no", "yes", "5", "1.5", "2024-01-01", "on"])
def test_what_is_no_text_where_one_is_due_is_refused_even_when_a_choice_looks_like_it(sandbox, refused, text):
    sandbox.add(DATABASE, f"store_cpus: {text}\n")
    sandbox.replace(ALPHA, 'store_cpus: "2-5"\n', "")
    refused("group_vars/database.yml:2: alpha: store_cpus: YAML reads it as ", "write it in quotes")


def test_a_text_where_a_list_is_due_is_refused_though_ansible_would_split_it(sandbox, refused):
    sandbox.add(DATABASE, "store_kernel_arguments: quiet\n")
    refused("group_vars/database.yml:2: alpha: store_kernel_arguments: is a text where a list is due")


def test_a_number_out_of_a_template_may_stand_where_text_is_due(sandbox):
    sandbox.replace(ALPHA, 'store_cpus: "2-5"', 'store_cpus: "{{ [2, 3] | max }}-{{ 2 + 3 }}"')
    sandbox.replace(ALPHA, "{{ [2, 3] | max }}-{{ 2 + 3 }}", "{{ 4 + 4 }}")
    assert sandbox.lines() == []


@pytest.mark.parametrize(("host", "value"), [("beta", "many"), ("gamma", "[1]"), ("beta", "true")])
def test_a_type_is_checked_on_a_host_without_the_role_too(sandbox, host, value):
    sandbox.add(f"inventory/main/host_vars/{host}.yml", f"store_port: {value}\n")
    assert any(f": {host}: store_port: " in line and "int" in line for line in sandbox.lines())


def test_a_type_is_checked_where_another_value_wins(sandbox):
    sandbox.add("inventory/main/group_vars/all.yml", "store_port: many\n")
    sandbox.add(DATABASE, "store_port: 1\n")
    (line,) = sandbox.lines()
    assert line.startswith("group_vars/all.yml:5: all: store_port: ")


def test_an_undefined_name_beside_a_fact_is_found(sandbox, refused):
    sandbox.add(DATABASE, "store_port: \"{{ ansible_facts['memtotal_mb'] // dividor }}\"\n")
    refused("group_vars/database.yml:2: alpha: store_port: cannot be rendered: 'dividor' is undefined")


@pytest.mark.parametrize("text", ["dividor | default(2)", "dividor if dividor is defined else 2", "store_admin_port"])
def test_a_name_with_a_default_beside_a_fact_is_none_that_is_undefined(sandbox, text):
    sandbox.add(DATABASE, f"store_port: \"{{{{ ansible_facts['memtotal_mb'] // ({text}) }}}}\"\n")
    assert sandbox.lines() == []


@pytest.mark.parametrize("port", [70000, 0, -22])
def test_a_port_out_of_range_is_refused(sandbox, refused, port):
    sandbox.add(BETA, f"ansible_port: {port}\n")
    refused("host_vars/beta.yml:6: beta: ansible_port: ", "than")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
SPEC = {
    "type": "dict",
    "options": {
        "a": {"type": "int", "minimum": 1, "maximum": 5},
        "b": {"type": "list", "elements": "dict", "options": {"": {"type": "str", "pattern": "x+", "required": True}}},
        "": {"type": "float", "choices": [1.0], "default": 1.0},
    },
}


@given(value=ANYTHING, kind=st.sampled_from(["str", "int", "float", "bool", "list", "dict", "path", "raw", "tree"]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_value_against_any_type_gives_words_and_no_traceback(value, kind):
    spec = SPEC if kind == "tree" else {"type": kind}
    for misfit in misfits("key", spec, value, value):
        assert misfit.path.startswith("key")
        assert misfit.wrong
        assert misfit.right
