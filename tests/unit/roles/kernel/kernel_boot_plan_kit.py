# SPDX-License-Identifier: Apache-2.0
"""A played machine with GRUB's one-shot entry, and lines for it: one that is good, others that fail in their ways."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils.kernel_boot_plan import Decision, Failed, Line, Mode, Observed, Record, Step, Wanted

STOCK = Line("6.12-amd64", ("root=/dev/vda1", "ro", "quiet"))
GOOD = Line("6.12-amd64", ("root=/dev/vda1", "ro", "quiet", "isolcpus=2-3"))
OTHER = Line("6.12-rt-amd64", ("root=/dev/vda1", "ro", "quiet", "isolcpus=2-3"))
PANICS = replace(GOOD, words=(*GOOD.words, "init=/nowhere"))
LONELY = replace(GOOD, words=(*GOOD.words, "net.ifnames=broken"))  # comes up, nobody can reach it
WRONG = replace(GOOD, words=(*GOOD.words, "nohz_full=nonsense"))  # comes up, fails its checks
LINES = (GOOD, OTHER, PANICS, LONELY, WRONG)


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
