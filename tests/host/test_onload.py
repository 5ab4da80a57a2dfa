# SPDX-License-Identifier: Apache-2.0
"""Onload is what the inventory pins, built for the running kernel, held with it, preloaded for named services only."""

import shlex

import pytest

from roles.onload.filter_plugins.onload_settings import onload_exec, onload_release
from tests.host.state import installed, kind

PACKAGES = ("onload-user", "onload-dkms")
STORE = "/var/lib/fleet/onload"


@pytest.fixture(scope="module")
def kernel(host):
    return host.check_output("uname -r")


@pytest.fixture
def _wanted(settings):
    if not settings["onload_packages"]:
        pytest.skip("the inventory pins no release for this host: its card runs on the kernel's own driver")


def test_without_pinned_files_nothing_of_it_is_on_the_host(host, settings):
    if settings["onload_packages"]:
        pytest.skip("the inventory pins a release for this host")
    assert installed(host, PACKAGES) == set()
    assert host.run("ls /etc/systemd/system/*.service.d/10-onload.conf").stdout == ""


def test_nothing_preloads_it_into_every_process(host):
    assert "onload" not in host.run("cat /etc/ld.so.preload").stdout
    assert "onload" not in host.check_output("systemctl show --property=Environment")
    assert host.run("grep -l 'LD_PRELOAD.*onload' /etc/environment /etc/profile /etc/profile.d/*").stdout == ""


@pytest.mark.usefixtures("_wanted")
def test_the_pinned_files_are_what_is_installed(host, settings):
    assert host.check_output(f"readlink {STORE}/current") == onload_release(settings["onload_packages"])
    for package in settings["onload_packages"]:
        path = f"{STORE}/current/{package['file'].rsplit('/', 1)[1]}"
        assert host.file(path).sha256sum == package["sha256"]
    shown = host.check_output(
        rf"dpkg-deb --show --showformat='${{Package}} ${{Version}}\n' {STORE}/current/onload-user*.deb || true"
    )
    for name, version in (line.split() for line in shown.splitlines()):
        assert host.package(name).version == version


@pytest.mark.usefixtures("_wanted")
def test_the_running_kernel_has_the_module_from_dkms(host, kernel):
    assert host.check_output(f"modinfo -k {kernel} -F vermagic onload").split()[0] == kernel
    assert f", {kernel}, " in host.check_output("dkms status")


@pytest.mark.usefixtures("_wanted")
def test_kernel_and_packages_stay_at_their_version_together(host, kernel):
    for name in (*PACKAGES, f"linux-image-{kernel}"):
        policy = host.check_output(f"apt-cache policy {name}").splitlines()
        words = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in policy if ":" in line}
        assert words["Candidate"] == words["Installed"] != "(none)"
        assert name in host.file("/etc/apt/preferences.d/90-base-held").content_string.replace(":any", "").split()


@pytest.mark.usefixtures("_wanted")
def test_each_profile_in_use_is_one_that_the_wrapper_finds(host, settings):
    for name in {*settings["onload_services"].values(), *settings["onload_profiles"]}:
        path = f"/usr/libexec/onload/profiles/{name}.opf"
        assert kind(host, path) == "regular file", path


@pytest.mark.usefixtures("_wanted")
def test_each_named_unit_that_exists_starts_by_the_wrapper_with_its_profile(host, settings):
    for unit in settings["onload_services"]:
        drop_in = f"/etc/systemd/system/{unit}.d/10-onload.conf"
        assert kind(host, drop_in) == "regular file", drop_in
        shown = host.check_output(f"systemctl show --property=LoadState,ExecStart,DropInPaths {shlex.quote(unit)}")
        if "LoadState=loaded" not in shown:
            continue
        assert drop_in in shown
        assert f"argv[]={onload_exec(settings['onload_services'], unit)}" in shown


@pytest.mark.usefixtures("_wanted")
def test_a_named_unit_that_runs_has_the_library_and_no_other_process_has(host, settings):
    named = {
        host.check_output(f"systemctl show --property=MainPID --value {unit}") for unit in settings["onload_services"]
    }
    with_library = set(host.run("grep -l libonload /proc/[0-9]*/maps | cut -d/ -f3").stdout.split())
    if host.run("onload --version").stdout.startswith("Onload stand-in"):
        assert with_library == set()
        return
    assert named - {"0"} <= with_library
    groups = "grep -h -o '[^/]*[.]service' " + " ".join(f"/proc/{process}/cgroup" for process in with_library)
    running = host.run(groups).stdout.split() if with_library else []
    assert set(running) <= set(settings["onload_services"])
