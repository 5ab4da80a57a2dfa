# SPDX-License-Identifier: Apache-2.0
"""A kernel line that does not boot costs a reboot and never the machine."""

HOST = "vm-hft"
# Without its initial file system the kernel finds no disk, and panics.
UNBOOTABLE = {"kernel_arguments": ["rdinit=/nowhere"]}


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
