# SPDX-License-Identifier: Apache-2.0
"""The running kernel is the wanted one, with the wanted line, and the next boot will be the same."""

import json
import re

import pytest

from fleet.hardware.cpus import compose, parse
from roles.kernel.filter_plugins.kernel_arguments import kernel_arguments
from roles.kernel.module_utils.kernel_boot_plan import without_marks
from tests.host.state import exposure, kind, refused, unit

CPU = "/sys/devices/system/cpu"
KIB = {"2M": 2048, "1G": 1048576}
DROPIN = "/etc/default/grub.d/60-fleet.cfg"
SCRIPT = "/etc/grub.d/42_fleet_trial"
TOOL = "/usr/local/libexec/fleet/kernel-settings"
# Maps one page of a mount and writes into it: the path of a file that is not there, and the page's size in bytes.
MAP = (
    "import mmap, os, sys; path, size = sys.argv[1], int(sys.argv[2]); "
    "f = os.open(path, os.O_RDWR | os.O_CREAT, 0o600); os.unlink(path); os.ftruncate(f, size); "
    "m = mmap.mmap(f, size); m[0] = 7; print(m[0])"
)
STATE = "/var/lib/fleet/kernel/state.json"
METRICS = "fleet_kernel.prom"


def text(host, path: str) -> str:
    return str(host.check_output("cat %s", path)).strip()


@pytest.fixture(scope="module")
def sets(settings):
    return settings["cpu_sets"]


@pytest.fixture(scope="module")
def isolated(sets):
    return parse(sets["isolated"])


@pytest.fixture(scope="module")
def managed(settings):
    """Skip what a stock machine does not have."""
    if (
        settings["kernel_profile"] == "none"
        and settings["kernel_flavour"] == "generic"
        and not settings["kernel_version"]
    ):
        pytest.skip("kernel_profile is none: the boot is the distribution's own")


@pytest.fixture(scope="module")
def words(host):
    """Words of the running command line, without those of a trial that was confirmed in this boot."""
    running = [word for word in text(host, "/proc/cmdline").split() if not word.startswith("BOOT_IMAGE=")]
    return without_marks(tuple(running))[0]


@pytest.fixture(scope="module")
def wanted(settings, sets):
    options = {
        "hugepages": settings["kernel_hugepages"],
        "transparent_hugepages": settings["kernel_transparent_hugepages"],
        "flavour": settings["kernel_flavour"],
        "arguments": {"kernel_arguments": settings["kernel_arguments"]},
    }
    return kernel_arguments(settings["kernel_profile"], sets, options)


@pytest.fixture(scope="module")
def state(host):
    return json.loads(text(host, STATE))


@pytest.mark.usefixtures("managed")
def test_the_running_command_line_ends_in_what_the_profile_asks_for(words, wanted):
    # Roles of the host may add theirs, after the profile's.
    start = words.index(wanted[0]) if wanted else 0
    assert list(words[start : start + len(wanted)]) == wanted
    assert "splash" not in words
    assert len({word for word in words if word.startswith("isolcpus=")}) <= 1


@pytest.mark.usefixtures("managed")
def test_the_kernel_knows_every_word(host, wanted):
    log = host.run("dmesg").stdout
    unknown = re.findall(r'Unknown kernel command line parameters "([^"]*)"', log)
    assert {word for line in unknown for word in line.split()} & set(wanted) == set(), "the kernel does not know them"


@pytest.mark.usefixtures("managed")
def test_the_wanted_kernel_runs(host, settings):
    release = host.check_output("uname -r")
    flavour = "realtime" if re.search(r"-(rt|realtime|lowlatency)(-|$)", release) else "generic"
    assert flavour == settings["kernel_flavour"], release
    if settings["kernel_version"]:
        assert release == settings["kernel_version"]
        assert f"linux-image-{release}" in host.check_output("apt-mark showhold").split()


def test_exactly_the_wanted_cpus_are_isolated(host, sets):
    assert parse(text(host, f"{CPU}/isolated")) == parse(sets["isolated"])


def test_exactly_the_wanted_cpus_have_no_tick(host, sets):
    assert parse(text(host, f"{CPU}/nohz_full").replace("(null)", "")) == parse(sets["isolated"])


def test_callbacks_of_isolated_cpus_run_elsewhere(host, isolated):
    """Each isolated CPU has its own rcuo threads, and none of them may run on it or on another isolated one."""
    if not isolated:
        pytest.skip("no CPU is isolated")
    rows = [row.split() for row in host.check_output("ps -eo pid=,comm=").splitlines()]
    threads = {name: pid for pid, name in (row[:2] for row in rows) if re.match(r"rcuo[a-z]/\d+$", name)}
    assert {int(name.partition("/")[2]) for name in threads} >= isolated
    for name, pid in threads.items():
        affinity = re.search(r"Cpus_allowed_list:\s*(\S+)", text(host, f"/proc/{pid}/status"))
        assert affinity is not None, f"/proc/{pid}/status"
        assert parse(affinity[1]) & isolated == set(), name


