# SPDX-License-Identifier: Apache-2.0
"""What the role questdb refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.paths import PROJECT
from tests.unit.roles.rules_kit import lines, refusals

RELEASE = yaml.safe_load((PROJECT / "group_vars/questdb.yml").read_text())["questdb_release"]


def release(**changes: Any) -> dict[str, Any]:
    return {"questdb_release": RELEASE | changes}


def test_the_example_passes() -> None:
    assert lines("questdb") == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"questdb_commit_mode": "nosync"}, "questdb_commit_mode", "corrupts committed rows at a power cut"),
        ({"questdb_commit_mode": "Sync"}, "questdb_commit_mode", "corrupts committed rows"),
        ({"questdb_commit_mode": "adaptive"}, "questdb_commit_mode", "corrupts committed rows"),
        ({"questdb_release": {}}, "questdb_release", "is empty"),
        (release(sha256=RELEASE["sha256"][1:]), "questdb_release.sha256", "has another form"),
        (release(sha256=RELEASE["sha256"].upper()), "questdb_release.sha256", "has another form"),
        (release(sha256=None), "questdb_release.sha256", "'' has another form"),
        (release(version="9.3"), "questdb_release.version", "'9.3' has another form"),
        (release(version="latest"), "questdb_release.version", "'latest' has another form"),
        (release(client="questdb>=4"), "questdb_release.client", "has another form"),
        (release(java={"debian-11": "openjdk-11-jre"}), "questdb_release.java", "no Java for ubuntu-24.04"),
        (
            release(java=RELEASE["java"] | {"debian-13": "java"}),
            "questdb_release.java.debian-13",
            "no package of a Java",
        ),
        ({"questdb_heap_mib": 409_600}, "questdb_heap_mib", "more than the host's 163840 MiB (hardware.memory_gib)"),
        ({"questdb_native_mib": 163_840}, "questdb_native_mib", "more than the host's 163840 MiB"),
        ({"questdb_heap_mib": 0}, "questdb_heap_mib", "0 is none"),
        ({"questdb_native_mib": 0}, "questdb_native_mib", "0 is none"),
        ({"questdb_min_free_mib": -1}, "questdb_min_free_mib", "-1 is none"),
        ({"questdb_open_files": 0}, "questdb_open_files", "0 is none"),
        ({"questdb_query_timeout_seconds": 0}, "questdb_query_timeout_seconds", "0 is none"),
        ({"questdb_http_port": 0}, "questdb_http_port", "0 is no port"),
        ({"questdb_pg_port": 80}, "questdb_pg_port", "80 is no port"),
        ({"questdb_health_port": 70_000}, "questdb_health_port", "70000 is no port"),
        ({"questdb_root": "history"}, "questdb_root", "not a plain absolute path"),
        ({"questdb_root": "/home/ops/history"}, "questdb_root", "hidden from the unit"),
        ({"questdb_http_user": "wri:ter"}, "questdb_http_user", "no name of a user"),
        ({"questdb_pg_user": ""}, "questdb_pg_user", "no name of a user"),
        ({"questdb_pg_readonly_user": "admin"}, "questdb_pg_readonly_user", "may do everything"),
        ({"questdb_pg_password": "short"}, "questdb_pg_password", "5 characters, 20 are the least"),
        ({"questdb_http_password": "two words and more of them"}, "questdb_http_password", "has a blank"),
        ({"questdb_java_options": ["-Xmx4g"]}, "questdb_java_options.0", "sets the heap"),
        ({"questdb_java_options": ["-a", "-b -c"]}, "questdb_java_options.1", "no option that a unit can hand over"),
        ({"questdb_check_interval": "often"}, "questdb_check_interval", "no time span"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change: dict[str, Any], key: str, words: str) -> None:
    (refusal,) = refusals("questdb", **change)
    assert (refusal.key, words in refusal.wrong) == (key, True), refusal
    assert refusal.right


def test_a_password_is_not_repeated_and_its_name_in_the_vault_is_said() -> None:
    (line,) = lines("questdb", questdb_pg_readonly_password="hunter2")
    assert "hunter2" not in line
    assert "vault_questdb_pg_readonly" in line


def test_a_later_server_may_commit_adaptively() -> None:
    assert lines("questdb", questdb_commit_mode="adaptive", **release(version="10.2.0")) == []


@pytest.mark.parametrize("interval", ["30s", "1min", "2 min", "1h 30min"])
def test_intervals_are_spans_of_systemd(interval: str) -> None:
    assert lines("questdb", questdb_check_interval=interval) == []


@given(st.dictionaries(st.sampled_from(sorted(RELEASE)), st.none() | st.text() | st.integers() | st.lists(st.text())))
def test_any_release_is_judged_without_an_error(found: dict[str, Any]) -> None:
    assert isinstance(lines("questdb", questdb_release=found), list)
