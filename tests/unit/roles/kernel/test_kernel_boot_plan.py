# SPDX-License-Identifier: Apache-2.0
"""The decisions about a played machine: a line is tried, becomes the default or is given up, and goes again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils.kernel_boot_plan import Decision, Failed, Mode, Observed, Record, Step
from tests.unit.roles.kernel.kernel_boot_plan_kit import (
    GOOD,
    LONELY,
    OTHER,
    PANICS,
    STOCK,
    WRONG,
    Machine,
    settled,
    wanted,
)

GO, HALT = Mode(reboot_allowed=True), Mode()


def test_a_good_line_boots_once_on_trial_and_becomes_the_default():
    machine = Machine()
    assert machine.play(GOOD) == Decision("nothing")
    assert settled(machine, GOOD)
    assert machine.trials == [GOOD.hash]
    assert machine.confirmed


def test_a_second_run_does_nothing_in_the_trial_boot_and_after_the_next_one():
    machine = Machine()
    machine.play(GOOD)
    boots = machine.boots
    assert machine.play(GOOD).action == "nothing"
    assert machine.boots == boots
    machine.boot()
    assert machine.trial == ""
    assert machine.play(GOOD) == Decision("nothing")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (PANICS, "did not reach user space"),
        (LONELY, "its own guard rebooted it"),
        (WRONG, "nohz_full is empty"),
    ],
)
def test_a_bad_line_never_becomes_the_default_and_is_refused_from_then_on(line, why):
    machine = Machine()
    machine.play(GOOD)
    assert why in machine.play(line).failure
    assert settled(machine, GOOD)
    assert machine.failed == Failed(line, machine.failed.reason if machine.failed else "")
    boots, trials = machine.boots, list(machine.trials)
    for _ in range(3):
        assert machine.play(line).failure.startswith("it failed before: ")
    assert (machine.boots, machine.trials) == (boots, trials)


def test_another_wish_after_a_failure_is_tried_and_forgets_the_failure():
    machine = Machine()
    machine.play(PANICS)
    assert machine.play(GOOD) == Decision("nothing")
    assert machine.failed is None
    assert settled(machine, GOOD)


def test_without_permission_nothing_is_armed_and_the_reboot_is_pending():
    machine = Machine()
    decision = machine.play(GOOD, allowed=False)
    assert decision.pending == "staged for a trial: arguments isolcpus=2-3"
    assert (machine.armed, machine.boots) == (False, 0)
    assert machine.play(GOOD, allowed=False) == decision
    machine.boot()
    assert machine.running == STOCK
    assert machine.play(GOOD) == Decision("nothing")


def test_permission_withdrawn_between_arming_and_the_reboot_disarms():
    machine = Machine()
    machine.module(wanted(GOOD), GO)
    assert machine.armed
    assert machine.module(wanted(GOOD), HALT).pending
    assert not machine.armed


def test_what_runs_already_is_adopted_without_a_trial():
    machine = Machine(running=GOOD)
    assert machine.play(GOOD) == Decision("nothing")
    assert (machine.trials, machine.boots, machine.default()) == ([], 0, GOOD)


def test_another_kernel_is_tried_and_the_one_before_is_remembered():
    machine = Machine()
    machine.play(OTHER)
    assert machine.record is not None
    assert machine.record.previous == STOCK.release
    machine.play(OTHER)
    assert machine.record.previous == STOCK.release


def test_a_committed_line_that_somebody_booted_past_needs_no_second_trial():
    machine = Machine()
    machine.play(GOOD)
    machine.running, machine.trial, machine.boots = STOCK, "", machine.boots + 1
    assert machine.play(GOOD) == Decision("nothing")
    assert machine.trials == [GOOD.hash]
    assert machine.running == GOOD


def test_removing_the_profile_gives_the_stock_machine_back():
    machine = Machine()
    machine.play(GOOD)
    assert machine.play(None, allowed=False).pending == plan.STOCK_PENDING
    assert (machine.dropin, machine.default()) == ("", STOCK)
    machine.play(None)
    assert machine.play(None) == Decision("nothing")
    assert machine.running == STOCK
    assert machine.record is None


def test_a_machine_that_was_never_ours_is_left_alone():
    machine = Machine(config=("", ""), running=OTHER)
    assert machine.play(None) == Decision("nothing")
    assert machine.boots == 0


def test_a_trial_nobody_confirmed_is_tried_once_more_by_a_later_run_and_then_given_up():
    machine = Machine()
    for attempt in (1, 2):
        machine.module(wanted(GOOD), GO)
        machine.boot()
        machine.guard()
        assert machine.trials == [GOOD.hash] * attempt
        assert machine.running == STOCK
    assert "no run could reach and confirm it" in machine.play(GOOD).failure


def test_a_run_that_comes_while_the_trial_waits_confirms_it():
    machine = Machine()
    machine.module(wanted(GOOD), GO)
    machine.boot()
    assert machine.play(GOOD) == Decision("nothing")
    machine.guard()
    assert settled(machine, GOOD)


def test_another_wish_while_a_trial_waits_leaves_the_trial_to_its_guard():
    machine = Machine()
    machine.module(wanted(GOOD), GO)
    machine.boot()
    assert machine.play(OTHER) == Decision("nothing")
    assert machine.running == OTHER


def test_grub_that_makes_another_default_is_given_up_with_the_stock_line():
    seen = Observed(GOOD, "1", default=STOCK, dropin=wanted(GOOD).dropin, refreshed=True)
    decision = plan.decide(seen, wanted(GOOD), GO)
    assert decision.action == "give_up"
    assert decision.steps == (Step("dropin", ""), Step("mkconfig"))
    assert "without isolcpus=2-3" in decision.failure


def test_grub_that_never_makes_the_trial_is_given_up():
    seen = Observed(STOCK, "1", default=STOCK, stale=True, refreshed=True, script=wanted(GOOD).script)
    assert plan.decide(seen, wanted(GOOD), GO).failure == "grub-mkconfig does not make the entry of the trial"


def test_a_boot_past_the_one_shot_entry_says_so():
    seen = Observed(STOCK, "2", script=wanted(GOOD).script, next_is_trial=True, record=Record("armed", GOOD, "1", 1))
    decision = plan.decide(seen, wanted(GOOD), GO)
    assert "still stands in grubenv" in decision.failure
    assert Step("next", value=False) in decision.steps


def test_disarming_comes_before_the_entry_goes():
    seen = Observed(STOCK, "1", script="x", next_is_trial=True, record=Record("armed", GOOD, "1", 1), dropin="y")
    kinds = [step.kind for step in plan.decide(seen, wanted(None), GO).steps]
    assert kinds.index("next") < kinds.index("script") < kinds.index("dropin") < kinds.index("mkconfig")


def test_the_marks_of_a_trial_are_told_from_an_administrators_own_words():
    assert plan.without_marks(GOOD.trial_words()) == (GOOD.words, GOOD.hash)
    assert plan.without_marks((*GOOD.words, plan.PANIC)) == ((*GOOD.words, plan.PANIC), "")
    assert plan.without_marks(()) == ((), "")


def test_units_that_had_failed_before_the_trial_are_remembered_through_it():
    seen = Observed(STOCK, "1", failed_units=("a.service",))
    stage = plan.decide(seen, wanted(GOOD), GO)
    staged = next(step.value for step in stage.steps if step.kind == "record")
    assert isinstance(staged, Record)
    assert staged.failed_units == ("a.service",)
    later = replace(seen, record=staged, script=wanted(GOOD).script, failed_units=("a.service", "b.service"))
    armed = next(step.value for step in plan.decide(later, wanted(GOOD), GO).steps if step.kind == "record")
    assert isinstance(armed, Record)
    assert armed.failed_units == ("a.service",)
