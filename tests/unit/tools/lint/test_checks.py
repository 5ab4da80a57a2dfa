# SPDX-License-Identifier: Apache-2.0
"""The lint refuses checks of hosts that would fail without saying what they found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lint.checks import check


def findings(project: Path, *lines: str) -> list[str]:
    file = project / "tests" / "host" / "test_store.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["def test_it(host, unit):", *(f"    {line}" for line in lines)]) + "\n")
    return [str(finding) for finding in check(project)]


@pytest.mark.parametrize(
    "line",
    [
        "assert host.service('x').is_running",
        "assert not host.file('/x').exists",
        "assert host.run('x').rc == 0",
        "assert 0 != host.run('x').rc",
        "assert (host.file('/x').is_file, 1) == (True, 1)",
        "assert host.run('x')",
        "assert all(x for x in host.all)",
        "assert all(x for x in host.all) == True",
        "assert bool(host.x) is False",
        "assert host.x.startswith('y') == True",
        "assert (host.x in host.y) == (host.z is None)",
        "assert host.a == 1 and host.b == 2",
        "assert host.a if host.b else host.c",
    ],
)
def test_an_assert_that_would_only_say_true_or_false_is_refused(tmp_path, line):
    (words,) = findings(tmp_path, line)
    assert words.startswith("tests/host/test_store.py: line 2: `assert ")
    assert "state.py" in words


@pytest.mark.parametrize(
    "line",
    [
        "assert unit(host, 'x') == 'active, enabled'",
        "assert host.service('x').is_running, 'x does not run'",
        "assert host.check_output('x') == '1'",
        "assert {1} <= set(host.found)",
        "assert 'denied' in host.run('x').stderr",
        "assert [x for x in host.all if not x] == []",
        "assert len(host.lines) == 3",
    ],
)
def test_an_assert_that_tells_what_it_found_is_not(tmp_path, line):
    assert findings(tmp_path, line) == []


def test_a_unit_that_would_stay_behind_is_refused(tmp_path):
    (line,) = findings(tmp_path, "host.check_output('systemd-run --wait true')")
    assert "line 2: systemd-run without --collect" in line
    assert findings(tmp_path, "host.check_output('systemd-run --wait --collect true')") == []
    assert findings(tmp_path, "host.run('systemd-run --wait false')", "host.run('systemctl reset-failed x')") == []


def test_a_unit_in_a_constant_of_the_file_is_refused_once(tmp_path):
    findings(tmp_path, "pass")
    file = tmp_path / "tests/host/test_store.py"
    file.write_text("RUN = 'systemd-run --wait %s'\n\n" + file.read_text())
    assert len(list(check(tmp_path))) == 1
