# SPDX-License-Identifier: Apache-2.0
"""What irq-affinity plans to move, on machines made of files."""

import errno
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.host.cpu_lists import compose, parse
from fleet.paths import PROJECT
from tests.unit.roles.render_kit import directives, rendered
from tests.unit.roles.rules_kit import example

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(PROJECT / "roles/irq/files"))
    ip = importlib.import_module("irq_plan")
    ia = importlib.import_module("irq_affinity")

CPUS = st.frozensets(st.integers(0, 200))
ONLINE = frozenset(range(4))
NIC = ip.Device("0000:02:00.0", "8086:1572", frozenset({"i40e"}), frozenset({"enp2s0"}))


def interrupt(number: int, *actions: str, device: Any = None, on: str = "0-3") -> Any:
    return ip.Interrupt(number, actions, device, parse(on))


def config(isolated: str = "2-3", on: str = "0-1", *rules: Any) -> Any:
    return ip.Config(parse(isolated), parse(on), rules)


def moves(config: Any, **host: Any) -> dict[str, str]:
    found = ip.plan(config, ip.Host(online=ONLINE, **host))
    return {change.name: compose(change.want) for change in found}


@given(CPUS)
def test_a_mask_says_the_cpus_that_it_was_made_of(cpus):
    assert ip.parse_mask(ip.format_mask(cpus)) == cpus


@given(CPUS)
def test_a_mask_is_written_in_whole_groups_of_32_bits(cpus):
    groups = ip.format_mask(cpus).split(",")
    assert all(len(group) == 8 for group in groups)
    assert len(groups) == max(cpus, default=0) // 32 + 1


@pytest.mark.parametrize(
    ("text", "cpus"), [("f", "0-3"), ("1,00000000", "32"), ("00000000,00000005", "0,2"), ("0", "")]
)
def test_masks_of_the_kernel_are_read(text, cpus):
    assert compose(ip.parse_mask(text)) == cpus


def test_what_no_rule_places_goes_to_the_cpus_for_interrupts_and_a_part_of_them_will_do():
    there = [interrupt(24, "acpi"), interrupt(25, "rtc0", on="1"), interrupt(26, "ttyS0", on="1-2")]
    assert moves(config(), interrupts=there) == {"24 acpi": "0-1", "26 ttyS0": "0-1"}


def test_nothing_moves_on_a_host_that_isolates_nothing():
    mask = ip.Mask("workqueue", "all unbound", "/sys/x", ONLINE)
    thread = ip.Thread(2, "kthreadd", ONLINE)
    assert moves(config("", ""), interrupts=[interrupt(24, "acpi")], masks=[mask], threads=[thread]) == {}


def test_the_first_rule_that_matches_a_name_decides_and_spreads_in_turn():
    rules = ip.Rule(("i40e-*-TxRx-*",), frozenset({0, 1}), spread=True), ip.Rule(("i40e-*",), frozenset({0}))
    there = [interrupt(30 + n, f"i40e-enp2s0-TxRx-{n}", device=NIC) for n in range(3)]
    there.append(interrupt(29, "i40e-0000:02:00.0:misc", device=NIC))
    assert moves(config("2-3", "0-1", *rules), interrupts=there) == {
        "29 i40e-0000:02:00.0:misc": "0",
        "30 i40e-enp2s0-TxRx-0": "0",
        "31 i40e-enp2s0-TxRx-1": "1",
        "32 i40e-enp2s0-TxRx-2": "0",
    }


@pytest.mark.parametrize("match", ["pci:0000:02:00.0", "pci:8086:1572", "driver:i40e"])
def test_a_device_is_found_by_slot_id_and_driver_whatever_its_number(match):
    there = [interrupt(7, device=NIC), interrupt(99, "other")]
    found = moves(config("2-3", "0-1", ip.Rule((match,), frozenset({3}))), interrupts=there)
    assert found == {"7 0000:02:00.0 (unused)": "3", "99 other": "0-1"}


def test_a_rule_wants_its_cpus_exactly():
    rule = ip.Rule(("nvme*",), frozenset({0, 1}))
    there = [interrupt(5, "nvme0q0", on="1"), interrupt(6, "nvme0q1", on="0-1")]
    assert moves(config("2-3", "0-1", rule), interrupts=there) == {"5 nvme0q0": "0-1"}


def test_packet_queues_leave_isolated_cpus_except_where_a_rule_put_the_interrupts_there():
    masks = [
        ip.Mask("rps", "enp2s0/rx-0", "/sys/a", ONLINE),
        ip.Mask("xps", "eth9/tx-0", "/sys/b", frozenset({2})),
        ip.Mask("rps", "eth9/rx-0", "/sys/c", frozenset({0})),
    ]
    assert moves(config(), masks=masks, devices=[NIC]) == {"enp2s0/rx-0": "0-1", "eth9/tx-0": ""}
    rule = ip.Rule(("driver:i40e",), frozenset({2}))
    assert moves(config("2-3", "0-1", rule), masks=masks, devices=[NIC]) == {"eth9/tx-0": ""}


