# SPDX-License-Identifier: Apache-2.0
"""The decisions of unit_converged with facts given, and how it reads and records those facts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.host.machine_record import Found
from plugins.modules import unit_converged as uc

UP = uc.Unit(can_reload=True, started_at=200.0)
DOWN = replace(UP, active_state="inactive", sub_state="dead")
FILES = uc.Files({"/etc/x": "a"}, {"/etc/rules": "r"}, newest=100.0)
OTHER = replace(FILES, inputs={"/etc/x": "b"})
STARTED = uc.Wanted()


def plan(unit=UP, wanted=STARTED, recorded: uc.Files | None = FILES, current=FILES) -> uc.Plan:
    return uc.decide(unit, wanted, recorded, current)


def test_a_unit_that_runs_with_what_is_recorded_is_left_alone():
    assert plan() == uc.Plan()


def test_a_unit_that_somebody_restarted_while_a_file_was_other_reads_the_file_again():
    recorded = replace(FILES, invocation="ours")
    theirs = replace(UP, invocation="theirs", started_at=150.0)
    mended = replace(FILES, newest=160.0)  # the same contents as recorded, written after their start
    assert plan(theirs, recorded=recorded, current=mended).actions == ("restart",)
    assert plan(replace(theirs, started_at=170.0), recorded=recorded, current=mended) == uc.Plan()
    assert plan(replace(theirs, invocation="ours"), recorded=recorded, current=mended) == uc.Plan()


def test_a_changed_input_restarts_and_names_the_file():
    assert plan(current=OTHER) == uc.Plan(("restart",), ("/etc/x: changed",))


def test_an_input_that_is_new_in_the_list_restarts():
    more = replace(FILES, inputs={"/etc/x": "a", "/etc/y": "c"})
    assert plan(current=more) == uc.Plan(("restart",), ("/etc/y: not read yet",))


def test_an_input_that_left_the_list_restarts():
    assert plan(current=replace(FILES, inputs={})).actions == ("restart",)


def test_a_changed_reload_input_reloads():
    assert plan(current=replace(FILES, reload_inputs={"/etc/rules": "s"})).actions == ("reload",)


def test_a_changed_reload_input_restarts_a_unit_that_cannot_reload():
    changed = replace(FILES, reload_inputs={"/etc/rules": "s"})
    assert plan(replace(UP, can_reload=False), current=changed).actions == ("restart",)


def test_both_kinds_changed_is_one_restart():
    assert plan(current=replace(OTHER, reload_inputs={})).actions == ("restart",)


def test_a_unit_that_is_down_is_started_even_when_nothing_changed():
    assert plan(DOWN).actions == ("start",)


def test_a_unit_that_failed_is_started():
    assert plan(replace(DOWN, active_state="failed")).actions == ("start",)


def test_a_crash_loop_is_cut_short_by_a_restart():
    assert plan(replace(UP, active_state="activating", sub_state="auto-restart")).actions == ("restart",)


def test_without_a_record_a_unit_that_read_the_files_is_adopted():
    adopted = plan(recorded=None)
    assert adopted.actions == ("record",)
    assert not adopted.changes


def test_without_a_record_a_unit_that_is_older_than_its_files_is_restarted():
    assert plan(recorded=None, current=replace(FILES, newest=200.0)).actions == ("restart",)


def test_without_a_record_and_without_a_start_time_the_unit_is_restarted():
    assert plan(replace(UP, started_at=None), recorded=None).actions == ("restart",)


def test_a_unit_whose_manager_has_old_unit_files_is_not_adopted():
    assert plan(replace(UP, need_daemon_reload=True), recorded=None).actions == ("daemon_reload", "restart")


def test_unit_files_that_changed_without_being_inputs_only_reload_the_manager():
    assert plan(replace(UP, need_daemon_reload=True)).actions == ("daemon_reload",)


def test_a_disabled_unit_is_enabled_without_a_restart():
    assert plan(replace(UP, unit_file_state="disabled")).actions == ("enable",)


@pytest.mark.parametrize("state", ["static", "generated", "indirect", "alias", "transient"])
def test_a_unit_without_an_install_section_is_not_enabled_in_every_run(state):
    assert plan(replace(UP, unit_file_state=state)) == uc.Plan()


def test_a_masked_unit_is_unmasked_enabled_and_started():
    assert plan(replace(DOWN, load_state="masked", unit_file_state="masked")).actions == (
        "unmask",
        "enable",
        "start",
    )


def test_an_enabled_unit_is_disabled_when_asked():
    assert plan(wanted=uc.Wanted(enabled=False)).actions == ("disable",)


def test_a_missing_unit_is_looked_for_again_before_it_is_started():
    missing = replace(DOWN, load_state="not-found", unit_file_state="")
    assert plan(missing, recorded=None).actions == ("daemon_reload", "enable", "start")


def test_stopped_stops_and_forgets_what_ran():
    assert plan(wanted=uc.Wanted(state="stopped", enabled=False)).actions == ("stop", "disable", "record")


def test_stopped_and_masked_is_as_wanted():
    masked = replace(DOWN, load_state="masked", unit_file_state="masked")
    assert plan(masked, uc.Wanted(state="stopped", enabled=False), None) == uc.Plan()


def test_stopped_and_missing_is_as_wanted():
    missing = replace(DOWN, load_state="not-found", unit_file_state="")
    assert plan(missing, uc.Wanted(state="stopped"), None) == uc.Plan()


def test_a_oneshot_that_has_run_with_these_inputs_does_not_run_again():
    assert plan(replace(DOWN, oneshot=True)) == uc.Plan()


def test_a_oneshot_runs_again_when_an_input_changed():
    assert plan(replace(DOWN, oneshot=True), current=OTHER).actions == ("restart",)


def test_a_oneshot_that_failed_or_never_ran_is_started():
    assert plan(replace(DOWN, oneshot=True, result="exit-code")).actions == ("start",)
    assert plan(replace(DOWN, oneshot=True), recorded=None).actions == ("start",)


SUMS = st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), st.sampled_from("12"))


@given(SUMS, SUMS)
def test_equal_checksums_and_only_those_count_as_unchanged(recorded, current):
    assert (uc.changed_paths(recorded, current) == {}) == (recorded == current)


@given(st.booleans(), st.floats(0, 1e6), st.floats(0, 1e6), SUMS)
def test_whatever_was_decided_and_recorded_the_next_run_does_nothing(reload, started, newest, sums):
    unit = replace(UP, need_daemon_reload=reload, started_at=started)
    current = uc.Files(sums, {}, newest)
    uc.decide(unit, STARTED, None, current)
    assert uc.decide(replace(unit, need_daemon_reload=False), STARTED, current, current) == uc.Plan()


def test_show_is_read_with_its_time_stamp():
    unit = uc.parse_show(
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
        "NeedDaemonReload=yes\nInactiveExitTimestamp=Sat 2026-11-21 03:10:55.250000 UTC\n"
        "NRestarts=2\nTriggers=a.service b.service\n"
    )
    assert (unit.need_daemon_reload, unit.restarts, unit.triggers) == (True, 2, ("a.service", "b.service"))
    assert unit.started_at == pytest.approx(1795230655.25)


def test_texts_become_one_bounded_line():
    line = uc.one_line("a\n\n b ", "x" * 2000 + "end")
    assert "\n" not in line
    assert line.startswith("a | b | x")
    assert line.endswith("end")
    assert len(line) < 920


def test_checksums_tell_content_absence_and_names_apart(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/one").write_text("1")
    before = uc.checksum(tmp_path / "d")
    (tmp_path / "d/one").rename(tmp_path / "d/two")
    assert uc.checksum(tmp_path / "d") != before
    assert uc.checksum(tmp_path / "none") == "absent"


def test_an_absent_file_may_have_been_removed_when_its_directory_changed(tmp_path):
    assert uc.newest_change(tmp_path / "gone/x") == pytest.approx(tmp_path.stat().st_ctime)


def test_a_link_that_leads_nowhere_is_an_input_like_any_other(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    assert uc.newest_change(tmp_path) > 0


def test_what_is_recorded_reads_back():
    assert uc.read_record(Found(uc.as_record(FILES))) == replace(FILES, newest=0.0)


@pytest.mark.parametrize("data", [None, {}, {"inputs": 1}, {"inputs": {}, "reload_inputs": None, "invocation": ""}])
def test_a_damaged_record_counts_as_none(data):
    assert uc.read_record(Found(data)) is None
