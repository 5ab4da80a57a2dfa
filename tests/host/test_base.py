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
  package cuda-removed-test 1.0 'Status: deinstall ok config-files\\nConffiles:\\n /etc/x 0\\n'
} >"$root/dpkg/status"
for name in linux-image-test nvidia-test tool-test cuda-removed-test onload-new-test; do
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
    assert not host.service("systemd-timesyncd").is_running
    assert host.service("chrony").is_enabled
    if in_container(host):
        # The clock is the machine's: the unit's own condition keeps chrony from starting.
        assert not host.service("chrony").is_running
        assert "ConditionCapability=CAP_SYS_TIME" in host.run("systemctl status chrony").stdout
    else:
        assert "Leap status     : Normal" in host.check_output("chronyc tracking")


def test_chrony_opens_no_port_for_commands(host: Host) -> None:
    assert not host.socket("udp://0.0.0.0:323").is_listening
    assert not host.socket("udp://127.0.0.1:323").is_listening


def test_a_login_has_the_declared_locale_and_it_exists(host: Host, settings: Settings, admin: str) -> None:
    assert host.check_output(f"su --login {admin} --command 'echo $LANG'") == settings["base_locale"]
    assert settings["base_locale"].lower().replace("-", "") in host.check_output("locale -a").lower().replace("-", "")


@pytest.fixture
def admin(settings: Settings) -> str:
    return str(settings["base_admin_user"])


def test_the_fleets_groups_exist_and_the_administrator_is_in_the_declared_ones(
    host: Host, settings: Settings, admin: str
) -> None:
    assert all(host.group(name).exists for name in settings["base_groups"])
    assert set(settings["base_admin_groups"]) <= set(host.user(admin).groups)


def test_the_administrators_keys_are_exactly_the_declared_ones(host: Host, settings: Settings, admin: str) -> None:
    if not settings["base_admin_keys"]:
        pytest.skip("this inventory leaves the account's keys alone")
    file = host.file(f"{host.user(admin).home}/.ssh/authorized_keys")
    assert file.mode == 0o600
    assert file.user == admin
    lines = [line for line in file.content_string.splitlines() if line.strip()]
    assert sorted(lines) == sorted(key.strip() for key in settings["base_admin_keys"])


def test_the_administrator_becomes_root_and_another_user_does_not(host: Host, admin: str) -> None:
    assert host.file("/etc/sudoers.d/50-base").mode == 0o440
    assert host.check_output(f"su {admin} --command 'sudo --non-interactive id -u'") == "0"
    assert host.run("su nobody --shell /bin/sh --command 'sudo --non-interactive id -u'").rc != 0
    assert host.run("visudo --check --strict").rc == 0


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
        assert all(uri.rstrip("/") in read for uri in source["uris"])
        assert not host.file(f"/etc/apt/sources.list.d/{source['name']}.list").exists
    if distribution in {source["name"] for source in declared}:
        lines = host.file("/etc/apt/sources.list").content_string.splitlines()
        assert all(line.startswith("#") for line in lines)
    assert not re.search(r"configured multiple times|Conflicting values|Malformed", host.run("apt-get check").stderr)


def test_an_installed_kernel_or_driver_stays_and_other_packages_are_upgraded(host: Host) -> None:
    assert in_sandbox(host, "dist-upgrade") == {"tool-test"}


def test_a_driver_that_is_not_there_can_be_installed(host: Host) -> None:
    wanted = "install onload-new-test cuda-removed-test"
    assert in_sandbox(host, wanted) == {"onload-new-test", "cuda-removed-test"}


def test_the_hold_follows_every_change_of_packages(host: Host) -> None:
    assert any(HOLD in command for command in apt_list(host, "DPkg::Post-Invoke"))
    before = host.file("/etc/apt/preferences.d/90-base-held").content_string
    assert host.run(HOLD).rc == 0
    assert host.file("/etc/apt/preferences.d/90-base-held").content_string == before


def test_unattended_upgrades_take_security_archives_only_and_leave_drivers_alone(
    host: Host, settings: Settings
) -> None:
    origins = apt_list(host, "Unattended-Upgrade::Origins-Pattern")
    assert origins
    assert all("security" in origin for origin in origins)
    assert apt_list(host, "Unattended-Upgrade::Allowed-Origins") == []
    excluded = settings["base_held_packages"] + settings["base_unattended_excludes"]
    assert apt_list(host, "Unattended-Upgrade::Package-Blacklist") == excluded
    for name in ("linux-image-generic", "nvidia-driver-580-open", "libnvidia-compute-580", "cuda-toolkit", "docker.io"):
        assert any(re.match(pattern, name) for pattern in excluded), name


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
    units = [unit for listed in declared("units").values() for unit in listed]
    never = [unit["name"].replace("*", "replay") for unit in units if not unit["restart"]] + ["docker.service"]
    may = [unit["name"] for unit in units if unit["restart"]] + ["cron.service"]
    said = host.check_output(f"perl -e {shlex.quote(script)} {' '.join(never + may)}").split()
    assert said == ["l", *never]
    assert host.run("needrestart -b").rc == 0


def test_the_units_that_roles_declare_are_known_to_the_host(host: Host, declared: Declared) -> None:
    for role, listed in declared("units").items():
        for unit in listed:
            known = host.check_output("systemctl list-units --all --plain --no-legend %s", unit["name"])
            assert known, f"{role} declares {unit['name']}"


def test_a_port_that_a_role_declares_is_listened_on_where_it_says(host: Host, declared: Declared) -> None:
    for role, listed in declared("ports").items():
        for entry in (entry for entry in listed if int(entry["port"])):
            found = host.check_output("ss -Hltn sport = :%s", str(entry["port"])).splitlines()
            local = [line.split()[3].rpartition(":")[0] for line in found]
            assert local, f"{role} declares {entry['port']}"
            assert all(address == "127.0.0.1" for address in local) == (entry["scope"] == "loopback"), (role, local)


def test_sockets_groups_and_state_that_roles_declare_are_there(host: Host, declared: Declared) -> None:
    for path in filter(None, declared("socket").values()):
        assert host.file(path).is_socket
    for name in filter(None, declared("group").values()):
        assert host.group(name).exists
    for entry in (entry for listed in declared("state").values() for entry in listed):
        assert host.file(entry["path"]).is_directory, entry


def test_the_journal_is_kept_over_a_reboot_within_its_limits(host: Host, settings: Settings) -> None:
    machine = host.file("/etc/machine-id").content_string.strip()
    assert host.file(f"/var/log/journal/{machine}/system.journal").exists
    read = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert f"SystemMaxUse={settings['base_journal_max_use']}" in read
    host.check_output("logger --tag base-test written-and-read")
    assert "written-and-read" in host.check_output("journalctl --sync; journalctl --identifier base-test --lines 1")


def test_the_journal_runs_with_the_limits_on_disk(host: Host) -> None:
    started = host.check_output("systemctl show systemd-journald -p ActiveEnterTimestamp --timestamp=unix --value")
    changed = host.check_output("stat --format %Z /etc/systemd/journald.conf.d/50-base.conf")
    assert int(started.lstrip("@")) >= int(changed)