def test_workqueues_and_new_interrupts_leave_isolated_cpus_also_beyond_those_online():
    masks = [
        ip.Mask("default", "new interrupts", "/proc/d", frozenset(range(8))),
        ip.Mask("workqueue", "all unbound", "/sys/w", frozenset(range(8))),
        ip.Mask("workqueue", "writeback", "/sys/v", frozenset({2, 3})),
    ]
    assert moves(config(), masks=masks) == {"new interrupts": "0-1", "all unbound": "0-1,4-7", "writeback": "0-1"}
    assert moves(config(), masks=[ip.Mask("default", "new interrupts", "/proc/d", frozenset({0, 1, 6}))]) == {}


def test_unbound_kernel_threads_move_and_placed_ones_stay():
    threads = [
        ip.Thread(2, "kthreadd", ONLINE),
        ip.Thread(70, "kswapd1", frozenset({2, 3})),
        ip.Thread(71, "irq/30-nic", frozenset({2, 3})),
        ip.Thread(72, "rcuop/2", frozenset({2})),
        ip.Thread(73, "kauditd", frozenset({0, 1})),
    ]
    assert moves(config(), threads=threads) == {"kthreadd": "0-1", "kswapd1": "0-1"}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path):
    """Return a machine with a virtio port (30 and 31), an NVMe disk (40), a device with a line (9), and threads."""
    pci = "sys/devices/pci0000:00/0000:00"
    write(
        tmp_path,
        {
            "sys/devices/system/cpu/online": "0-3\n",
            f"{pci}:02.0/vendor": "0x1af4\n",
            f"{pci}:02.0/device": "0x1000\n",
            f"{pci}:02.0/irq": "11\n",
            f"{pci}:02.0/msi_irqs/30": "msix\n",
            f"{pci}:02.0/msi_irqs/31": "msix\n",
            f"{pci}:02.0/virtio0/net/eth7/queues/rx-0/rps_cpus": "f\n",
            f"{pci}:04.0/vendor": "0x8086\n",
            f"{pci}:04.0/device": "0x10d3\n",
            f"{pci}:04.0/irq": "9\n",
            "sys/devices/virtual/workqueue/cpumask": "f\n",
            "sys/devices/virtual/workqueue/writeback/cpumask": "3\n",
            "proc/irq/default_smp_affinity": "f\n",
            "proc/2/stat": "2 (kthreadd) S 0 0 0 0 -1 2129984 0\n",
            "proc/15/stat": "15 (ksoftirqd/2) S 2 0 0 0 -1 69238848 0\n",
            "proc/16/stat": "16 (odd) name)) S 2 0 0 0 -1 2129984 0\n",
            "proc/900/stat": "900 (sshd) S 1 900 900 0 -1 4194560 0\n",
        },
    )
    for number, action in ((30, "virtio0-config"), (31, ""), (40, "nvme0q1"), (9, "acpi,eth8"), (99, "")):
        write(
            tmp_path,
            {f"sys/kernel/irq/{number}/actions": f"{action}\n", f"proc/irq/{number}/smp_affinity_list": "0-3\n"},
        )
    for link, target in {
        "sys/bus/pci/devices/0000:00:02.0": f"{pci}:02.0",
        "sys/bus/pci/devices/0000:00:04.0": f"{pci}:04.0",
        "sys/class/net/eth7": f"{pci}:02.0/virtio0/net/eth7",
        f"{pci}:02.0/virtio0/net/eth7/device": f"{pci}:02.0/virtio0",
        f"{pci}:02.0/virtio0/driver": "sys/bus/virtio/drivers/virtio_net",
        f"{pci}:02.0/driver": "sys/bus/pci/drivers/virtio-pci",
    }.items():
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(tmp_path / target)
    return tmp_path


@pytest.fixture
def threads():
    return {2: {0, 1, 2, 3}, 16: {0, 1}, 900: {2}}


@pytest.fixture
def machine(root, threads):
    return ia.Machine(root, root / "run/fixed.json", lambda pid: threads[pid], threads.__setitem__)


def test_the_machine_is_read_by_what_interrupts_serve(machine):
    host = machine.look()
    assert host.online == ONLINE
    port = ip.Device("0000:00:02.0", "1af4:1000", frozenset({"virtio-pci", "virtio_net"}), frozenset({"eth7"}))
    assert host.devices == (port, ip.Device("0000:00:04.0", "8086:10d3"))
    there = {item.number: (item.name, item.device and item.device.slot) for item in host.interrupts}
    assert there == {
        30: ("virtio0-config", "0000:00:02.0"),
        31: ("0000:00:02.0 (unused)", "0000:00:02.0"),
        40: ("nvme0q1", None),
        9: ("acpi,eth8", "0000:00:04.0"),
    }
    assert {(mask.kind, mask.name) for mask in host.masks} == {
        ("default", "new interrupts"),
        ("rps", "eth7/rx-0"),
        ("workqueue", "all unbound"),
        ("workqueue", "writeback"),
    }
    assert {(thread.pid, thread.name) for thread in host.threads} == {(2, "kthreadd"), (16, "odd) name)")}


