# SPDX-License-Identifier: Apache-2.0
"""A played machine with GRUB's one-shot entry: wherever the power goes, it boots what is proven."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils.kernel_boot_plan import Decision, Failed, Mode, Observed, Record, Step
from tests.unit.roles.kernel.kernel_boot_plan_kit import (
    GOOD,
    LINES,
    LONELY,
    PANICS,
    STOCK,
    WRONG,
    Machine,
    run,
    settled,
    wanted,
)

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
