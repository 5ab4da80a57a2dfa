# SPDX-License-Identifier: Apache-2.0
"""The generated pages: what they say of a small project, and when they are stale."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UserError
from fleet.model.model import Fleet
from tools.pages import __main__ as command
from tools.pages import coverage, hosts, markdown, variables

SPECIFICATION = {
    "bus_port": {"type": "int", "default": 7000, "description": "Port of C(bus)."},
    "bus_policy": {"type": "str", "choices": ["always", "no"], "default": "no", "description": "When a|b."},
    "bus_password": {"type": "str", "default": "", "no_log": True, "description": "Password."},
    "bus_users": {"type": "dict", "description": "Users, <name> first."},
    "bus_peers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": ["Peers."],
        "options": {"name": {"type": "str", "required": True, "description": "Name."}},
    },
    "bus_scrape": {"type": "list", "elements": "dict", "description": "Targets."},
}
DEFAULTS = {
    "bus_port": 7000,
    "bus_policy": "no",
    "bus_password": "",
    "bus_users": {f"user{number}": "a long rule that no table can hold" for number in range(9)},
    "bus_peers": [],
    "bus_scrape": [{"job": "bus", "port": "{{ bus_port }}", "scope": "loopback"}],
}


def write(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture
def fleet(tmp_path):
    for role, options, defaults in (("bus", SPECIFICATION, DEFAULTS), ("idle", {}, {})):
        main = {"main": {"short_description": f"The {role}", "options": options}}
        write(tmp_path / "roles" / role / "meta" / "argument_specs.yml", {"argument_specs": main})
        write(tmp_path / "roles" / role / "defaults" / "main.yml", defaults)
    write(tmp_path / "playbooks" / "site.yml", [{"name": "Data: bus", "hosts": "buses", "roles": ["bus"]}])
    card = {"model": "Card 9"}
    hardware = {"cpu": {"model": "Fast"}, "memory_gib": 4, "gpus": [card, card]}
    known = {"one": {"ansible_host": "10.1.1.1", "hardware": hardware}, "two": {"ansible_host": "10.1.1.2"}}
    inventory = {"all": {"hosts": known, "children": {"buses": {"hosts": {"one": None}}}}}
    write(tmp_path / "inventory" / "production" / "hosts.yml", inventory)
    return Fleet.load(tmp_path / "inventory" / "production", tmp_path)


def row(page: str, start: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"| `{start}`"))


def test_a_variable_is_listed_with_type_default_and_meaning(fleet):
    assert row(variables.page(fleet.project), "bus_port") == "| `bus_port` | int | `7000` | Port of `bus`. |"


def test_choices_stand_with_the_type_and_a_bar_does_not_break_the_table(fleet):
    line = row(variables.page(fleet.project), "bus_policy")
    assert line == r"| `bus_policy` | str: `always`, `no` | `'no'` | When a\|b. |"


def test_a_long_default_is_a_link_and_angle_brackets_are_no_html(fleet):
    line = row(variables.page(fleet.project), "bus_users")
    assert "see [roles/bus/defaults/main.yml](../../roles/bus/defaults/main.yml)" in line
    assert "&lt;name>" in line


def test_options_inside_a_list_are_listed_with_their_path(fleet):
    assert row(variables.page(fleet.project), "bus_peers[].name") == "| `bus_peers[].name` | str | required | Name. |"


def test_a_secret_is_marked(fleet):
    assert "**Secret.**" in row(variables.page(fleet.project), "bus_password")


def test_a_role_that_no_play_applies_comes_last_and_says_so(fleet):
    page = variables.page(fleet.project)
    assert page.index("## bus") < page.index("## idle")
    assert "The idle (applied by no play yet)." in page
    assert "The bus (layer data)." in page


def test_a_host_is_listed_with_hardware_groups_and_layers(fleet):
    page = hosts.page(fleet)
    assert row(page, "one") == "| `one` | 10.1.1.1 | Fast, 4 GiB, 2 x Card 9 | buses | data |"
    assert row(page, "two") == "| `two` | 10.1.1.2 |  |  | none yet |"
    assert row(page, "bus") == "| `bus` | ● |  |"


def test_a_port_is_listed_with_from_where_it_is_scraped(fleet):
    assert "| `one` | 7000 | `bus_port` | Port of `bus`. | loopback |" in hosts.page(fleet)


def test_assertions_are_counted_wherever_they_stand():
    helper = "def helper(x):\n    assert x\n\n"
    source = f"{helper}def test_a():\n    assert 1\n\nclass T:\n    def test_b(self):\n        assert 3\n"
    assert coverage.count(source) == coverage.Count(tests=2, assertions=3)


STATED = {
    "roles": {"bus": {"container": "Writes.", "not_verified": "Disks."}},
    "hardware": [{"what": "GPUs", "why": "none"}],
}


def test_coverage_names_places_counts_and_what_no_test_has_seen():
    page = coverage.page(STATED, ["bus"], {"bus": coverage.Count(2, 5)})
    assert row(page, "bus") == "| `bus` | 2 | 5 | Writes. | - | Disks. |"
    assert "- **GPUs**: none" in page


def test_a_place_with_several_texts_takes_a_row_for_each():
    stated = {"roles": {"bus": {"container": ["Writes.", "Reads."], "not_verified": "Disks."}}, "hardware": []}
    lines = coverage.page(stated, ["bus"], {"bus": coverage.Count(2, 5)}).splitlines()
    first = lines.index("| `bus` | 2 | 5 | Writes. | - | Disks. |")
    assert lines[first + 1] == "|  |  |  | Reads. |  |  |"


def test_a_role_without_assertions_is_not_called_verified():
    page = coverage.page(STATED, ["bus"], {})
    assert row(page, "bus") == "| `bus` | 0 | 0 | nothing yet | - | Disks. |"


@pytest.mark.parametrize(("roles", "words"), [(["bus", "new"], "role new is missing"), ([], "there is no role bus")])
def test_coverage_that_does_not_fit_the_roles_is_refused(roles, words):
    with pytest.raises(UserError, match=words):
        coverage.page(STATED, roles, {})


def test_check_names_a_stale_page_and_writes_nothing(tmp_path, monkeypatch, capsys):
    page = tmp_path / "docs" / "hosts.md"
    monkeypatch.setattr(command, "PROJECT", tmp_path)
    monkeypatch.setattr(command, "pages", lambda project: {project / "docs" / "hosts.md": "new"})
    assert command.main(["--check"]) == 1
    assert "docs/hosts.md: stale: run `make docs`" in capsys.readouterr().err
    assert not page.exists()
    assert command.main([]) == 0
    assert page.read_text() == "new"
    assert command.main(["--check"]) == 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_value_takes_one_line(content):
    assert "\n" not in markdown.table(["x"], [[markdown.value(content)]]).splitlines()[2]
    assert len(markdown.table(["x"], [[markdown.value(content)]]).splitlines()) == 3
