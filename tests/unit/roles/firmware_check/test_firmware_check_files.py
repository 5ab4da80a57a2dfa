# SPDX-License-Identifier: Apache-2.0
"""The role reads the host, and writes on the control machine only."""

import pytest
import yaml

from fleet.paths import PROJECT
from roles.firmware_check.filter_plugins.firmware_report import ITEMS
from tools.lint.finding import flat

ROLE = PROJECT / "roles/firmware_check"
READ_ONLY = {
    "firmware_facts",
    "preflight",
    "ansible.builtin.assert",
    "ansible.builtin.debug",
    "ansible.builtin.import_tasks",
}
KEYWORDS = {"name", "register", "when", "loop", "loop_control", "vars", "become", "delegate_to", "check_mode"}


@pytest.fixture(scope="module")
def tasks():
    return [task for file in sorted((ROLE / "tasks").glob("*.yml")) for task in flat(yaml.safe_load(file.read_text()))]


def test_nothing_is_written_on_the_host(tasks):
    modules = [set(task) - KEYWORDS for task in tasks if task.get("delegate_to") != "localhost"]
    assert set().union(*modules) <= READ_ONLY | {"block"}


def test_what_is_written_on_the_control_machine_lies_in_its_build_folder(tasks):
    local = [task for task in tasks if task.get("delegate_to") == "localhost"]
    assert local
    for task in local:
        (arguments,) = (task[module] for module in set(task) - KEYWORDS)
        assert (arguments.get("dest") or arguments["path"]).startswith("{{ __firmware_check_folder }}")
        assert task["become"] is False


def test_the_specification_describes_every_item_that_can_be_wanted():
    specification = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(specification["firmware_check_wanted"]["options"]) == set(ITEMS)
