# SPDX-License-Identifier: Apache-2.0
"""Power that fails at a bad moment costs a reboot and never the machine."""

HOST = "vm-hft"
# Boots, and changes nothing that anybody notices.
HARMLESS = {"kernel_arguments": ["nosoftlockup"]}


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
