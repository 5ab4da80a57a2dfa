# SPDX-License-Identifier: Apache-2.0
"""Action `services_released`: runs a release with its files, and goes back to the one before if it is not ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
name: services_released
short_description: Run the services from a release and the files that belong to it
description:
  - A release in /opt/station/releases and a set of files in /etc/station/sets are switched together.
  - Before a switch the services drain; then links and services follow, in the order in which the services start.
  - When all are ready, the pair is noted in /opt/station/confirmed. When one is not, the pair before is switched to and
    started, and the action fails with the reason in one line. A pair that was confirmed is not left for another one.
  - At the end, services that are no longer described stop, and of releases and files the last two stay.
options:
  release: {description: Name of the release., type: str, required: true}
  files: {description: Name of the set of files., type: str, required: true}
  confirmed:
    description: What /opt/station/confirmed says, release and files; empty before the first release was ready.
    type: str
    required: true
  units:
    description: The services in the order in which they start; C(name), C(unit), and C(credentials) with their files.
    type: list
    elements: dict
    required: true
  ready_seconds: {description: Time for a service to become ready., type: int, required: true}
"""

EXAMPLES = r"""
- name: Switch to the release and its files, and go back if it does not become ready
  services_released:
    release: 0f3c
    files: 91ab
    confirmed: "{{ __services_confirmed_result.stdout }}"
    units: "{{ services_planned }}"
    ready_seconds: 120
"""

TARGET = "station.target"
WANTS = f"/etc/systemd/system/{TARGET}.wants"
Result = Mapping[str, Any]
Call = Callable[[str, Mapping[str, Any]], Result]  # module and its arguments -> its result


@dataclass(frozen=True)
class Pair:
    """A release and the set of files that belongs to it."""

    release: str
    files: str

    @classmethod
    def parse(cls, text: str) -> Pair | None:
        """Return what a line says, None for an empty one."""
        words = text.split()
        return cls(words[0], words[-1]) if words else None

    def __str__(self) -> str:
        """Return the line that says it."""
        return f"{self.release} {self.files}"

    @property
    def words(self) -> str:
        """Return it as messages have it."""
        return f"release {self.release} with files {self.files}"


@dataclass(frozen=True)
class Step:
    """One run of a module."""

    module: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Release:
    """What shall run.

    Attributes:
        wanted: what shall run.
        confirmed: what ran last and was ready.
        units: the services in the order in which they start.
        ready_seconds: time for each to become ready.
    """

    wanted: Pair
    confirmed: Pair | None
    units: Sequence[Mapping[str, Any]]
    ready_seconds: int

    @property
    def switches(self) -> bool:
        """Tell whether something else ran last."""
        return self.wanted != self.confirmed

    def forward(self) -> Iterator[list[Step]]:
        """Yield the stages of the way to what is wanted. All steps of a stage are tried, none behind one that fails."""
        if self.switches and self.confirmed:
            # Who writes stops first, the recorder last: everything that was begun is finished and stored.
            yield [_systemd(TARGET, state="stopped")]
        yield [self._links(self.wanted)]
        command = {"path": "/usr/local/bin/station", "src": "/usr/local/libexec/station/station"}
        yield [Step("ansible.builtin.file", {**command, "state": "link", "follow": False})]
        yield [self._run(unit) for unit in self.units]
        # One target starts and stops them all.
        yield [Step("unit_converged", {"name": TARGET, "inputs": [f"/etc/systemd/system/{TARGET}"]})]
        # From here on this is what a release that fails goes back to.
        yield [_file_set("services-confirmed", [{"path": "/opt/station/confirmed", "content": f"{self.wanted}\n"}])]

    def stop(self, former: Sequence[str]) -> list[Step]:
        """Return the steps that stop what did not become ready; what there was before is to start at boot again.

        With a unit goes the record of what it read: the next run finds it started after its files, and leaves it alone.
        """
        return [
            Step("unit_converged", {"name": str(unit["unit"]), "state": "stopped", "enabled": unit["name"] in former})
            for unit in self.units
        ]

    def back(self, confirmed: Pair, former: Sequence[str]) -> Iterator[list[Step]]:
        """Yield the stages of the way to what ran before.

        Args:
            confirmed: what ran before.
            former: names of the services that there were.
        """
        yield [self._links(confirmed)]
        yield [_systemd(unit, state="started") for unit in (*(f"station@{name}.service" for name in former), TARGET)]

    def _links(self, now: Pair) -> Step:
        files: list[dict[str, Any]] = [
            {"path": "/opt/station/current", "link": f"/opt/station/releases/{now.release}"},
            {"path": "/etc/station/services", "link": f"/etc/station/sets/{now.files}"},
            # The links' own file changes with every switch, also with one that goes back.
            {"path": "/etc/station/release", "content": f"{now}\n"},
        ]
        if self.switches and self.confirmed:
            files.append({"path": "/opt/station/previous", "link": f"/opt/station/releases/{self.confirmed.release}"})
        return _file_set("services-release", files)

    def _run(self, unit: Mapping[str, Any]) -> Step:
        inputs = [
            "/etc/station/release",
            f"/etc/station/services/{unit['name']}.yml",
            "/etc/systemd/system/station@.service",
            f"/etc/systemd/system/{unit['unit']}.d",
            *unit["credentials"].values(),
        ]
        return Step("unit_converged", {"name": unit["unit"], "inputs": inputs, "ready_timeout": self.ready_seconds})