CONFIG = {"isolated": "2-3", "cpus": "0-1", "rules": [{"match": ["driver:virtio_net"], "cpus": "1", "spread": False}]}


@pytest.fixture
def tool(root, machine):
    write(root, {"etc/irq.json": json.dumps(CONFIG)})
    metrics = root / "prom/fleet_irq.prom"
    paths = ["--config", str(root / "etc/irq.json"), "--metrics", str(metrics)]
    return lambda *words: ia.main([*paths, *words], machine)


def test_apply_moves_everything_check_then_agrees_and_a_second_apply_moves_nothing(root, tool, threads, capsys):
    assert tool("check") == 1
    assert (root / "proc/irq/30/smp_affinity_list").read_text() == "0-3\n"
    capsys.readouterr()
    (root / "prom").mkdir()
    assert tool("apply") == 0
    assert "moved    irq        30 virtio0-config" in capsys.readouterr().out
    assert (root / "proc/irq/30/smp_affinity_list").read_text() == "1\n"
    assert (root / "proc/irq/40/smp_affinity_list").read_text() == "0-1\n"
    assert (root / "proc/irq/default_smp_affinity").read_text() == "00000003\n"
    assert (root / "sys/devices/virtual/workqueue/cpumask").read_text() == "00000003\n"
    assert threads[2] == {0, 1}
    assert tool("check") == 0
    assert tool("apply") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "moved 0, fixed by the kernel 0"
    assert "fleet_irq_moved 0" in (root / "prom/fleet_irq.prom").read_text()


def test_without_a_place_for_them_no_metrics_are_left(root, machine):
    write(root, {"etc/irq.json": json.dumps(CONFIG)})
    assert ia.main(["--config", str(root / "etc/irq.json"), "apply"], machine) == 0
    assert not list(root.rglob("*.prom"))


@pytest.mark.parametrize("again", [False, True])
def test_the_unit_leaves_its_metrics_in_the_folder_of_the_exporter_and_may_write_there(again):
    folder = example().settings("station")["node_exporter_textfile"]
    unit = directives(rendered("irq", "fleet-irq.service.j2", __irq_again=again))
    assert unit["ExecStart"] == [f"/usr/local/libexec/fleet/irq-affinity --metrics {folder}/fleet_irq.prom apply"]
    assert unit["ReadWritePaths"] == [f"-{folder}"]


def test_interrupts_are_placed_after_ports_and_kernel_are_set():
    after = directives(rendered("irq", "fleet-irq.service.j2", __irq_again=False))["After"]
    assert after == ["network.target fleet-nic.service fleet-kernel.service"]
    assert directives(rendered("irq", "fleet-irq.service.j2", __irq_again=True))["After"] == ["fleet-kernel.service"]


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM, errno.EACCES])
def test_a_managed_interrupt_is_counted_and_remembered_and_is_no_error(tool, machine, monkeypatch, capsys, code):
    real = machine.move
    monkeypatch.setattr(machine, "move", lambda change: code if "nvme" in change.name else real(change))
    assert tool("apply") == 0
    out = capsys.readouterr().out
    assert "fixed    irq        40 nvme0q1" in out
    assert "fixed by the kernel 1" in out
    assert tool("check") == 0


@pytest.mark.parametrize(
    ("code", "name"), [(errno.ENOSPC, "nvme"), (errno.EPERM, "kthreadd"), (errno.EPERM, "eth7/rx-0")]
)
def test_any_other_refusal_is_an_error_that_names_it(  # noqa: PLR0917 - fixtures
    tool, machine, monkeypatch, capsys, code, name
):
    real = machine.move
    monkeypatch.setattr(machine, "move", lambda change: code if name in change.name else real(change))
    assert tool("apply") == 1
    assert name in capsys.readouterr().err


def test_what_does_not_stay_where_it_was_put_is_an_error(tool, machine, monkeypatch, capsys):
    monkeypatch.setattr(machine, "move", lambda _change: 0)
    assert tool("apply") == 1
    assert "irq 40 nvme0q1 is on 0-3 again, wanted 0-1" in capsys.readouterr().err


def test_irqbalance_leaves_only_what_a_rule_places(tool, capsys):
    assert tool("policy", "/sys/x", "30") == 0
    assert tool("policy", "/sys/x", "40") == 0
    assert capsys.readouterr().out.split() == ["ban=true", "ban=false"]


def test_a_process_whose_name_is_no_text_is_no_error(root, machine):
    (root / "proc/901").mkdir()
    (root / "proc/901/stat").write_bytes(b"901 (\xe5\xb8\x82\xe5\x9c) S 1 900 900 0 -1 4194560 0\n")
    assert [thread.pid for thread in machine.look().threads] == [2, 16]


def test_a_process_that_ends_meanwhile_is_no_error(machine):
    def gone(_pid, _cpus):
        raise ProcessLookupError(errno.ESRCH, "gone")

    machine._put = gone
    assert machine.move(ip.Change("kthread", "x", "5", ONLINE, frozenset({0}))) == 0
