# SPDX-License-Identifier: Apache-2.0
"""The plans leave no test out, and every file they name exists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from molecule.ansi_output import AnsiOutput

from fleet.paths import PROJECT
from tools.stages.plan import MOLECULE_STEP, VM_TESTS, Plan, Stage, plans


def stages(plan: Plan) -> Iterator[Stage]:
    for part in plan.parts:
        if isinstance(part, Plan):
            yield from stages(part)
        else:
            yield part


def run_by(*names: str) -> set[str]:
    """Return the tests and folders of tests that the plans run."""
    return {
        word for name in names for stage in stages(plans()[name]) for word in stage.command if word.startswith("tests/")
    }


@pytest.mark.parametrize("plan", plans().values(), ids=lambda plan: plan.name)
def test_every_verb_and_every_test_of_a_plan_exists(plan):
    makefile = (PROJECT / "Makefile").read_text().splitlines()
    targets = {name for line in makefile if ": setup" in line for name in line.partition(":")[0].split()}
    assert plan.name in targets
    for stage in stages(plan):
        assert stage.command[0] != "make" or stage.command[-1] in targets
        assert [word for word in stage.command if word.startswith("tests/") and not (PROJECT / word).exists()] == []


def test_every_folder_of_tests_on_a_virtual_machine_is_run_as_a_whole():
    folders = {str(file.parent.relative_to(PROJECT)) for file in PROJECT.glob(f"{VM_TESTS}/*/test_*.py")}
    assert folders == {word for word in run_by("test-kernel", "test-onload") if word.startswith(VM_TESTS)}


def test_what_make_test_sees_of_the_kernel_layer_is_part_of_the_whole():
    whole = run_by("test-kernel")
    for test in run_by("kernel"):
        assert {test, test.rpartition("/")[0]} & whole


def test_a_step_of_molecule_is_known_by_the_line_that_molecule_writes(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    _, plain = AnsiOutput().format_scenario("fleet", "converge")
    found = MOLECULE_STEP.search(f"INFO     {plain} Executing")
    assert found is not None
    assert found["step"] == "converge"