def test_pid_1_and_what_it_starts_stay_off_isolated_cpus(host, isolated):
    allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", text(host, "/proc/1/status"))
    assert allowed is not None
    assert parse(allowed[1]) & isolated == set(), "PID 1"


# What trades there would feel it.
@pytest.mark.disruptive
def test_a_process_that_a_unit_pins_runs_on_its_isolated_cpu(host, sets, isolated):
    offline = parse(sets["offline"])
    if not isolated - offline:
        pytest.skip("no CPU is isolated")
    cpu = min(isolated - offline)
    look = "grep Cpus_allowed_list /proc/self/status; cut -d' ' -f39 /proc/self/stat"
    out = host.check_output(
        "systemd-run --wait --pipe --quiet --collect -p CPUAffinity=%s sh -c %s", str(cpu), look
    ).split()
    # Field 39 of stat is the CPU that the process last ran on (proc_pid_stat(5)).
    assert out[1:] == [str(cpu), str(cpu)]


def test_huge_pages_are_reserved_by_size_and_node(host, settings):
    for entry in settings["kernel_hugepages"]:
        node = entry.get("node")
        folder = "/sys/kernel/mm/hugepages" if node is None else f"/sys/devices/system/node/node{node}/hugepages"
        found = int(text(host, f"{folder}/hugepages-{KIB[entry['size']]}kB/nr_hugepages"))
        assert found >= entry["count"], entry


def test_huge_pages_can_be_mapped_where_they_are_mounted(host, settings):
    for size in {entry["size"] for entry in settings["kernel_hugepages"]}:
        shown = host.run("findmnt --noheadings --output FSTYPE,OPTIONS %s", f"/dev/hugepages{size}").stdout
        found = set(re.findall(r"hugetlbfs|pagesize=\w+", shown))
        same = {"hugetlbfs", f"pagesize={KIB[size] // 1024}M"}  # how some kernels write a page of 1G
        assert found == (same if found == same else {"hugetlbfs", f"pagesize={size}"}), f"/dev/hugepages{size}"
        path = f"/dev/hugepages{size}/fleet-test"
        assert host.check_output("python3 -c %s %s %s", MAP, path, str(KIB[size] * 1024)) == "7"


def test_the_group_of_huge_pages_can_map_one_and_nobody_else_can(host, settings):
    group = settings["kernel_hugepages_group"]
    sizes = {entry["size"] for entry in settings["kernel_hugepages"]}
    if not (group and sizes):
        pytest.skip("huge pages are root's")
    start = "systemd-run --wait --pipe --quiet --collect -p User=nobody"
    for size in sizes:
        words = (MAP, f"/dev/hugepages{size}/fleet-test", str(KIB[size] * 1024))
        mine = f"{start} -p SupplementaryGroups=%s python3 -c %s %s %s"
        assert host.check_output(mine, group, *words) == "7", size
        assert "Permission denied" in refused(host, f"{start} python3 -c %s %s %s", *words), size
    limits = text(host, "/etc/security/limits.d/61-hugepages.conf").splitlines()
    assert {f"@{group} {kind} memlock unlimited" for kind in ("soft", "hard")} <= set(limits)


def test_transparent_huge_pages_are_as_wanted(host, words):
    wish = next((word.partition("=")[2] for word in words if word.startswith("transparent_hugepage=")), "")
    if not wish:
        pytest.skip("the kernel's own choice")
    assert f"[{wish}]" in text(host, "/sys/kernel/mm/transparent_hugepage/enabled")


def test_every_cpu_has_the_wanted_governor_or_the_machine_has_none(host, settings):
    policies = host.run(f"ls -d {CPU}/cpufreq/policy*").stdout.split()
    if settings["kernel_governor"] and not policies:
        assert kind(host, f"{CPU}/cpu0/cpufreq/scaling_governor") == "absent", "no policy, but a governor"
    for policy in policies if settings["kernel_governor"] else ():
        assert text(host, f"{policy}/scaling_governor") == settings["kernel_governor"]
    for policy in policies if settings["kernel_energy_preference"] else ():
        assert text(host, f"{policy}/energy_performance_preference") == settings["kernel_energy_preference"]


def test_isolated_cpus_may_not_sleep_deeper_than_allowed_and_others_may(host, settings, isolated):
    values = {}
    for number in parse(text(host, f"{CPU}/online")):
        values[number] = text(host, f"{CPU}/cpu{number}/power/pm_qos_resume_latency_us")
    for number, value in values.items():
        limit = settings["kernel_idle_latency_us"] if number in isolated else 0
        assert value == str(limit), f"CPU {number}"
    assert "idle=poll" not in text(host, "/proc/cmdline")


