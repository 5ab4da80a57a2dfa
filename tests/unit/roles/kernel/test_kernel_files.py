# SPDX-License-Identifier: Apache-2.0
"""The script that sets the running kernel, on a played sysfs, and the guard of trials."""

import errno
import importlib
import json
import subprocess

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

from fleet.paths import PROJECT

ROLE = PROJECT / "roles/kernel"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROLE / "files"))
    kernel_settings = importlib.import_module("kernel_settings")

CONFIG = {
    "governor": "performance",
    "energy_preference": "performance",
    "idle_latency_us": 2,
    "isolated": "2-3",
    "offline": "3",
    "transparent_hugepages": "never",
    "textfile_directory": "/metrics",
}
CPU = "sys/devices/system/cpu"
BEFORE = {
    f"{CPU}/cpufreq/policy0/scaling_governor": "powersave\n",
    f"{CPU}/cpufreq/policy0/energy_performance_preference": "balance_performance\n",
    f"{CPU}/cpu2/power/pm_qos_resume_latency_us": "0\n",
    f"{CPU}/cpu3/power/pm_qos_resume_latency_us": "0\n",
    f"{CPU}/cpu3/online": "1\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/transparent_hugepage/defrag": "always defer defer+madvise [madvise] never\n",
}
GOVERNOR, PREFERENCE = (
    f"/{CPU}/cpufreq/policy0/{name}" for name in ("scaling_governor", "energy_performance_preference")
)
AFTER = {
    f"{CPU}/cpufreq/policy0/scaling_governor": "performance",
    f"{CPU}/cpufreq/policy0/energy_performance_preference": "performance",
    f"{CPU}/cpu2/power/pm_qos_resume_latency_us": "2",
    f"{CPU}/cpu3/power/pm_qos_resume_latency_us": "0",
    f"{CPU}/cpu3/online": "0",
    "sys/kernel/mm/transparent_hugepage/enabled": "never",
    "sys/kernel/mm/transparent_hugepage/defrag": "never",
}


class Driven(kernel_settings.Machine):  # type: ignore[name-defined, misc]  # loaded by its path
    """A machine whose frequency driver refuses as intel_pstate does, with one CPU a policy."""

    def load(self, name: str) -> str:
        policy = name.partition("/cpufreq/policy")[2].partition("/")[0]
        online = self.path(f"{CPU}/cpu{policy}/online")
        if policy and online.exists() and online.read_text().strip() == "0":
            raise OSError(errno.EBUSY, "Device or resource busy")
        return str(super().load(name))

    def store(self, name: str, value: str) -> None:
        folder, _, last = name.rpartition("/")
        if last == "energy_performance_preference" and self.load(f"{folder}/scaling_governor") == "performance":
            raise OSError(errno.EBUSY, "Device or resource busy")
        super().store(name, value)
        if last == "scaling_governor" and value == "performance":
            super().store(f"{folder}/energy_performance_preference", "performance")


@pytest.fixture
def machine(tmp_path):
    for name, text in BEFORE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    wish(tmp_path)
    return Driven(tmp_path)


def wish(root, **changes) -> None:
    (root / "etc/fleet").mkdir(parents=True, exist_ok=True)
    (root / "etc/fleet/kernel.json").write_text(json.dumps(CONFIG | changes))


def values(machine) -> dict[str, str]:
    return {name: kernel_settings.chosen((machine.root / name).read_text()) for name in BEFORE}


def test_apply_writes_what_is_wanted_and_restore_what_was_there(machine):
    before = values(machine)
    assert kernel_settings.main(["apply"], machine) == 0
    assert values(machine) == AFTER
    assert kernel_settings.main(["apply"], machine) == 0
    assert kernel_settings.main(["restore"], machine) == 0
    assert values(machine) == before
    assert kernel_settings.main(["restore"], machine) == 0


def test_a_cpu_comes_back_before_its_own_settings_do(machine):
    kernel_settings.apply(machine)
    remembered = list(machine.json(kernel_settings.BEFORE))
    assert remembered[-1] == f"/{CPU}/cpu3/online"


def test_empty_wishes_write_nothing(machine):
    before = values(machine)
    empty = {"governor": "", "energy_preference": "", "idle_latency_us": 0, "offline": "", "transparent_hugepages": ""}
    wish(machine.root, **empty)
    assert kernel_settings.apply(machine).lines == ("set 0",)
    assert values(machine) == before


