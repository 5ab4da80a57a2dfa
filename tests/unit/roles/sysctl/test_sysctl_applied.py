# SPDX-License-Identifier: Apache-2.0
"""The comparison of wanted and running kernel parameters, on a played /proc/sys."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.sysctl.library import sysctl_applied as sa
from roles.sysctl.module_utils import sysctl_keys

SWAPPINESS = sa.Setting("vm.swappiness", "1", "policy")
FASTOPEN = sa.Setting("net.ipv4.tcp_fastopen", "3", "policy")
WORDS = st.text(alphabet="abcz_09", min_size=1, max_size=6)


@pytest.fixture
def proc(tmp_path):
    for key, text in {"vm/swappiness": "60\n", "net/ipv4/tcp_fastopen": "1\n"}.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_text(text)
    return tmp_path


def plan(settings, found, optional=(), namespaced_only=False) -> sa.Plan:
    return sa.plan(settings, found, optional, namespaced_only)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("vm.swappiness", "vm/swappiness"),
        ("vm/swappiness", "vm/swappiness"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_a_key_becomes_the_path_that_systemd_gives_it(key, path):
    assert sysctl_keys.key_path(key) == path


@given(st.lists(WORDS, min_size=2, max_size=5))
def test_the_canonical_spelling_names_the_same_path_and_is_stable(words):
    key = "/".join(words)
    assert sysctl_keys.key_path(sysctl_keys.canonical(key)) == key
    assert sysctl_keys.canonical(sysctl_keys.canonical(key)) == sysctl_keys.canonical(key)


@given(st.lists(WORDS, min_size=1, max_size=4), st.sampled_from([" ", "\t", "  ", " \t "]))
def test_values_differ_by_words_and_not_by_blanks(words, blank):
    assert sysctl_keys.normalise(blank + blank.join(words) + "\n") == " ".join(words)


def test_only_what_differs_is_written():
    todo = plan([SWAPPINESS, FASTOPEN], {"vm.swappiness": sa.Found("60\n", True), FASTOPEN.key: sa.Found("3\n", True)})
    assert todo.write == (SWAPPINESS,)
    assert todo.compared == (SWAPPINESS, FASTOPEN)


def test_a_container_keeps_to_its_own_writable_keys_and_reports_the_others():
    core = sa.Setting("net.core.busy_poll", "50", "policy")
    somaxconn = sa.Setting("net.core.somaxconn", "8192", "policy")
    found = {
        "vm.swappiness": sa.Found("60\n", True),
        FASTOPEN.key: sa.Found("1\n", True),
        core.key: sa.Found(None, False),
        somaxconn.key: sa.Found("4096\n", False),
    }
    todo = plan([SWAPPINESS, FASTOPEN, core, somaxconn], found, namespaced_only=True)
    assert todo.write == (FASTOPEN,)
    assert todo.not_applicable == ("vm.swappiness", "net.core.busy_poll", "net.core.somaxconn")
    assert todo.errors == ()


def test_a_missing_key_is_an_error_that_names_its_owner():
    todo = plan([SWAPPINESS], {"vm.swappiness": sa.Found(None, False)})
    assert todo.errors[0].startswith("vm.swappiness (set by policy) does not exist on this kernel")


def test_a_missing_key_may_be_declared_optional():
    todo = plan([SWAPPINESS], {"vm.swappiness": sa.Found(None, False)}, optional=["vm/swappiness"])
    assert (todo.absent, todo.errors) == (("vm.swappiness",), ())


def test_comments_and_patterns_of_other_files_are_no_assignments():
    text = "# vm.swappiness=9\n; x=1\n-net/ipv4/tcp_fastopen =\t1\n"
    text += "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n"
    assert sa.assignments(text) == {"net.ipv4.tcp_fastopen": "1"}


def test_a_file_read_later_that_sets_another_value_is_named():
    (line,) = sa.overruled([SWAPPINESS], [("/etc/sysctl.conf", "vm.swappiness = 10\n")])
    assert line == ("vm.swappiness (set to 1 by policy) is set to 10 again by /etc/sysctl.conf: remove it there")


def test_a_file_read_later_that_sets_the_same_value_is_no_error():
    assert sa.overruled([SWAPPINESS], [("/etc/sysctl.conf", "vm.swappiness=1\n")]) == []


def test_the_files_read_later_are_those_that_sort_behind_ours_and_hidden_ones_do_not_count(tmp_path):
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    for folder in (etc, lib):
        folder.mkdir()
    for path, text in {
        etc / "99-sysctl.conf": "a", etc / "99-zz-fleet.conf": "b", etc / "zz.conf": "etc", lib / "zz.conf": "lib",
        lib / "10-first.conf": "c", tmp_path / "sysctl.conf": "last",
    }.items():  # fmt: skip
        path.write_text(text)
    (etc / "zzz.conf").symlink_to(os.devnull)
    own, last = etc / "99-zz-fleet.conf", tmp_path / "sysctl.conf"
    later = sa.files_read_later(own, [str(etc), str(lib)], str(last))
    assert [text for _, text in later] == ["etc", "last"]


def test_values_are_written_and_read_back(proc):
    assert sa.write([SWAPPINESS, FASTOPEN], proc) == []
    assert sa.mismatches([SWAPPINESS, FASTOPEN], sa.probe([SWAPPINESS, FASTOPEN], proc)) == []


def test_a_value_that_the_kernel_did_not_take_is_named_with_what_it_holds(proc):
    (line,) = sa.mismatches([SWAPPINESS], sa.probe([SWAPPINESS], proc))
    assert line == "vm.swappiness (set by policy): wanted 1, found 60 after writing it"


def test_a_write_that_the_kernel_refuses_is_named_with_its_reason():
    (line,) = sa.write([sa.Setting("kernel.cap_last_cap", "1", "policy")], Path("/proc/sys"))
    assert line.startswith("kernel.cap_last_cap (set by policy): the kernel refuses 1: ")
