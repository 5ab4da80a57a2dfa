#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Bring a host to a wanted kernel line through a trial boot that cannot strand it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_boot
short_description: Try a kernel command line or a kernel for one boot, and make it permanent when it has proven itself
description:
  - Composes the line from the distribution's words and I(arguments), and puts it into a GRUB entry that boots once.
    After that boot the module is called again with I(waited); what passed its checks becomes GRUB's default entry,
    anything else is recorded as failed, and the host runs what it ran before.
  - Compares grub.cfg with what its inputs make of it, so a run that was cut off at any point is repaired by the next.
  - Does not reboot; it says whether to.
options:
  arguments:
    description: Words for the kernel. Empty, with an empty I(flavour), gives the distribution's own boot back.
    type: list
    elements: str
    default: []
  release:
    description: Release of the kernel to boot, as uname -r prints it. Empty is the newest installed one of I(flavour).
    type: str
    default: ""
  flavour:
    description: Kind of kernel to boot, when the host's kernel is this role's business at all.
    type: str
    choices: ["", generic, realtime]
    default: ""
  hugepages:
    description: Huge pages that the booted trial has to show; dictionaries of size, count and perhaps node.
    type: list
    elements: dict
    default: []
  reboot_allowed:
    description: Whether the host may be rebooted now. Otherwise a trial is prepared and not armed.
    type: bool
    default: false
  waited:
    description: Whether this run has rebooted the host and waited for it.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Prepare the trial of the line
  kernel_boot:
    arguments: ["isolcpus=managed_irq,domain,2-5", nohz_full=2-5]
    flavour: generic
    reboot_allowed: true
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done first.
  type: list
  elements: str
  returned: always
reboot:
  description: Whether to reboot now.
  type: bool
  returned: always
pending:
  description: What waits for a reboot that is not allowed, empty when nothing does.
  type: str
  returned: always
failure:
  description: Why the wanted line does not run and will not be tried again, empty when all is well.
  type: str
  returned: always
set_aside:
  description: Records of another machine (a restored or cloned disk); kept under another name, they count as none.
  type: list
  elements: str
  returned: always
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from roles.kernel.module_utils import kernel_boot_host as system
    from roles.kernel.module_utils import kernel_boot_plan as plan
    from roles.kernel.module_utils import kernel_grub as grub
    from roles.kernel.module_utils import kernel_trial as trial
else:
    from ansible.module_utils import kernel_boot_host as system
    from ansible.module_utils import kernel_boot_plan as plan
    from ansible.module_utils import kernel_grub as grub
    from ansible.module_utils import kernel_trial as trial

METRICS = "/usr/local/libexec/fleet/kernel-settings"
ROUNDS = 6


def later_owner(host: system.Host, text: str, words: tuple[str, ...], default: str) -> str:
    """Name the files that are read after our drop-in when they undo it, "" when the drop-in holds."""
    candidate = host.path("/run/fleet/kernel-candidate.cfg")
    system.put(candidate, text)
    try:
        comes_to = host.settings(str(candidate))
    finally:
        candidate.unlink()
    if (comes_to.linux_default, comes_to.default) == (words, default):
        return ""
    ours = host.path(system.DROPIN).name
    later = sorted(path.name for path in host.path("/etc/default/grub.d").glob("*.cfg") if path.name > ours)
    return ", ".join(later) or "/etc/default/grub"


def wanted_line(
    host: system.Host, config: grub.Config, now: grub.Settings, options: Mapping[str, Any], running: plan.Line
) -> plan.Wanted | None:
    """Return what the host shall boot; None when grub.cfg has to be generated first.

    Raises:
        system.BootError: the wish cannot be written.
    """
    arguments, flavour = options["arguments"], options["flavour"]
    if not flavour:
        return plan.Wanted(None)
    release = options["release"] or grub.newest(host.kernels(), flavour, running.release)
    if not release:
        raise system.BootError(f"no {flavour} kernel with an initrd is installed in /boot")
    if not host.path(f"/boot/vmlinuz-{release}").exists():
        raise system.BootError(f"kernel {release} is not installed: there is no /boot/vmlinuz-{release}")
    lost = sorted(host.dkms(running.release) - host.dkms(release))
    if lost:
        # Its trial would pass: a service that needs the module may only miss it when it is used.
        raise system.BootError(
            f"kernel {release} lacks {', '.join(lost)}, which DKMS has built for the running {running.release}: install"
            f" linux-headers-{release}, then dkms autoinstall -k {release} (dkms status says more),"
            " or remove them from DKMS"
        )
    entry = grub.entry_of(config, release)
    prefix = grub.prefix_of(entry, now) if entry else None
    if entry is None or prefix is None:
        return None
    base = host.settings()
    double = grub.claimed(base.linux, arguments)
    if double:
        where = "GRUB_CMDLINE_LINUX in /etc/default/grub or its drop-ins"
        raise system.BootError(f"{where} sets {' '.join(double)}, which this role sets: remove it there")
    words, default = grub.compose(base.linux_default, arguments), ">".join(entry.ids)
    text = grub.dropin(words, default)
    owner = later_owner(host, text, words, default)
    if owner:
        raise system.BootError(
            f"{system.DROPIN} would not hold, {owner} in /etc/default/grub.d sets the same: remove it there"
        )
    line = plan.Line(release, (*prefix, *base.linux, *words))
    return plan.Wanted(line, text, grub.script(entry, line), kept(config, (*prefix, *base.linux), running))


