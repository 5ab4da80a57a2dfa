# SPDX-License-Identifier: Apache-2.0
"""A kernel line that does not boot, and power that fails at a bad moment, cost a reboot and never the machine."""

import pytest

HOST = "vm-hft"
# Without its initial file system the kernel finds no disk, and panics.
UNBOOTABLE = {"kernel_arguments": ["rdinit=/nowhere"]}
# Boots, and changes nothing that anybody notices.
HARMLESS = {"kernel_arguments": ["nosoftlockup"]}
TEXTFILES = "/var/lib/prometheus/node-exporter"


@pytest.fixture(scope="module")
def metrics(on_vm):
    """Return a function that reads what the machine would tell Prometheus, had it a node exporter."""
    on_vm(f"mkdir -p {TEXTFILES}")
    yield lambda: on_vm(f"cat {TEXTFILES}/fleet_kernel.prom").splitlines()
    on_vm(f"rm -r {TEXTFILES}")


def test_a_line_that_does_not_boot_falls_back_without_help_and_is_reported(play, on_vm, proven, metrics):
    before, boot = proven(), on_vm("cat /proc/sys/kernel/random/boot_id")
    result = play("kernel", HOST, **UNBOOTABLE)
    said = " ".join(result.out.split())
    assert result.rc != 0
    assert "rdinit=/nowhere" in said
    assert "did not reach user space" in said
    assert on_vm("cat /proc/sys/kernel/random/boot_id") != boot
    assert proven() == before
    assert on_vm("test ! -e /etc/grub.d/42_fleet_trial && grub-editenv list").strip() in {"", "next_entry="}
    assert "fleet_boot_trial_failed 1" in metrics()

    again = play("kernel", HOST, **UNBOOTABLE)
    assert again.rc != 0
    assert "it failed before" in " ".join(again.out.split())

    boot = on_vm("cat /proc/sys/kernel/random/boot_id")
    # With the wish from before, the failure is forgotten; nothing is rebooted for it.
    assert play("kernel", HOST).rc == 0
    assert "fleet_boot_trial_failed 0" in metrics()
    assert on_vm("cat /proc/sys/kernel/random/boot_id") == boot


def test_power_that_fails_between_the_new_menu_and_the_reboot_is_repaired_by_the_next_run(
    play, on_vm, proven, metrics, power_cut
):
    before = proven()
    for dry in (False, True):
        staged = play("kernel", HOST, check=dry, kernel_reboot_allowed=False, **HARMLESS)
        assert staged.rc == 0, staged.out
        assert "Reboot pending: staged for a trial: arguments nosoftlockup" in staged.out
        assert "kernel_reboot_allowed is false" in " ".join(staged.out.split())
    assert "fleet_reboot_pending 1" in metrics()
    power_cut()
    assert proven() == before
    repaired = play("kernel", HOST)
    assert repaired.rc == 0, repaired.out
    assert "fleet_reboot_pending 0" in metrics()
    assert on_vm("test ! -e /etc/grub.d/42_fleet_trial && echo gone").strip() == "gone"
    assert "nosoftlockup" not in on_vm("cat /boot/grub/grub.cfg")