def test_a_machine_without_frequency_driver_is_left_alone(machine):
    for path in (machine.root / CPU / "cpufreq/policy0").iterdir():
        path.unlink()
    (machine.root / CPU / "cpufreq/policy0").rmdir()
    assert kernel_settings.main(["apply"], machine) == 0
    assert kernel_settings.main(["check"], machine) == 0


def test_a_realtime_kernel_has_no_transparent_huge_pages_which_is_never(machine):
    for name in ("enabled", "defrag"):
        (machine.root / "sys/kernel/mm/transparent_hugepage" / name).unlink()
    assert kernel_settings.apply(machine).errors == ()
    wish(machine.root, transparent_hugepages="always")
    (line,) = [line for line in kernel_settings.apply(machine).errors if "enabled" in line]
    assert "No such file" in line


def test_what_was_there_comes_back_although_the_driver_takes_no_preference_under_performance(machine, capsys):
    """ExecStop would fail: intel_pstate answers EBUSY until the governor has gone."""
    kernel_settings.main(["apply"], machine)
    assert kernel_settings.main(["restore"], machine) == 0, capsys.readouterr().err
    assert machine.load(GOVERNOR) == "powersave"
    assert machine.load(PREFERENCE) == "balance_performance"


def test_a_second_run_finds_and_sets_nothing(machine, capsys):
    assert kernel_settings.main(["check"], machine) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "differs 6"
    kernel_settings.main(["apply"], machine)
    # Under the governor performance the preference has followed.
    assert capsys.readouterr().out.splitlines()[-1] == "set 5"
    for command, said in (("check", "differs 0\n"), ("apply", "set 0\n")):
        assert kernel_settings.main([command], machine) == 0
        assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{CPU}/cpufreq/policy0/scaling_governor", "powersave"),
        (f"{CPU}/cpu2/power/pm_qos_resume_latency_us", "0"),
        (f"{CPU}/cpu3/online", "1"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never"),
    ],
)
def test_what_somebody_changed_is_named_and_set_again(machine, capsys, path, value):
    kernel_settings.main(["apply"], machine)
    capsys.readouterr()
    (machine.root / path).write_text(value)
    found, want = kernel_settings.chosen(value), AFTER[path]
    assert kernel_settings.main(["check"], machine) == 1
    assert capsys.readouterr().out == f"/{path} is {found}, wanted {want}\ndiffers 1\n"
    assert (machine.root / path).read_text() == value
    assert kernel_settings.main(["apply"], machine) == 0
    assert capsys.readouterr().out == f"/{path} was {found}, is {want}\nset 1\n"
    assert values(machine) == AFTER


def test_a_file_that_this_machine_lacks_differs_and_is_not_the_end(machine, capsys):
    kernel_settings.main(["apply"], machine)
    capsys.readouterr()
    (machine.root / CPU / "cpu2/power/pm_qos_resume_latency_us").unlink()
    assert kernel_settings.main(["check"], machine) == 1
    assert capsys.readouterr().out.endswith("pm_qos_resume_latency_us is absent, wanted 2\ndiffers 1\n")


def test_the_frequency_of_a_cpu_that_is_offline_is_nobodys_concern(machine, capsys):
    policy = machine.root / CPU / "cpufreq/policy3"
    policy.mkdir()
    (policy / "scaling_governor").write_text("powersave\n")
    (policy / "energy_performance_preference").write_text("balance_performance\n")
    kernel_settings.main(["apply"], machine)
    capsys.readouterr()
    assert kernel_settings.main(["check"], machine) == 0
    assert kernel_settings.main(["apply"], machine) == 0
    assert capsys.readouterr().out == "differs 0\nset 0\n"
    assert kernel_settings.main(["restore"], machine) == 0
    assert (policy / "scaling_governor").read_text() == "powersave"


