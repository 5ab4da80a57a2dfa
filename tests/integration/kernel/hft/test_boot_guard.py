# SPDX-License-Identifier: Apache-2.0
"""A trial that boots and that nobody can reach ends by itself: the guard on the host gives the proven line back."""

HOST = "vm-hft"
# The machine comes up, and whoever wants to confirm it finds no ssh server.
UNREACHABLE = {"kernel_arguments": ["systemd.mask=ssh.service"], "kernel_confirm_minutes": 5}


def test_a_trial_that_nobody_can_reach_is_rebooted_by_its_guard(play, on_vm, proven):
    before, boot = proven(), on_vm("cat /proc/sys/kernel/random/boot_id")
    result = play("kernel", HOST, **UNREACHABLE)
    assert result.rc != 0
    assert "no run could reach and confirm it in time, so its own guard rebooted it" in " ".join(result.out.split())
    assert on_vm("cat /proc/sys/kernel/random/boot_id") != boot
    assert proven() == before
    # With the wish from before, the failure is forgotten; nothing is rebooted for it.
    assert play("kernel", HOST).rc == 0
