# SPDX-License-Identifier: Apache-2.0
"""What to do next so that a host runs a wanted kernel line, and always has a proven one to fall back to; pure.

A line is a kernel's release and the words of its command line. GRUB's default entry is only ever a line that has booted
and passed its checks, or the distribution's own. Anything else boots once, by a one-shot entry (the trial).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

MARK = "fleet.trial"
# A kernel that panics, and an initramfs that finds no root (initramfs-tools reads it too), reboot after that time.
PANIC = "panic=30"
# A trial that reached user space and that no run confirmed is worth one more try: the run may have been cut off.
ATTEMPTS = 2
STAGED, ARMED, PROVEN, STOCK = "staged", "armed", "proven", "stock"


@dataclass(frozen=True)
class Line:
    """A kernel's release and the words of its command line."""

    release: str
    words: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Return the name of this line in records and on the command line of its trial."""
        return hashlib.sha256(f"{self.release}\0{' '.join(self.words)}".encode()).hexdigest()[:12]

    def trial_words(self) -> tuple[str, ...]:
        """Return the words with which the line is tried."""
        return (*self.words, f"{MARK}={self.hash}", PANIC)


def without_marks(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Split a command line into its words and the hash of the trial that it is, "" if it is none."""
    if len(words) >= 2 and words[-2].startswith(f"{MARK}=") and words[-1] == PANIC:
        return words[:-2], words[-2].partition("=")[2]
    return words, ""


@dataclass(frozen=True)
class Record:
    """What the last run was doing; never trusted alone.

    Attributes:
        phase: staged, armed, proven or stock.
        line: the line it was about; for stock the one that ran then.
        boot_id: the boot in which it was written.
        attempts: how often the line was armed.
        previous: release that ran before another one was wanted.
        failed_units: units that had failed before the trial.
    """

    phase: str
    line: Line
    boot_id: str
    attempts: int = 0
    previous: str = ""
    failed_units: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A line that failed its trial, and why."""

    line: Line
    reason: str


@dataclass(frozen=True)
class Wanted:
    """The wanted line, None for the distribution's own, with the files that make it the default and the trial.

    `keep` is the drop-in that makes the running line the default, "" when GRUB's settings cannot express it.
    """

    line: Line | None
    dropin: str = ""
    script: str = ""
    keep: str = ""


@dataclass(frozen=True)
class Observed:
    """What the host says.

    Attributes:
        running: the line that runs, without the marks of a trial.
        trial: hash in the running command line, "" when this boot is no trial.
        boot_id: the kernel's id of this boot.
        default: what grub.cfg boots by default, None when that cannot be told.
        stale: grub.cfg is not what its inputs make of it.
        dropin: text of the drop-in, "" when absent.
        script: text of the trial's script, "" when absent.
        next_is_trial: GRUB boots the trial next time.
        record: what the last run was doing.
        failed: the line that failed last.
        reached: hash of the last trial that reached user space.
        problems: what the checks found of a running trial, or of a wanted line that runs without a record.
        failed_units: units that have failed now.
        refreshed: grub.cfg was generated in this run.
    """

    running: Line
    boot_id: str
    trial: str = ""
    default: Line | None = None
    stale: bool = False
    dropin: str = ""
    script: str = ""
    next_is_trial: bool = False
    record: Record | None = None
    failed: Failed | None = None
    reached: str = ""
    problems: tuple[str, ...] = ()
    failed_units: tuple[str, ...] = ()
    refreshed: bool = False


@dataclass(frozen=True)
class Step:
    """One operation that either happens or does not.

    Attributes:
        kind: record, failed, script, dropin (write or, when empty, remove), mkconfig, next (arm or disarm), confirm.
        value: what it writes.
    """

    kind: str
    value: Record | Failed | str | bool | None = None


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Attributes:
        action: its name.
        steps: operations in order.
        reboot: reboot afterwards.
        again: look at the host again after the steps and decide anew.
        pending: why a reboot is missing, "" when none is.
        failure: why the run ends in failure, "" when it does not.
    """

    action: str
    steps: tuple[Step, ...] = ()
    reboot: bool = False
    again: bool = False
    pending: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Mode:
    """How the module was called.

    Attributes:
        reboot_allowed: the host may be rebooted now.
        waited: this run rebooted the host and waited for it.
    """

    reboot_allowed: bool = False
    waited: bool = False


MKCONFIG = Step("mkconfig")
STOCK_PENDING = "the machine still runs a kernel line of this role; the next boot is the distribution's own"


