# SPDX-License-Identifier: Apache-2.0
"""A trial that boots and that nobody can reach ends by itself: the guard on the host gives the proven line back."""

import pytest

HOST = "vm-trading"
# The machine comes up, and whoever wants to confirm it finds no ssh server.
UNREACHABLE = {"kernel_arguments": ["systemd.mask=ssh.service"]}
DROPIN = "/etc/systemd/system/fleet-boot-guard.service.d/test.conf"


@pytest.fixture
def impatient_guard(on_vm):
    """Let the guard wait for two minutes, which the role would refuse as too few for a real machine."""
    on_vm(f"mkdir -p $(dirname {DROPIN})")
    on_vm(f"printf '[Service]\\nExecStart=\\nExecStart=/usr/local/libexec/fleet/boot-guard 2\\n' > {DROPIN}")
    yield
    on_vm(f"rm -r $(dirname {DROPIN}) && systemctl daemon-reload")


@pytest.mark.usefixtures("impatient_guard")
def test_a_trial_that_nobody_can_reach_is_rebooted_by_its_guard(play, on_vm, proven):
    before, boot = proven(), on_vm("cat /proc/sys/kernel/random/boot_id")
    result = play("kernel", HOST, **UNREACHABLE)
    assert result.rc != 0
    assert "no run could reach and confirm it in time, so its own guard rebooted it" in " ".join(result.out.split())
    assert on_vm("cat /proc/sys/kernel/random/boot_id") != boot
    assert proven() == before
    # With the wish from before, the failure is forgotten; nothing is rebooted for it.
    assert play("kernel", HOST).rc == 0
