# SPDX-License-Identifier: Apache-2.0
"""The base of a host: names, time, users, trust, packages that stay, upgrades that come, the journal."""

from __future__ import annotations

import re
import shlex
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from fleet.model.settings import Settings
from tests.host.state import kind, owned, refused, unit

Declared = Callable[[str], dict[str, Any]]
HOLD = "/usr/local/libexec/fleet/hold-installed-packages"
# A package database with a driver, a tool and a removed driver, and an archive that has a newer version of each.
APT_SANDBOX = """
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"
mkdir -p dpkg/info dpkg/updates preferences.d lists/partial cache/archives/partial repo
: >"$root/dpkg/available"
package() { printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n%b\\n' "$@"; }
{
  package linux-image-test 1.0 'Status: install ok installed\\n'
  package nvidia-test 1.0 'Status: install ok installed\\n'
  package tool-test 1.0 'Status: install ok installed\\n'
  package linux-base-test 1.0 'Status: install ok installed\\n'
  package cuda-removed-test 1.0 'Status: deinstall ok config-files\\nConffiles:\\n /etc/x 0\\n'
} >"$root/dpkg/status"
for name in linux-image-test linux-base-test nvidia-test tool-test cuda-removed-test onload-new-test; do
  package "$name" 2.0 "Filename: ./$name.deb\\nSize: 1\\nSHA256: $(printf %064d 0)\\n"
done >"$root/repo/Packages"
sed "s|=/etc/apt/|=$root/|" HOLD >"$root/hold"
DPKG_ADMINDIR="$root/dpkg" sh "$root/hold"
echo "deb [trusted=yes] file:$root/repo ./" >"$root/list"
cat >apt.conf <<END
Dir::Etc { sourcelist "$root/list"; sourceparts "-"; preferences "-"; preferencesparts "$root/preferences.d"; };
Dir::State { lists "$root/lists"; status "$root/dpkg/status"; };
Dir::Cache "$root/cache";
APT::Sandbox::User "root";
END
export APT_CONFIG="$root/apt.conf"
apt-get update >/dev/null
apt-get --simulate WORDS
"""


def in_sandbox(host: Host, words: str) -> set[str]:
    """Names of the packages that apt would install or upgrade."""
    script = APT_SANDBOX.replace("HOLD", HOLD).replace("WORDS", words)
    return set(re.findall(r"^Inst (\S+)", host.check_output(f"sh -c {shlex.quote(script)}"), re.MULTILINE))


def apt_list(host: Host, name: str) -> list[str]:
    return re.findall(rf'^{name}:: "(.*)";$', host.check_output("apt-config dump"), re.MULTILINE)


def in_container(host: Host) -> bool:
    return bool(host.run("systemd-detect-virt --container --quiet").rc == 0)


def test_the_host_has_its_name_now_and_at_the_next_boot(host: Host, settings: Settings) -> None:
    assert host.check_output("uname -n") == settings["inventory_hostname"]
    assert host.file("/etc/hostname").content_string.strip() == settings["inventory_hostname"]


def test_every_host_of_the_inventory_resolves_to_its_address(host: Host, settings: Settings) -> None:
    for name in settings["groups"]["all"]:
        address = settings["hostvars"][name]["ansible_host"]
        assert host.check_output(f"getent ahostsv4 {name}").split()[0] == address


def test_the_clock_shows_the_declared_zone(host: Host, settings: Settings) -> None:
    zone = settings["base_timezone"]
    assert host.file("/etc/localtime").linked_to == f"/usr/share/zoneinfo/{zone}"
    assert host.check_output("date +%z") == host.check_output(f"TZ={zone} date +%z")


def test_chrony_accepts_its_configuration_and_names_every_server(host: Host, settings: Settings) -> None:
    read = host.check_output("chronyd -p -f /etc/chrony/chrony.conf")
    assert re.findall(r"^server (\S+)", read, re.MULTILINE) == settings["base_ntp_servers"]


def test_chrony_is_the_only_one_to_set_the_clock(host: Host) -> None:
    assert unit(host, "systemd-timesyncd").partition(",")[0] != "active", "systemd-timesyncd"
    if in_container(host):
        # The clock is the machine's: the unit's own condition keeps chrony from starting.
        assert unit(host, "chrony") == "inactive, enabled", "chrony"
        assert "ConditionCapability=CAP_SYS_TIME" in host.run("systemctl status chrony").stdout
    else:
        assert unit(host, "chrony") == "active, enabled", "chrony"
        assert "Leap status     : Normal" in host.check_output("chronyc tracking")


def test_chrony_opens_no_port_for_commands(host: Host) -> None:
    assert host.check_output("ss -Hlun sport = :323") == ""