def kept(config: grub.Config, start: tuple[str, ...], running: plan.Line) -> str:
    """Return the drop-in that makes the running line the default, "" when it begins otherwise than GRUB's lines do."""
    entry = grub.entry_of(config, running.release)
    if entry is None or running.words[: len(start)] != start:
        return ""
    return grub.dropin(running.words[len(start) :], ">".join(entry.ids))


def is_stale(config: grub.Config, now: grub.Settings, script: str) -> bool:
    """Whether grub.cfg is not what grub-mkconfig would make of its inputs now."""
    own = [entry for entry in config.entries if entry.line is not None and "-advanced-" in entry.ids[-1]]
    foreign = any(grub.prefix_of(entry, now) is None for entry in own)
    return foreign or config.default != now.default or grub.trial_line(config) != grub.trial_line(grub.parse(script))


@dataclass
class Boot:
    """One execution of the module."""

    host: system.Host
    options: Mapping[str, Any]
    check: bool
    refreshed: bool = False
    actions: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)

    def look(self) -> tuple[plan.Observed, plan.Wanted | None]:
        """Observe the host and compose what is wanted of it."""
        host = self.host
        text = host.text(system.CONFIG)
        config = grub.parse(text)
        usable = bool(config.entries) and config.one_shot
        # One that somebody wrote by hand is made anew, as the next kernel package would do it.
        if not usable and (self.refreshed or not text):
            raise system.BootError(
                f"{system.CONFIG} has no entries or no one-shot entry (next_entry): is GRUB what boots this host?"
            )
        now = host.settings(str(host.path(system.DROPIN)))
        words = tuple(word for word in host.text("/proc/cmdline").split() if not word.startswith("BOOT_IMAGE="))
        words, marked = plan.without_marks(words)
        running = plan.Line(host.text("/proc/sys/kernel/osrelease").strip(), words)
        want = wanted_line(host, config, now, self.options, running) if usable else None
        environment = host.environment()
        script = host.text(system.SCRIPT)
        seen = plan.Observed(
            running=running,
            boot_id=host.text("/proc/sys/kernel/random/boot_id").strip(),
            trial=marked,
            default=grub.resolve(config, environment),
            stale=is_stale(config, now, script),
            dropin=host.text(system.DROPIN),
            script=script,
            next_is_trial=environment.get("next_entry") == grub.TRIAL_ID,
            record=system.read_record(self.own(system.RECORD)),
            failed=system.read_failed(self.own(system.FAILED)),
            reached=host.text(system.REACHED).strip(),
            refreshed=self.refreshed,
        )
        return self.judged(self.believed(seen), want), want

    def own(self, name: str) -> dict[str, Any] | None:
        """Return what a record of this machine says."""
        found = self.host.record(name)
        if found.foreign:
            self.leave(name)
        return found.data

    def leave(self, name: str) -> None:
        """Set a record of another machine aside, or in check mode only note it."""
        if name not in self.set_aside:
            self.set_aside.append(name)
        if not self.check:
            self.host.set_aside(name)

    def believed(self, seen: plan.Observed) -> plan.Observed:
        """Leave out the proof of a line that does not run, when this machine's journal does not know that boot.

        It would spare the line its trial; of one that runs, the record says nothing that the host does not.
        """
        record = seen.record
        if record is None or record.phase != plan.PROVEN or record.line == seen.running:
            return seen
        if record.boot_id == seen.boot_id or self.host.knows_boot(record.boot_id):
            return seen
        self.leave(system.RECORD)
        return replace(seen, record=None)

    def judged(self, seen: plan.Observed, want: plan.Wanted | None) -> plan.Observed:
        """Add what the units and the checks of a running trial say, where that matters."""
        if want is None or want.line is None:
            return seen
        changes: dict[str, Any] = {"failed_units": self.host.failed_units()}
        record = seen.record
        committed = record is not None and record.phase == plan.PROVEN and record.line == want.line
        # A line that runs without a record of this machine, as on a cloned disk, shows here what a trial shows.
        if (seen.trial == want.line.hash or seen.running == want.line) and not committed:
            pages = self.options["hugepages"]
            before = record.failed_units if record is not None else ()
            evidence = self.host.evidence(pages)
            changes["problems"] = trial.problems(self.options["arguments"], pages, before, evidence)
        return replace(seen, **changes)

    def converge(self) -> plan.Decision:
        """Look, decide and act until there is nothing more to do in this boot."""
        mode = plan.Mode(self.options["reboot_allowed"], self.options["waited"])
        if not self.options["flavour"] and not self.traces():
            return plan.Decision("nothing")
        for _ in range(ROUNDS):
            seen, want = self.look()
            decision = self.refresh() if want is None else plan.decide(seen, want, mode)
            if decision.action != "nothing":
                self.actions.append(decision.action)
            for step in decision.steps:
                self.take(step, seen)
            if self.check or not decision.again:
                return decision
        raise system.BootError(f"no end after {ROUNDS} rounds: {', '.join(self.actions)}")

    def traces(self) -> bool:
        """Whether this role has ever had to do with the host's boot; a host that it has not may boot without GRUB."""
        ours = (system.DROPIN, system.SCRIPT, system.RECORD, system.FAILED)
        return any(self.host.path(name).exists() for name in ours) or plan.MARK in self.host.text("/proc/cmdline")

    def refresh(self) -> plan.Decision:
        """Return the decision to generate a grub.cfg that its inputs do not explain."""
        if self.refreshed:
            release = self.options["release"] or f"({self.options['flavour']})"
            raise system.BootError(
                f"grub-mkconfig makes no entry for kernel {release} that ends in the words of its settings"
            )
        return plan.Decision("refresh", (plan.MKCONFIG,), again=True)

    def take(self, step: plan.Step, seen: plan.Observed) -> None:
        """Carry one step out, or in check mode only note it."""
        if step.kind in {"dropin", "script"}:
            before = seen.dropin if step.kind == "dropin" else seen.script
            name = system.DROPIN if step.kind == "dropin" else system.SCRIPT
            header = {"before_header": name, "after_header": name}
            self.diffs.append({"before": before, "after": str(step.value), **header})
        if self.check:
            return
        path = self.host.path
        match step.kind:
            case "record" | "failed":
                name = system.RECORD if step.kind == "record" else system.FAILED
                system.put(
                    path(name), system.as_text(step.value, self.host.machine), 0o600 if step.kind == "record" else 0o644
                )
            case "script":
                system.put(path(system.SCRIPT), str(step.value), 0o755)
            case "dropin":
                system.put(path(system.DROPIN), str(step.value))
            case "confirm":
                system.put(path(system.CONFIRMED), "confirmed\n")
            case "next":
                self.set_next(bool(step.value))
            case "mkconfig":
                self.mkconfig()

    def set_next(self, armed: bool) -> None:
        """Arm or disarm the one-shot entry."""
        if armed:
            # The marker of an older trial must not speak for this one.
            system.put(self.host.path(system.REACHED), "")
            self.host.run(["grub-reboot", grub.TRIAL_ID], 60)
        else:
            self.host.run(["grub-editenv", str(self.host.path(system.GRUBENV)), "unset", "next_entry"], 60)
        os.sync()

    def mkconfig(self) -> None:
        """Generate grub.cfg beside the old one and exchange them in one step.

        update-grub writes into the file that GRUB reads: half of it after a power cut. GRUB reads the disk without the
        journal of the file system, so the old file stays under a second name, its blocks not given to anybody else.
        """
        config = self.host.path(system.CONFIG)
        new, old = config.with_name("grub.cfg.fleet-new"), config.with_name("grub.cfg.fleet-previous")
        self.host.run(["grub-mkconfig", "-o", str(new)], 900)
        text = new.read_text(encoding="utf-8", errors="replace")
        if not grub.parse(text).entries:
            raise system.BootError("grub-mkconfig made a configuration without an entry; the old one stays")
        new.unlink()
        old.unlink(missing_ok=True)
        os.link(config, old)
        system.put(config, text, 0o600)
        os.sync()
        self.refreshed = True


