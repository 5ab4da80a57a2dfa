# SPDX-License-Identifier: Apache-2.0
"""What pytest reports, read back as checks of hosts and roles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.run.verify import Check, by_host, parse, summary

HOSTS = ["station", "vps", "vps-2"]
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="5">
<testcase classname="tests.host.test_redis" name="test_a_stream_keeps_what_was_added[station]" time="0.1" />
<testcase classname="tests.host.test_base" name="test_a_package_is_held[vps-linux]" time="0.1" />
<testcase classname="tests.host.test_base" name="test_time_is_utc[vps]" time="0.1">
  <failure message="AssertionError: assert 'CET' == 'UTC'&#10;  - UTC&#10;  + CET">long text</failure></testcase>
<testcase classname="tests.host.test_ssh" name="test_a_password_is_refused[vps]" time="0.1">
  <error message="failed on setup with &quot;ConnectionError: vps cannot be reached&quot;">text</error></testcase>
<testcase classname="tests.host.test_sysctl" name="test_swappiness[station]" time="0.1">
  <skipped type="pytest.skip" message="belongs to the machine underneath">text</skipped></testcase>
</testsuite></testsuites>"""


def test_host_role_and_outcome_come_out_of_the_report():
    assert parse(REPORT, HOSTS) == [
        Check("redis", "station", "test_a_stream_keeps_what_was_added", "passed"),
        Check("base", "vps", "test_a_package_is_held", "passed"),
        Check("base", "vps", "test_time_is_utc", "failed", "AssertionError: assert 'CET' == 'UTC'"),
        Check(
            "ssh",
            "vps",
            "test_a_password_is_refused",
            "failed",
            'failed on setup with "ConnectionError: vps cannot be reached"',
        ),
        Check("sysctl", "station", "test_swappiness", "skipped", "belongs to the machine underneath"),
    ]


def test_a_test_that_belongs_to_no_host_is_counted_all_the_same():
    [check] = parse('<testsuite><testcase classname="tests.host.test_base" name="test_alone" /></testsuite>', HOSTS)
    assert check == Check("base", "-", "test_alone", "passed")


def test_each_host_gets_its_own_summary():
    assert by_host(parse(REPORT, HOSTS)) == {"station": "1 passed, 1 skipped", "vps": "1 passed, 2 failed"}


def test_nothing_checked_is_said_and_not_called_passed():
    assert summary([]) == "none"


@given(st.lists(st.sampled_from(["passed", "failed", "skipped"]), min_size=1))
def test_the_numbers_of_a_summary_add_up_to_all_checks(states: list[str]):
    words = summary(Check("base", "vps", "test", state) for state in states).split(", ")
    assert sum(int(word.split()[0]) for word in words) == len(states)
    assert [word.split()[1] for word in words] == [s for s in ("passed", "failed", "skipped") if s in states]


def test_a_host_whose_name_has_a_hyphen_keeps_all_of_it():
    names = ("test_reads[vps-2-agents]", "test_reads[agents-vps]")
    cases = "".join(f'<testcase classname="tests.host.test_redis" name="{name}" />' for name in names)
    report = f"<testsuite>{cases}</testsuite>"
    assert [check.host for check in parse(report, HOSTS)] == ["vps-2", "vps"]