def test_what_the_kernel_does_not_take_is_a_line_and_an_exit_status(machine, capsys):
    path = machine.root / CPU / "cpufreq/policy0/scaling_governor"
    path.unlink()
    path.mkdir()
    assert kernel_settings.main(["apply"], kernel_settings.Machine(machine.root)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "scaling_governor: the kernel refuses performance" in line


def test_an_unknown_command_is_refused(machine, capsys):
    assert kernel_settings.main(["start"], machine) == 2
    assert "apply, check, restore, metrics" in capsys.readouterr().err


LINE = {"release": "6.12", "words": ["root=x", "isolcpus=2"]}


@pytest.mark.parametrize(
    ("state", "words", "pending"),
    [
        (None, "root=x", False),
        ({"phase": "staged", "line": LINE, "boot_id": "1"}, "root=x", True),
        ({"phase": "armed", "line": LINE, "boot_id": "1"}, "root=x", True),
        ({"phase": "proven", "line": LINE, "boot_id": "0"}, "root=x isolcpus=2", False),
        ({"phase": "proven", "line": LINE, "boot_id": "0"}, "root=x isolcpus=2 fleet.trial=0 panic=30", False),
        ({"phase": "proven", "line": LINE, "boot_id": "0"}, "root=x", True),
        ({"phase": "proven", "line": LINE | {"release": "6.13"}, "boot_id": "0"}, "root=x isolcpus=2", True),
        ({"phase": "stock", "line": LINE, "boot_id": "1"}, "root=x", True),
        ({"phase": "stock", "line": LINE, "boot_id": "0"}, "root=x", False),
    ],
)
def test_a_reboot_is_pending_until_the_recorded_line_runs(machine, state, words, pending):
    proc = machine.root / "proc/sys/kernel/random"
    proc.mkdir(parents=True)
    (proc / "boot_id").write_text("1\n")
    (proc.parent / "osrelease").write_text("6.12\n")
    (machine.root / "proc/cmdline").write_text(f"BOOT_IMAGE=/vmlinuz {words}\n")
    (machine.root / "metrics").mkdir()
    if state:
        machine.put(kernel_settings.STATE, json.dumps(state))
    assert kernel_settings.main(["metrics"], machine) == 0
    text = (machine.root / "metrics/fleet_kernel.prom").read_text()
    assert f"\nfleet_reboot_pending {int(pending)}\n" in text
    assert text.endswith("\nfleet_boot_trial_failed 0\n")
    machine.put(kernel_settings.FAILED, "{}")
    kernel_settings.metrics(machine)
    assert "fleet_boot_trial_failed 1\n" in (machine.root / "metrics/fleet_kernel.prom").read_text()


def test_without_the_exporters_folder_there_are_no_metrics(machine):
    assert kernel_settings.main(["metrics"], machine) == 0
    assert not (machine.root / "metrics").exists()


def guard(tmp_path, cmdline: str, uptime: str, confirmed: bool, marker: str = "") -> tuple[str, str]:
    """Run the guard with played files and commands; returns what it called and the marker."""
    script = (ROLE / "files/boot-guard.sh").read_text()
    (tmp_path / "reached").write_text(marker)
    (tmp_path / "cmdline").write_text(cmdline + "\n")
    (tmp_path / "uptime").write_text(uptime + "\n")
    if confirmed:
        (tmp_path / "confirmed").touch()
    for real, played in (
        ("/proc/cmdline", "cmdline"),
        ("/proc/uptime", "uptime"),
        ("/run/fleet/boot-confirmed", "confirmed"),
        ("/var/lib/fleet/kernel/reached", "reached"),
    ):
        assert real in script
        script = script.replace(real, str(tmp_path / played))
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n')
    # Time passes by sleeping.
    (bin_folder / "sleep").write_text(f"#!/bin/sh\necho 1000.5 0 >{tmp_path}/uptime\n")
    for path in bin_folder.iterdir():
        path.chmod(0o755)
    path = f"{bin_folder}:/usr/bin:/bin"
    subprocess.run(["sh", "-c", script, "guard", "10"], env={"PATH": path}, check=True, timeout=20)
    calls = (tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else ""
    return calls, (tmp_path / "reached").read_text()


def test_the_guard_reboots_a_trial_that_nobody_confirms(tmp_path):
    calls, marker = guard(tmp_path, "quiet fleet.trial=12ab panic=30", "30.1 2", confirmed=False)
    assert calls.splitlines()[-3:] == ["--no-block reboot", "--force reboot", "--force --force reboot"]
    assert marker == "12ab\n"


def test_the_guard_lets_a_confirmed_trial_and_any_other_boot_run(tmp_path):
    assert "reboot" not in guard(tmp_path, "quiet fleet.trial=12ab", "99999.0 2", confirmed=True)[0]
    (tmp_path / "second").mkdir()
    assert guard(tmp_path / "second", "quiet", "99999.0 2", confirmed=False, marker="old") == ("", "old")


def test_what_the_guard_and_the_module_agree_on():
    """Words and paths that stand in two languages."""
    script = (ROLE / "files/boot-guard.sh").read_text()
    host = (PROJECT / "roles/kernel/module_utils/kernel_boot_host.py").read_text()
    for name in ("/run/fleet/boot-confirmed", "/var/lib/fleet/kernel/reached"):
        assert name in script
        assert name in host
    unit = (ROLE / "templates/fleet-boot-guard.service.j2").read_text()
    mark = "fleet.trial"
    assert f'MARK = "{mark}"' in (PROJECT / "roles/kernel/module_utils/kernel_boot_plan.py").read_text()
    assert f"{mark}=*" in script
    assert f"ConditionKernelCommandLine={mark}\n" in unit


def test_no_reboot_starts_that_could_last_into_the_market():
    """What the role itself allows for a reboot, and ten minutes for what comes before it."""
    values = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    render = NativeEnvironment().from_string
    for minutes in (5, 15, 120):
        seconds = render(values["__kernel_reboot_seconds"]).render(kernel_confirm_minutes=minutes)
        margin = render(values["__kernel_margin_minutes"]).render(__kernel_reboot_seconds=seconds)
        assert int(margin) * 60 == int(seconds) + 600
    assert "margin_minutes=__kernel_margin_minutes)" in values["__kernel_hours"]
    boot = yaml.safe_load((ROLE / "tasks/run.yml").read_text())[0]["kernel_boot"]
    allowed = render(boot["reboot_allowed"])
    assert allowed.render(kernel_reboot_allowed=True, __kernel_hours={"near": False})
    assert not allowed.render(kernel_reboot_allowed=True, __kernel_hours={"near": True})
    assert not allowed.render(kernel_reboot_allowed=False, __kernel_hours={"near": False})


def test_a_dry_run_compares_with_the_running_kernel_and_sets_nothing():
    tasks = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks/configure.yml").read_text())}
    compare = tasks["Compare with the running kernel, and set what differs"]
    render = NativeEnvironment().from_string(compare["ansible.builtin.command"]["cmd"]).render
    assert render(dry_run=True).endswith("kernel-settings check")
    assert render(dry_run=False).endswith("kernel-settings apply")
    assert compare["check_mode"] is False


@pytest.mark.parametrize("group", ["", "pages"])
def test_a_mount_of_huge_pages_belongs_to_the_group_or_to_root(group):
    text = (ROLE / "templates/dev-hugepages.mount.j2").read_text()
    values = {"__kernel_page_size": "2M", "__kernel_hugepage_kib": {"2M": 2048}, "kernel_hugepages_group": group}
    options = NativeEnvironment().from_string(text).render(**values).splitlines()[-1]
    assert options == "Options=pagesize=2M,nosuid,nodev" + (",mode=1770,gid=pages" if group else "")


def test_the_limits_of_the_group_are_written_and_removed():
    text = NativeEnvironment().from_string((ROLE / "templates/61-hugepages.conf.j2").read_text())
    lines = text.render(kernel_hugepages_group="pages").splitlines()
    assert lines[-2:] == [f"@pages {kind} memlock unlimited" for kind in ("soft", "hard")]
    values = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    assert values["__kernel_limits_file"] == "/etc/security/limits.d/61-hugepages.conf"
    for name in ("configure.yml", "stock.yml"):
        tasks = yaml.safe_load((ROLE / "tasks" / name).read_text())
        purged = [pattern for task in tasks for pattern in task.get("file_set", {}).get("purge", [])]
        assert "{{ __kernel_limits_file }}" in purged


def test_the_defaults_change_nothing():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert defaults["kernel_profile"] == "none"
    assert not defaults["kernel_reboot_allowed"]
    assert not any(defaults[name] for name in ("kernel_arguments", "kernel_hugepages", "kernel_governor"))
