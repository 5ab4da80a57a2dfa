# SPDX-License-Identifier: Apache-2.0
"""A played machine with GRUB's one-shot entry: wherever the power goes, it boots what is proven."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils import kernel_boot_plan as plan
from plugins.module_utils.kernel_boot_plan import Decision, Failed, Line, Mode, Observed, Record, Step, Wanted

STOCK = Line("6.12-amd64", ("root=/dev/vda1", "ro", "quiet"))
GOOD = Line("6.12-amd64", ("root=/dev/vda1", "ro", "quiet", "isolcpus=2-3"))
OTHER = Line("6.12-rt-amd64", ("root=/dev/vda1", "ro", "quiet", "isolcpus=2-3"))
PANICS = replace(GOOD, words=(*GOOD.words, "init=/nowhere"))
LONELY = replace(GOOD, words=(*GOOD.words, "net.ifnames=broken"))  # comes up, nobody can reach it
WRONG = replace(GOOD, words=(*GOOD.words, "nohz_full=nonsense"))  # comes up, fails its checks
LINES = (GOOD, OTHER, PANICS, LONELY, WRONG)
GO, HALT = Mode(reboot_allowed=True), Mode()


class PowerCutError(Exception):
    """The power went."""


def wanted(line: Line | None) -> Wanted:
    return Wanted(line, f"default {line.hash}", f"trial {line.hash}") if line else Wanted(None)


@dataclass
class Machine:
    """A host as the module sees it: files that survive, a boot that does not."""

    lines: dict[str, Line] = field(default_factory=lambda: {line.hash: line for line in LINES})
    dropin: str = ""
    script: str = ""
    record: Record | None = None
    failed: Failed | None = None
    reached: str = ""
    config: tuple[str, str] = ("", "")  # drop-in and script of the last grub-mkconfig
    armed: bool = False
    running: Line = STOCK
    trial: str = ""
    boots: int = 0
    confirmed: bool = False
    proven: set[Line] = field(default_factory=lambda: {STOCK})
    trials: list[str] = field(default_factory=list)
    until_cut: int = -1

    def default(self) -> Line:
        return self.lines[self.config[0].split()[1]] if self.config[0] else STOCK

    def boot(self) -> None:
        """GRUB clears the one-shot entry before it boots it; a panic and the guard lead to the default entry."""
        self.boots += 1
        self.confirmed = False
        once, self.armed = self.armed, False
        if once and self.config[1]:
            line = self.lines[self.config[1].split()[1]]
            self.trials.append(line.hash)
            if line != PANICS:
                self.reached, self.running, self.trial = line.hash, line, line.hash
                return
            self.boots += 1
        self.running, self.trial = self.default(), ""
        assert self.running in self.proven, "an unproven line became the default"

    def guard(self) -> None:
        """Nobody confirmed in time."""
        if self.trial and not self.confirmed:
            self.boot()

    def seen(self, refreshed: bool) -> Observed:
        return Observed(
            running=self.running,
            boot_id=str(self.boots),
            trial=self.trial,
            default=self.default(),
            stale=self.config != (self.dropin, self.script),
            dropin=self.dropin,
            script=self.script,
            next_is_trial=self.armed,
            record=self.record,
            failed=self.failed,
            reached=self.reached,
            problems=("nohz_full is empty",) if self.trial and self.running == WRONG else (),
            refreshed=refreshed,
        )

    def do(self, step: Step) -> None:
        match step:
            case Step("mkconfig", _):
                self.config = (self.dropin, self.script)
            case Step("next", bool(value)):
                self.armed = value
            case Step("confirm", _):
                self.confirmed = True
            case Step(name, value):
                setattr(self, name, value)
                if isinstance(value, Record) and value.phase == plan.PROVEN:
                    assert value.line == self.running
                    assert self.running not in {WRONG, LONELY, PANICS}
                    self.proven.add(self.running)
        if self.until_cut >= 0:
            self.until_cut -= 1
            if self.until_cut < 0:
                raise PowerCutError

    def module(self, want: Wanted, mode: Mode) -> Decision:
        refreshed = False
        for _ in range(6):
            decision = plan.decide(self.seen(refreshed), want, mode)
            for step in decision.steps:
                refreshed |= step.kind == "mkconfig"
                self.do(step)
            if not decision.again:
                return decision
        raise AssertionError(f"the module does not come to an end: {decision}")

    def play(self, line: Line | None, *, allowed: bool = True) -> Decision:
        """One run of the role: decide, reboot when told to and wait, decide again."""
        before = self.trial
        decision = self.module(wanted(line), Mode(allowed))
        if decision.reboot and not decision.failure:
            self.boot()
            if self.running == LONELY:
                self.guard()
            decision = self.module(wanted(line), Mode(allowed, waited=True))
        if decision.reboot:
            assert decision.failure, "a run reboots once, and again only out of a trial that failed"
            self.boot()
        assert before or not (self.trial and not self.confirmed) or not allowed
        return decision


def run(machine: Machine, line: Line | None, cut_after: int, allowed: bool = True) -> None:
    """Run the role and cut the power after so many steps; the machine comes back by itself."""
    machine.until_cut = cut_after
    try:
        machine.play(line, allowed=allowed)
    except PowerCutError:
        machine.until_cut = -1
        machine.boot()
    machine.until_cut = -1


def settled(machine: Machine, line: Line | None) -> bool:
    return machine.running == (line or STOCK) and machine.default() == machine.running and not machine.script


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


WISHES = st.sampled_from([None, *LINES])


@pytest.mark.parametrize("first", [None, GOOD])
@pytest.mark.parametrize("line", [None, *LINES])
@pytest.mark.parametrize("cut", range(30))
def test_after_any_single_power_cut_the_next_runs_converge(first, line, cut):
    machine = Machine()
    machine.play(first)
    run(machine, line, cut)
    machine.guard()
    last = [machine.play(line) for _ in range(3)][-1]
    if line in {PANICS, LONELY, WRONG}:
        assert last.failure
        assert machine.running in {STOCK, GOOD}
        assert machine.default() == machine.running
    else:
        assert last == Decision("nothing")
        assert settled(machine, line)


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(WISHES, st.integers(-1, 12), st.booleans(), st.sampled_from(["", "guard", "boot", "update"])),
        max_size=8,
    ),
    WISHES,
)
def test_from_any_history_every_boot_is_proven_or_a_trial_and_the_end_is_reached(history, line):
    machine = Machine()
    for wish, cut, allowed, then in history:
        run(machine, wish, cut, allowed)
        if then == "guard" or machine.running == LONELY:
            machine.guard()
        if then == "boot":
            machine.boot()
        if then == "update":
            # A kernel package runs update-grub whenever it likes, also after a run that was cut off.
            machine.config = (machine.dropin, machine.script)
            assert machine.default() in machine.proven
    trials = len(machine.trials)
    machine.guard()
    results = [machine.play(line) for _ in range(5)]
    assert results[-1] == results[-2]
    assert len(machine.trials) - trials <= 2
    assert machine.default() in machine.proven
    bad = line in {PANICS, LONELY, WRONG}
    assert bool(results[-1].failure) == bad
    if not bad:
        assert settled(machine, line)


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_found_the_decision_is_safe(data):
    """Also in states that no run leaves behind."""
    line = data.draw(st.sampled_from(LINES))
    other = data.draw(st.sampled_from([STOCK, *LINES]))
    texts = ["", "foreign", wanted(line).script]
    records = st.builds(
        Record,
        st.sampled_from([plan.STAGED, plan.ARMED, plan.PROVEN, plan.STOCK]),
        st.sampled_from([line, other]),
        st.sampled_from(["1", "2"]),
        st.integers(0, 3),
    )
    seen = Observed(
        running=data.draw(st.sampled_from([line, other])),
        boot_id="2",
        trial=data.draw(st.sampled_from(["", line.hash, other.hash])),
        default=data.draw(st.sampled_from([None, line, other])),
        stale=data.draw(st.booleans()),
        dropin=data.draw(st.sampled_from(["", "foreign", wanted(line).dropin])),
        script=data.draw(st.sampled_from(texts)),
        next_is_trial=data.draw(st.booleans()),
        record=data.draw(st.none() | records),
        failed=data.draw(st.none() | st.builds(Failed, st.sampled_from([line, other]), st.just("x"))),
        reached=data.draw(st.sampled_from(["", line.hash])),
        problems=data.draw(st.sampled_from([(), ("bad",)])),
        refreshed=data.draw(st.booleans()),
    )
    want = data.draw(st.sampled_from([wanted(line), wanted(None)]))
    mode = Mode(data.draw(st.booleans()), data.draw(st.booleans()))
    decision = plan.decide(seen, want, mode)
    kinds = [step.kind for step in decision.steps]
    # The drop-in is written for a line that runs unproblematically, or that a record of this very line calls proven.
    if Step("dropin", want.dropin) in decision.steps and want.line is not None and want.dropin:
        proven = seen.record is not None and seen.record.phase == plan.PROVEN and seen.record.line == want.line
        assert seen.running == want.line or proven
    if Step("next", value=True) in decision.steps:
        assert mode.reboot_allowed
        assert seen.script == want.script
        assert not seen.stale
    assert not (decision.reboot and not mode.reboot_allowed and decision.action != "rollback")
    assert not (decision.again and decision.reboot)
    assert decision.again <= bool(decision.steps)
    assert "mkconfig" not in kinds or kinds.index("mkconfig") > max(
        [kinds.index(kind) for kind in ("dropin", "script") if kind in kinds], default=-1
    )
