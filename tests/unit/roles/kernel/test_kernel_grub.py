# SPDX-License-Identifier: Apache-2.0
"""Reading what grub-mkconfig writes, and composing what it reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.kernel.module_utils import kernel_grub as grub
from roles.kernel.module_utils import kernel_trial as trial
from roles.kernel.module_utils.kernel_boot_plan import Line
from roles.kernel.module_utils.kernel_words import REPEATABLE, flavour_of, name_of

CONFIG = """
set default="${next_entry}"
   set default="A>B"
function gfxmode {
\tset gfxpayload="${1}"
\tset default="inside"
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'simple' {
\tlinux\t/boot/vmlinuz-6.8.0-1-generic root=UUID=1 ro  quiet splash $vt_handoff
}
submenu 'A' $menuentry_id_option 'gnulinux-advanced-1' {
\tmenuentry 'it'\\''s one' $menuentry_id_option 'gnulinux-6.8-advanced-1' {
\t\tlinux\t/vmlinuz-6.8.0-1-generic root=UUID=1 ro quiet
\t}
\tmenuentry 'B' --id b {
\t\tlinuxefi /vmlinuz-6.9 root=UUID=1 ro
\t}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
\tfwsetup
}
"""
WORDS = st.lists(st.sampled_from(["quiet", "splash", "console=ttyS0", "console=tty1", "a=1", "a=2", "b"]), max_size=6)
OURS = st.lists(st.sampled_from(["a=3", "isolcpus=2", "hugepagesz=2M", "hugepages=4", "console=ttyS1"]), max_size=5)


def test_entries_with_their_menus_places_and_lines():
    config = grub.parse(CONFIG)
    assert [(entry.ids, entry.places) for entry in config.entries] == [
        (("simple",), (0,)),
        (("gnulinux-advanced-1", "gnulinux-6.8-advanced-1"), (1, 0)),
        (("gnulinux-advanced-1", "b"), (1, 1)),
        (("uefi-firmware",), (2,)),
    ]
    assert config.entries[0].line == Line("6.8.0-1-generic", ("root=UUID=1", "ro", "quiet", "splash"))
    assert config.entries[3].line is None
    assert config.default == "A>B"
    assert config.entries[1].titles == ("A", "it's one")


@pytest.mark.parametrize(
    ("default", "release"),
    [
        ("A>B", "6.9"),
        ("1>1", "6.9"),
        ("gnulinux-advanced-1>b", "6.9"),
        ("0", "6.8.0-1-generic"),
        ("", "6.8.0-1-generic"),
        ("simple", "6.8.0-1-generic"),
        ("gone", None),
        ("1", None),
        ("${saved_entry}", "6.9"),
    ],
)
def test_the_default_by_number_id_title_and_saved_entry(default, release):
    config = grub.Config(default, True, grub.parse(CONFIG).entries)
    line = grub.resolve(config, {"saved_entry": "1>b"})
    assert (line.release if line else None) == release


def test_the_full_entry_of_a_kernel_is_found_and_not_its_other_ones():
    entry = grub.entry_of(grub.parse(CONFIG), "6.8.0-1-generic")
    assert entry is not None
    assert entry.ids[-1] == "gnulinux-6.8-advanced-1"
    assert grub.entry_of(grub.parse(CONFIG), "6.9") is None


def test_settings_as_the_shell_prints_them():
    assert grub.Settings.read("console=ttyS0\0quiet splash $vt_handoff\0saved\0") == grub.Settings(
        ("console=ttyS0",), ("quiet", "splash"), "${saved_entry}"
    )
    assert grub.Settings.read("").default == "0"


@given(WORDS, OURS)
def test_ours_stand_last_and_whole_and_no_word_of_theirs_contradicts_them(base, ours):
    words = grub.compose(base, ours)
    assert list(words[len(words) - len(ours) :]) == ours
    theirs = words[: len(words) - len(ours)]
    assert set(theirs) <= set(base) - {"splash"}
    assert len(set(theirs)) == len(theirs)
    names = {name_of(word) for word in ours} - REPEATABLE
    assert not names & {name_of(word) for word in theirs}
    kept = [word for word in base if word != "splash" and name_of(word) not in names and word not in ours]
    assert set(kept) == set(theirs)
    assert grub.compose(theirs, ours) == words


def test_repeated_words_of_ours_stay_in_their_order():
    ours = ["hugepagesz=2M", "hugepages=8", "hugepagesz=1G", "hugepages=1"]
    assert grub.compose(["quiet"], ours) == ("quiet", *ours)


@pytest.mark.parametrize(
    ("flavour", "release"),
    [("generic", "6.12.100+deb13-amd64"), ("realtime", "6.12.57+deb13-rt-amd64"), ("", "")],
)
def test_the_newest_kernel_of_a_flavour_by_number(flavour, release):
    releases = ["6.12.57+deb13-amd64", "6.12.100+deb13-amd64", "6.9.1-amd64", "6.12.57+deb13-rt-amd64"]
    assert grub.newest(releases, flavour, "6.9.1-amd64") == release


@pytest.mark.parametrize(
    ("running", "flavour", "release"),
    [
        ("6.8.0-60-generic", "generic", "6.8.0-61-generic"),
        ("6.8.0-1013-oem", "generic", "6.8.0-1014-oem"),
        ("6.8.0-60-lowlatency", "generic", "6.14.0-33-lowlatency"),
        ("6.8.1-1012-realtime", "generic", "6.8.0-61-generic"),
        ("6.8.0-60-generic", "realtime", "6.8.1-1015-realtime"),
        ("7.0.0-1-vendor", "generic", "6.14.0-33-lowlatency"),
    ],
)
def test_another_vendors_kernel_is_no_newer_release_of_the_one_that_runs(running, flavour, release):
    releases = ["6.8.0-60-generic", "6.8.0-61-generic", "6.8.0-1013-oem", "6.8.0-1014-oem", "6.8.1-1015-realtime"]
    assert grub.newest([*releases, "6.14.0-33-lowlatency"], flavour, running) == release


def test_the_flavours_of_both_distributions():
    realtime = ["6.12.57+deb13-rt-amd64", "6.8.1-1012-realtime"]
    assert {flavour_of(release) for release in realtime} == {"realtime"}
    assert {flavour_of(release) for release in ("6.8.0-60-generic", "6.8.0-60-lowlatency")} == {"generic"}


def test_huge_pages_are_counted_by_size_and_node():
    wanted = [{"size": "2M", "count": 8}, {"size": "1G", "count": 2, "node": 1}]
    seen = trial.Evidence(pages={(2048, None): 8, (1048576, 1): 1})
    assert trial.problems([], wanted, (), seen) == ("1 of 2 huge pages of 1G on node 1 are reserved",)
    assert trial.problems([], wanted, (), trial.Evidence(pages={(2048, None): 9, (1048576, 1): 2})) == ()


def test_a_unit_that_had_failed_before_is_not_the_trials_doing():
    assert trial.problems([], [], ("a.service",), trial.Evidence(failed_units=("a.service",))) == ()


def test_only_our_words_count_as_unknown():
    log = 'Unknown kernel command line parameters "BOOT_IMAGE=/x splat isolcpus=9", will be passed to user space.'
    assert trial.problems(["splat"], [], (), trial.Evidence(log=log)) == ("the kernel does not know splat",)
    assert trial.problems(["skew_tick=1"], [], (), trial.Evidence(log=log)) == ()