def _systemd(unit: str, **wanted: Any) -> Step:
    return Step("ansible.builtin.systemd_service", {"name": unit, **wanted})


def _file_set(name: str, files: list[dict[str, Any]]) -> Step:
    return Step("file_set", {"name": name, "files": files})


@dataclass
class Walk:
    """Runs steps on the host, and remembers what they changed.

    Args:
        call: runs one module.
    """

    call: Call
    changed: bool = False
    diff: list[Any] = field(default_factory=list)

    def stage(self, steps: Sequence[Step]) -> list[str]:
        """Run all steps, and return what those that failed say."""
        return [message for step in steps for message in self._step(step)]

    def stages(self, stages: Iterator[list[Step]]) -> list[str]:
        """Run stages up to the first one that fails, and return what it says."""
        return next((messages for messages in map(self.stage, stages) if messages), [])

    def names(self, folder: str, pattern: str, kind: str = "file") -> list[str]:
        """Return the names of a folder's entries, sorted."""
        arguments = {"paths": [folder], "patterns": [pattern], "file_type": kind}
        found = self.call("ansible.builtin.find", arguments)
        return sorted(PurePosixPath(entry["path"]).name for entry in found.get("files", ()))

    def _step(self, step: Step) -> Iterator[str]:
        result = self.call(step.module, step.arguments)
        self.changed = self.changed or bool(result.get("changed"))
        diff = result.get("diff") or []
        self.diff.extend(diff if isinstance(diff, list) else [diff])
        if result.get("failed"):
            yield str(result.get("msg") or f"{step.module} failed").strip()


def released(walk: Walk, release: Release, *, check: bool) -> str:
    """Bring the host to a release; return why it is not what runs, or nothing.

    Args:
        walk: runs the steps.
        release: what shall run.
        check: whether this is a dry run, in which nothing was switched that could go back.
    """
    reasons = walk.stages(release.forward())
    if not reasons:
        left = _tidied(walk, release)
        return f"{release.wanted.words} is ready, and what it replaces is not gone: {'; '.join(left)}" if left else ""
    if not release.switches:
        outcome = "It was ready before, so nothing was switched"
    elif check:
        outcome = "This is a dry run, so nothing was switched"
    elif release.confirmed is None:
        outcome = "There is no release before it to go back to"
    else:
        outcome = _gone_back(walk, release, release.confirmed)
    return f"{release.wanted.words} did not become ready: {'; '.join(reasons)}. {outcome}"


def _gone_back(walk: Walk, release: Release, confirmed: Pair) -> str:
    former = [name.removesuffix(".yml") for name in walk.names(f"/etc/station/sets/{confirmed.files}", "*.yml")]
    trouble = walk.stage(release.stop(former)) + walk.stages(release.back(confirmed, former))
    state = f"does not become ready either: {trouble[0]}" if trouble else "is ready"
    return f"went back to {confirmed.words}, which {state}"


def _tidied(walk: Walk, release: Release) -> list[str]:
    """Stop services that are no longer described, remove all but the last two releases; return what fails."""
    described = {str(unit["unit"]) for unit in release.units}
    failed: list[str] = []
    for unit in walk.names(WANTS, "station@*.service", "any"):
        if unit not in described:
            stop = Step("unit_converged", {"name": unit, "state": "stopped", "enabled": False})
            failed += walk.stages(iter(([stop], [_absent(f"/etc/systemd/system/{unit}.d")])))
    if release.switches:
        kept = {*str(release.wanted).split(), *str(release.confirmed or "").split()}
        for folder in ("/opt/station/releases", "/etc/station/sets"):
            names = [name for name in walk.names(folder, "*", "directory") if name not in kept]
            failed += walk.stage([_absent(f"{folder}/{name}") for name in names])
    return failed


def _absent(path: str) -> Step:
    return Step("ansible.builtin.file", {"path": path, "state": "absent"})


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _VALID_ARGS = frozenset({"release", "files", "confirmed", "units", "ready_seconds"})

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what was changed, or failed with one line."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args

        def call(module: str, arguments: Mapping[str, Any]) -> Result:
            done: Result = self._execute_module(module, module_args=dict(arguments), task_vars=task_vars or {})
            return done

        wanted = Pair(str(given["release"]), str(given["files"]))
        confirmed = Pair.parse(str(given["confirmed"]))
        walk = Walk(call)
        release = Release(wanted, confirmed, given["units"], int(given["ready_seconds"]))
        message = released(walk, release, check=self._task.check_mode)
        result |= {"changed": walk.changed, "diff": walk.diff}
        if message:
            result |= {"failed": True, "msg": message}
        return result