def test_a_login_has_the_declared_locale_and_it_exists(host: Host, settings: Settings, admin: str) -> None:
    if not settings["base_locale"]:
        return  # the host's own stays
    assert host.check_output(f"su --login {admin} --command 'echo $LANG'") == settings["base_locale"]
    assert settings["base_locale"].lower().replace("-", "") in host.check_output("locale -a").lower().replace("-", "")


@pytest.fixture
def admin(settings: Settings) -> str:
    return str(settings["base_admin_user"])


def test_the_fleets_groups_exist_and_the_administrator_is_in_the_declared_ones(
    host: Host, settings: Settings, admin: str
) -> None:
    assert set(settings["base_groups"]) <= {
        line.split(":")[0] for line in host.check_output("getent group").splitlines()
    }
    assert set(settings["base_admin_groups"]) <= set(host.user(admin).groups)


def test_the_administrators_keys_are_exactly_the_declared_ones(host: Host, settings: Settings, admin: str) -> None:
    if not settings["base_admin_keys"]:
        pytest.skip("this inventory leaves the account's keys alone")
    path = f"{host.user(admin).home}/.ssh/authorized_keys"
    assert host.check_output("stat --format='%%U %%a' %s", path) == f"{admin} 600", path
    lines = [line for line in host.file(path).content_string.splitlines() if line.strip()]
    assert sorted(lines) == sorted(key.strip() for key in settings["base_admin_keys"])


def test_the_administrator_becomes_root_and_another_user_does_not(host: Host, admin: str) -> None:
    assert owned(host, "/etc/sudoers.d/zz-base") == "root:root 440", "/etc/sudoers.d/zz-base"
    assert host.check_output(f"su {admin} --command 'sudo --non-interactive id -u'") == "0"
    refused(host, "su nobody --shell /bin/sh --command 'sudo --non-interactive id -u'")
    host.check_output("visudo --check --strict")


def test_every_declared_authority_is_trusted_and_no_other_of_ours(host: Host, settings: Settings) -> None:
    bundle = host.file("/etc/ssl/certs/ca-certificates.crt").content_string
    declared = [block for path in settings["base_ca_files"] for block in certificates(Path(path).read_text())]
    assert {ssl.PEM_cert_to_DER_cert(block) for block in declared} <= {
        ssl.PEM_cert_to_DER_cert(block) for block in certificates(bundle)
    }
    ours = host.run("find /usr/local/share/ca-certificates/fleet -type f").stdout.split()
    assert len(ours) == len(declared)


def certificates(text: str) -> list[str]:
    return re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)


def test_apt_reads_the_declared_sources_and_no_older_form_of_them(host: Host, settings: Settings) -> None:
    distribution = host.system_info.distribution
    declared = [s for s in settings["base_apt_sources"] if s["name"] not in {"debian", "ubuntu"} - {distribution}]
    read = host.check_output("apt-get indextargets --format '$(SITE) $(REPO_URI)' 'Created-By: Packages'")
    for source in declared:
        assert [uri for uri in source["uris"] if uri.rstrip("/") not in read] == [], "apt does not read them"
        older = f"/etc/apt/sources.list.d/{source['name']}.list"
        assert kind(host, older) == "absent", older
    if distribution in {source["name"] for source in declared}:
        lines = host.file("/etc/apt/sources.list").content_string.splitlines()
        assert [line for line in lines if not line.startswith("#")] == [], "/etc/apt/sources.list"
    complaints = host.run("apt-get check").stderr
    assert re.findall(r".*(?:configured multiple times|Conflicting values|Malformed).*", complaints) == []


def test_an_installed_kernel_or_driver_stays_and_other_packages_are_upgraded(host: Host) -> None:
    assert in_sandbox(host, "dist-upgrade") == {"tool-test", "linux-base-test"}


def test_a_driver_that_is_not_there_can_be_installed(host: Host) -> None:
    wanted = "install onload-new-test cuda-removed-test"
    assert in_sandbox(host, wanted) == {"onload-new-test", "cuda-removed-test"}


def test_the_hold_follows_every_change_of_packages(host: Host) -> None:
    assert HOLD in " ".join(apt_list(host, "DPkg::Post-Invoke"))
    before = host.file("/etc/apt/preferences.d/90-base-held").content_string
    host.check_output(HOLD)
    assert host.file("/etc/apt/preferences.d/90-base-held").content_string == before


