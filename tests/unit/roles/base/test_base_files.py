# SPDX-License-Identifier: Apache-2.0
"""What role base writes for programs that the lab's image lacks, or that Ubuntu has otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fleet.paths import PROJECT
from roles.base.filter_plugins.base_settings import snap_timer
from tests.unit.roles.render_kit import rendered

# The older form of such a key stops cloud-init's apt module beside user data that has the newer one (cloud-init 22.1).
OLDER_KEYS = "apt_"


def test_cloud_init_is_told_in_the_form_of_today_to_leave_hosts_and_sources_alone() -> None:
    told = yaml.safe_load(rendered("base", "cloud.cfg.j2", host="vps"))
    assert not [key for key in told if key.startswith(OLDER_KEYS)]
    assert (told["apt"], told["manage_etc_hosts"]) == ({"preserve_sources_list": True}, False)


@pytest.mark.parametrize(("distribution", "release"), [("Debian", "label=Debian"), ("Ubuntu", "${distro_codename}")])
def test_a_security_update_may_bring_a_new_package_of_the_release(distribution: str, release: str) -> None:
    text = rendered("base", "apt.conf.j2", host="vps", ansible_facts={"distribution": distribution})
    origins = [line.strip() for line in text.splitlines() if line.startswith('  "origin=')]
    assert [line for line in origins if line.endswith(f'{release}";')] == origins[:1]
    assert all("security" in line for line in origins[1:])
    assert len(origins) > 1


@pytest.mark.parametrize(("window", "timer"), [("Sat 06:00", "sat,06:00"), ("06:00", "06:00")])
def test_snaps_are_refreshed_in_the_maintenance_window(window: str, timer: str) -> None:
    assert snap_timer(window) == timer


ARCHIVE = "deb [signed-by=/old.gpg] https://vendor.invalid/deb/ stable main\n"
SOURCE = "Types: deb\nURIs: https://vendor.invalid/deb\nSuites: stable\nComponents: main\nSigned-By: /new.gpg\n"


@pytest.mark.parametrize("place", ["sources.list", "sources.list.d/older.list"])
def test_the_files_that_disagree_about_an_archive_are_named(tmp_path: Path, place: str) -> None:
    def judged() -> subprocess.CompletedProcess[str]:
        script = (PROJECT / "roles/base/files/apt-sources.py").read_text()
        words = [sys.executable, "-c", script, str(tmp_path)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/vendor.sources").write_text(SOURCE)
    assert judged().returncode == 0
    (tmp_path / place).write_text(ARCHIVE)
    refused = judged()
    assert refused.returncode == 1
    assert "Conflicting values set for option Signed-By" in refused.stdout
    assert (
        f"it is in /etc/apt/{place} and /etc/apt/sources.list.d/vendor.sources: name the older file" in refused.stdout
    )