def describe(action: str, failure: str, options: Mapping[str, Any]) -> str:
    """Return the one line that a person reads when a trial has failed."""
    if action == "unfit":
        return f"{failure}. Mend the machine or its host_vars, or boot another entry (GRUB, Advanced options)"
    return (
        f"the trial of kernel {options['release'] or options['flavour']} with"
        f" {' '.join(options['arguments']) or 'no arguments'} failed: {failure}; the host runs the proven line from"
        f" before. Change kernel_arguments, kernel_profile or kernel_version, or try again after: rm {system.FAILED}"
    )


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "arguments": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str", "default": ""},
            "flavour": {"type": "str", "choices": ["", "generic", "realtime"], "default": ""},
            "hugepages": {"type": "list", "elements": "dict", "default": []},
            "reboot_allowed": {"type": "bool", "default": False},
            "waited": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    boot = Boot(system.Host(), module.params, module.check_mode)
    try:
        decision = boot.converge()
        if not module.check_mode and Path(METRICS).exists():
            system.run_command([METRICS, "metrics"], 60)
    except (system.BootError, OSError) as error:
        module.fail_json(msg=f"kernel: {error}")
    failure = describe(decision.action, decision.failure, module.params) if decision.failure else ""
    if failure and not decision.reboot and not module.check_mode:
        module.fail_json(msg=f"kernel: {failure}", actions=boot.actions)
    module.exit_json(
        changed=bool(boot.set_aside) or (bool(boot.actions) and not (boot.actions == ["wait"] and not decision.steps)),
        actions=boot.actions,
        reboot=decision.reboot and not module.check_mode,
        pending=decision.pending,
        failure=failure,
        set_aside=boot.set_aside,
        diff=boot.diffs,
    )


if __name__ == "__main__":
    main()