def test_unattended_upgrades_take_security_updates_with_what_they_need_and_leave_drivers_alone(
    host: Host, settings: Settings
) -> None:
    origins = apt_list(host, "Unattended-Upgrade::Origins-Pattern")
    assert origins != [], "Unattended-Upgrade::Origins-Pattern"
    release = [origin for origin in origins if "security" not in origin]
    assert len(release) == 1, origins
    assert re.findall(r"updates|backports|proposed", release[0]) == []
    assert apt_list(host, "Unattended-Upgrade::Allowed-Origins") == []
    excluded = settings["base_held_packages"] + settings["base_unattended_excludes"]
    assert apt_list(host, "Unattended-Upgrade::Package-Blacklist") == excluded
    for name in ("linux-image-generic", "nvidia-driver-580-open", "libnvidia-compute-580", "cuda-toolkit", "docker.io"):
        assert any(re.match(pattern, name) for pattern in excluded), f"{name} is not among what stays"


def test_unattended_upgrades_never_reboot(host: Host) -> None:
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in host.check_output("apt-config dump")


@pytest.mark.parametrize("timer", ["apt-daily.timer", "apt-daily-upgrade.timer"])
def test_upgrades_run_in_the_window_and_a_missed_one_is_not_made_up_for(
    host: Host, settings: Settings, timer: str
) -> None:
    shown = host.check_output(
        f"systemctl show {timer} -p TimersCalendar -p Persistent -p RandomizedDelayUSec -p ActiveState"
    )
    normal = host.check_output(f"systemd-analyze calendar {shlex.quote(settings['base_maintenance_window'])}")
    window = re.findall(r"Normalized form: (.+)|Original form: (.+)", normal)[-1]
    assert re.findall(r"OnCalendar=([^;]+?) ;", shown) == [next(filter(None, window))]
    assert {"Persistent=no", "RandomizedDelayUSec=0", "ActiveState=active"} <= set(shown.splitlines())


def test_needrestart_lists_only_and_spares_what_the_roles_declare(host: Host, declared: Declared) -> None:
    script = """
        our %nrconf = (override_rc => {}); my $rules = $nrconf{override_rc};
        do '/etc/needrestart/conf.d/50-base.conf'; die $@ if $@;
        print "$nrconf{restart}\\n";
        for my $unit (@ARGV) { print "$unit\\n" if grep { $unit =~ $_ && !$rules->{$_} } keys %$rules }
    """
    units = [entry for listed in declared("units").values() for entry in listed]
    never = [entry["name"].replace("*", "replay") for entry in units if not entry["restart"]] + ["docker.service"]
    may = [entry["name"] for entry in units if entry["restart"]] + ["cron.service"]
    said = host.check_output(f"perl -e {shlex.quote(script)} {' '.join(never + may)}").split()
    assert said == ["l", *never]
    host.check_output("needrestart -b")


def test_the_units_that_roles_declare_are_known_to_the_host(host: Host, declared: Declared) -> None:
    for role, listed in declared("units").items():
        for entry in listed:
            known = host.check_output("systemctl list-units --all --plain --no-legend %s", entry["name"])
            assert known, f"{role} declares the unit {entry['name']}, systemd does not know it"


def test_a_port_that_a_role_declares_is_listened_on_where_it_says(host: Host, declared: Declared) -> None:
    for role, listed in declared("ports").items():
        for entry in (entry for entry in listed if int(entry["port"])):
            found = host.check_output("ss -Hltn sport = :%s", str(entry["port"])).splitlines()
            local = [line.split()[3].rpartition(":")[0] for line in found]
            assert local, f"{role} declares the port {entry['port']}, nothing listens there"
            scope = "loopback" if set(local) == {"127.0.0.1"} else "host"
            assert scope == entry["scope"], f"port {entry['port']} of {role}, at {', '.join(local)}"


def test_sockets_groups_and_state_that_roles_declare_are_there(host: Host, declared: Declared) -> None:
    for path in filter(None, declared("socket").values()):
        assert kind(host, path) == "socket", path
    for name in filter(None, declared("group").values()):
        assert host.group(name).exists, f"group {name}: declared, not there"
    for entry in (entry for listed in declared("state").values() for entry in listed):
        assert kind(host, entry["path"]) == "directory", entry["path"]


def test_the_journal_is_kept_over_a_reboot_within_its_limits(host: Host, settings: Settings) -> None:
    machine = host.file("/etc/machine-id").content_string.strip()
    path = f"/var/log/journal/{machine}/system.journal"
    assert kind(host, path) == "regular file", path
    read = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert f"SystemMaxUse={settings['base_journal_max_use']}" in read
    host.check_output("logger --tag base-test written-and-read")
    assert "written-and-read" in host.check_output("journalctl --sync; journalctl --identifier base-test --lines 1")


def test_the_journal_runs_with_the_limits_on_disk(host: Host) -> None:
    started = host.check_output("systemctl show systemd-journald -p ActiveEnterTimestamp --timestamp=unix --value")
    changed = host.check_output("stat --format %Z /etc/systemd/journald.conf.d/50-base.conf")
    assert int(started.lstrip("@")) >= int(changed), "journald's start, in seconds, by the last change of its limits"
