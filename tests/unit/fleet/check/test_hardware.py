# SPDX-License-Identifier: Apache-2.0
"""Hardware that cannot be."""

from __future__ import annotations

ALPHA = "inventory/main/host_vars/alpha.yml"
BETA = "inventory/main/host_vars/beta.yml"


def test_two_cards_in_one_slot_are_refused(sandbox, refused):
    card = '{model: card, architecture: ada, vram_gib: 8, pci_slot: "0000:01:00.0"}'
    sandbox.replace(BETA, "[{model: card, architecture: ada, vram_gib: 8}]", f"[{card}, {card}]")
    refused(
        "host_vars/beta.yml:5: beta: hardware.gpus[1].pci_slot: 0000:01:00.0 is the slot of hardware.gpus[0].pci_slot"
    )


def test_a_gpu_and_a_network_card_in_one_slot_are_refused(sandbox, refused):
    sandbox.replace(BETA, "vram_gib: 8}]", 'vram_gib: 8, pci_slot: "0000:01:00.0"}]')
    sandbox.add(BETA, '  nics: [{model: x, driver: y, pci_id: "1924:0b03", use: lan, pci_slot: "0000:01:00.0"}]\n')
    refused("host_vars/beta.yml:6: beta: hardware.nics[0].pci_slot: ", "hardware.gpus[0].pci_slot too")


def test_cpus_that_are_in_neither_list_are_refused(sandbox, refused):
    sandbox.replace(ALPHA, '"8-11"', '"9-12"')
    refused("host_vars/alpha.yml:8: alpha: hardware.cpu.efficiency_cpus: CPUs 8 are in neither list")


def test_cpus_that_begin_after_zero_are_refused(sandbox, refused):
    sandbox.replace(BETA, '"0-3"', '"1-4"')
    refused("host_vars/beta.yml:4: beta: hardware.cpu.performance_cpus: CPUs 0 are in neither list")


def test_a_pci_id_of_another_form_is_refused(sandbox, refused):
    sandbox.add(BETA, '  nics: [{model: x, driver: y, pci_id: "1924-0b03", use: lan}]\n')
    refused("host_vars/beta.yml:6: beta: hardware.nics[0].pci_id: '1924-0b03' has another form", "lspci -n")