def test_exactly_the_wanted_siblings_are_offline(host, sets):
    present, online = parse(text(host, f"{CPU}/present")), parse(text(host, f"{CPU}/online"))
    assert compose(present - online) == sets["offline"]


@pytest.mark.usefixtures("managed")
def test_the_next_boot_is_what_runs_now(host, words):
    """The default entry of the real grub.cfg, not the drop-in that it was made from."""
    dropin, config = text(host, DROPIN), text(host, "/boot/grub/grub.cfg")
    default = re.search(r'^GRUB_DEFAULT="(.*)"$', dropin, re.MULTILINE)
    assert default is not None
    assert f'   set default="{default[1]}"' in config
    entry = re.search(rf"id_option '{re.escape(default[1].rpartition('>')[2])}' {{\n(.*?)\n\s*}}", config, re.DOTALL)
    assert entry is not None
    line = re.search(r"^\s*linux\s+(\S+)\s+(.*)$", entry[1], re.MULTILINE)
    assert line is not None
    assert line[1].rpartition("/")[2] == f"vmlinuz-{host.check_output('uname -r')}"
    assert tuple(line[2].split()) == words


def test_no_trial_is_left(host):
    assert kind(host, SCRIPT) == "absent", SCRIPT
    assert "fleet-trial" not in text(host, "/boot/grub/grub.cfg")
    assert "next_entry=fleet-trial" not in host.check_output("grub-editenv /boot/grub/grubenv list")
    assert kind(host, "/var/lib/fleet/kernel/failed.json") == "absent", "/var/lib/fleet/kernel/failed.json"


@pytest.mark.usefixtures("managed")
def test_what_the_last_run_recorded_is_what_runs(host, state, words):
    assert state["phase"] == "proven"
    assert state["line"]["words"] == list(words)
    assert state["line"]["release"] == host.check_output("uname -r")


@pytest.mark.usefixtures("managed")
def test_the_kernel_from_before_is_installed_and_in_the_menu(host, state):
    if not state["previous"]:
        pytest.skip("the host has run one kernel only")
    previous = state["previous"]
    for file in (f"/boot/vmlinuz-{previous}", f"/boot/initrd.img-{previous}"):
        assert kind(host, file) == "regular file", file
    assert f"vmlinuz-{previous} " in text(host, "/boot/grub/grub.cfg")
    assert "linux-(image|" in host.check_output("apt-config dump APT::NeverAutoRemove")


@pytest.mark.parametrize("target", ["sysinit", "emergency", "rescue"])
@pytest.mark.usefixtures("managed")
def test_the_guard_of_trials_comes_with_every_way_to_boot(host, target):
    wants = host.check_output("systemctl show --property=Wants --value %s.target", target).split()
    assert "fleet-boot-guard.service" in wants
    condition = host.check_output("systemctl show --property=LoadState --value fleet-boot-guard.service")
    assert condition == "loaded"


@pytest.mark.usefixtures("managed")
def test_the_settings_of_the_running_kernel_are_applied_at_boot(host):
    assert unit(host, "fleet-kernel.service") == "active, enabled", "fleet-kernel.service"


@pytest.mark.usefixtures("managed")
def test_nothing_of_the_running_kernel_differs_from_what_is_wanted(host):
    assert host.check_output(f"{TOOL} check") == "differs 0"


@pytest.mark.usefixtures("managed")
def test_the_unit_is_hardened(host):
    assert exposure(host, "fleet-kernel.service") <= 2.0


@pytest.mark.usefixtures("managed")
def test_the_metrics_say_that_nothing_is_pending(host):
    config = json.loads(text(host, "/etc/fleet/kernel.json"))
    file = host.file(f"{config['textfile_directory']}/{METRICS}")
    if not host.file(config["textfile_directory"]).exists:
        pytest.skip("this host has no node exporter")
    host.check_output(f"{TOOL} metrics")
    lines = file.content_string.splitlines()
    assert "fleet_reboot_pending 0" in lines
    assert "fleet_boot_trial_failed 0" in lines


@pytest.mark.disruptive
@pytest.mark.usefixtures("managed")
def test_a_setting_that_somebody_changed_comes_back_and_stopping_puts_the_machine_back(host, settings, isolated):
    limit = settings["kernel_idle_latency_us"]
    if not (isolated and limit):
        pytest.skip("nothing of it is set on this host")
    file = f"{CPU}/cpu{min(isolated)}/power/pm_qos_resume_latency_us"
    try:
        host.check_output("systemctl stop fleet-kernel.service")
        assert text(host, file) == "0"
    finally:
        host.check_output("systemctl start fleet-kernel.service")
    assert text(host, file) == str(limit)