def news(line: Line, running: Line) -> str:
    """Return what a line changes, for a message."""
    words = [word for word in line.words if word not in running.words]
    gone = [word for word in running.words if word not in line.words]
    parts = [f"kernel {line.release}"] if line.release != running.release else []
    parts += ["arguments " + " ".join(words)] if words else []
    parts += ["without " + " ".join(gone)] if gone else []
    return ", ".join(parts) or "the same line"


def decide(seen: Observed, wanted: Wanted, mode: Mode) -> Decision:
    """Return what to do next.

    Args:
        seen: the host.
        wanted: what it shall run.
        mode: what this run may do and has done.
    """
    line = wanted.line
    if line is None:
        return _stock(seen, mode)
    proven = seen.record is not None and seen.record.phase == PROVEN and seen.record.line == line
    if seen.trial == line.hash and not proven:
        return _in_trial(seen, line)
    if seen.running == line:
        return _settle(seen, wanted, line, reboot=False, mode=mode)
    if seen.failed is not None and seen.failed.line == line:
        return _refuse(seen, line, seen.failed.reason)
    if proven:
        return _settle(seen, wanted, line, reboot=True, mode=mode)
    return _try(seen, wanted, line, mode)


def _clean(seen: Observed, *, always: bool = False) -> tuple[Step, ...]:
    """Return the steps that take the trial away; disarmed before its entry goes."""
    steps = [Step("next", value=False)] if seen.next_is_trial else []
    steps += [Step("script", "")] if seen.script else []
    return (*steps, MKCONFIG) if seen.script or seen.stale or always else tuple(steps)


def _in_trial(seen: Observed, line: Line) -> Decision:
    problems = list(seen.problems)
    if seen.running != line:
        problems.insert(0, f"the kernel did not get the wanted line: {news(line, seen.running)} missing")
    if not problems:
        return Decision("commit", (Step("record", _record(seen, line, PROVEN)), Step("confirm")), again=True)
    reason = "; ".join(problems)
    steps = (Step("failed", Failed(line, reason)), *_clean(seen), Step("record", None))
    return Decision("rollback", steps, reboot=True, failure=f"the host booted, and {reason}")


def _settle(seen: Observed, wanted: Wanted, line: Line, *, reboot: bool, mode: Mode) -> Decision:
    """Make a proven line the default."""
    steps: list[Step] = []
    if seen.record is None or seen.record.phase != PROVEN or seen.record.line != line:
        if seen.problems:
            why = f"the host runs the wanted line, which this machine has not tried, and {'; '.join(seen.problems)}"
            return Decision("unfit", failure=why)
        steps.append(Step("record", _record(seen, line, PROVEN)))
    if seen.failed is not None:
        steps.append(Step("failed", None))
    if seen.dropin != wanted.dropin:
        steps.append(Step("dropin", wanted.dropin))
    wrong = seen.stale or seen.default != line
    if wrong and seen.refreshed and seen.dropin == wanted.dropin:
        found = news(seen.default, line) if seen.default else "an entry that cannot be found"
        why = f"grub-mkconfig makes another default entry of {line.release}: {found}"
        # The distribution's own line is proven by nature.
        return Decision("give_up", (Step("dropin", ""), MKCONFIG), failure=why)
    steps += _clean(replace(seen, stale=False))
    if wrong or seen.dropin != wanted.dropin or seen.script:
        steps = [step for step in steps if step != MKCONFIG] + [MKCONFIG]
    if steps:
        return Decision("make_default", tuple(steps), again=True)
    if not reboot:
        return Decision("nothing")
    if mode.waited:
        why = f"the proven line is the default of grub.cfg, and the host booted another: {news(seen.running, line)}"
        return Decision("report_failed", (Step("failed", Failed(line, why)),), failure=why)
    return _reboot(mode, (), f"proven, not running yet: {news(line, seen.running)}")


def _try(seen: Observed, wanted: Wanted, line: Line, mode: Mode) -> Decision:
    """Stage and arm the trial of a line, or say that it failed."""
    record = seen.record if seen.record is not None and seen.record.line == line else None
    armed = record is not None and record.phase == ARMED
    if armed and record is not None and record.boot_id != seen.boot_id:
        unconfirmed = seen.reached == line.hash
        if mode.waited or not unconfirmed or record.attempts >= ATTEMPTS:
            return _lost(seen, line, unconfirmed=unconfirmed)
    if not seen.trial and seen.default != seen.running and wanted.keep and seen.dropin != wanted.keep:
        # Another kernel installed, or settings edited: what a trial falls back to has to be what has booted.
        return Decision("keep", (Step("dropin", wanted.keep), MKCONFIG), again=True)
    attempts = record.attempts if record is not None else 0
    ready = record is not None and seen.script == wanted.script and not seen.stale
    if not ready:
        if seen.stale and seen.refreshed:
            return Decision("give_up", _clean(seen), failure="grub-mkconfig does not make the entry of the trial")
        steps = [Step("record", _record(seen, line, STAGED, attempts))]
        steps += [Step("failed", None)] if seen.failed is not None else []
        # Disarmed first: a one-shot entry that stands is of an older line.
        steps += [Step("next", value=False)] if seen.next_is_trial else []
        steps += [Step("script", wanted.script)] if seen.script != wanted.script else []
        return Decision("stage", (*steps, MKCONFIG), again=True)
    this_boot = armed and record is not None and record.boot_id == seen.boot_id
    if mode.reboot_allowed:
        # The record follows: a cut between the two must not count as a trial that was lost.
        steps = [] if seen.next_is_trial else [Step("next", value=True)]
        steps += [] if this_boot else [Step("record", _record(seen, line, ARMED, attempts + 1))]
        return Decision("arm", tuple(steps), reboot=True)
    steps = [Step("next", value=False)] if seen.next_is_trial else []
    steps += [Step("record", _record(seen, line, STAGED, attempts))] if armed else []
    return Decision("wait", tuple(steps), pending=f"staged for a trial: {news(line, seen.running)}")


def _lost(seen: Observed, line: Line, *, unconfirmed: bool) -> Decision:
    """Report a trial from which the host came back to its proven line."""
    if seen.next_is_trial:
        why = "the boot did not pass through GRUB's one-shot entry, which still stands in grubenv"
    elif unconfirmed:
        why = "it booted and no run could reach and confirm it in time, so its own guard rebooted it"
    else:
        why = "it did not reach user space (panic, no root file system, or no boot at all)"
    failed = Step("failed", Failed(line, why))
    return Decision("report_failed", (failed, *_clean(seen, always=True), Step("record", None)), failure=why)


def _refuse(seen: Observed, line: Line, reason: str) -> Decision:
    steps = list(_clean(seen))
    if seen.record is not None and seen.record.line == line:
        steps.append(Step("record", None))
    return Decision("refuse", tuple(steps), failure=f"it failed before: {reason}")


def _stock(seen: Observed, mode: Mode) -> Decision:
    """Give the distribution's own boot back."""
    record = seen.record
    ours = bool(seen.dropin or seen.script or seen.next_is_trial)
    if ours or seen.failed is not None or (record is not None and (record.phase != STOCK or seen.stale)):
        if seen.refreshed and not ours and seen.stale:
            return Decision("give_up", failure="grub-mkconfig does not make the distribution's own entries")
        steps = [Step("record", Record(STOCK, seen.running, seen.boot_id))]
        steps += [Step("next", value=False)] if seen.next_is_trial else []
        steps += [Step("script", "")] if seen.script else []
        steps += [Step("dropin", "")] if seen.dropin else []
        steps += [MKCONFIG]
        steps += [Step("failed", None)] if seen.failed is not None else []
        return Decision("remove", tuple(steps), again=True)
    if record is None and not seen.trial:
        return Decision("nothing")
    booted_since = record is not None and record.boot_id != seen.boot_id
    if not seen.trial and (booted_since or seen.running == seen.default):
        return Decision("forget", (Step("record", None),))
    return _reboot(mode, (), STOCK_PENDING)


def _reboot(mode: Mode, steps: tuple[Step, ...], why: str) -> Decision:
    if mode.reboot_allowed and not mode.waited:
        return Decision("reboot", steps, reboot=True)
    return Decision("wait", steps, pending=why)


def _record(seen: Observed, line: Line, phase: str, attempts: int = 0) -> Record:
    old = seen.record if seen.record is not None and seen.record.line == line else None
    previous = seen.record.previous if seen.record is not None else ""
    if seen.running.release != line.release:
        previous = seen.running.release
    # Taken before the trial: what fails in it is the trial's doing.
    before = old.failed_units if old is not None and phase != STAGED else seen.failed_units
    return Record(phase, line, seen.boot_id, attempts, previous, before)
