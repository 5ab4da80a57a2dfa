# SPDX-License-Identifier: Apache-2.0
"""Two roles that claim one unit, user or file are found, and roles that keep apart are not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fleet.paths import PROJECT
from tools.lint import owners

UNIT = "/etc/systemd/system"
BASE = "ansible.builtin"


@pytest.fixture
def findings(tmp_path):
    """Return a function that writes the tasks of roles and returns what the lint says of them."""

    def run(roles, files=None):
        for role, tasks in roles.items():
            for name in ("tasks/install.yml", "defaults/main.yml", "vars/main.yml"):
                (tmp_path / "roles" / role / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "roles" / role / "tasks/install.yml").write_text(yaml.safe_dump(tasks))
        for name, text in (files or {}).items():
            (tmp_path / "roles" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "roles" / name).write_text(text)
        return [str(finding) for finding in owners.check(tmp_path)]

    return run


def task(module: str, **arguments: Any) -> dict[str, Any]:
    return {"name": "Do", module: arguments}


def file_set(path: str, content: str = "x", purge: list[str] | None = None, files: Any = None) -> dict[str, Any]:
    entries = [{"path": path, "content": content}] if files is None else files
    return task("file_set", name="set", files=entries, purge=purge or [])


DOUBLE: dict[str, list[dict[str, Any]]] = {
    "a unit that is run": [task("unit_converged", name="x.service"), task(f"{BASE}.systemd_service", name="x")],
    "a unit written and run": [file_set(f"{UNIT}/x.timer"), task("unit_converged", name="x.timer")],
    "a unit masked": [
        task(f"{BASE}.file", dest=f"{UNIT}/x.service", src="/dev/null", state="link"),
        task(f"{BASE}.template", dest=f"{UNIT}/x.service", src="x.j2"),
    ],
    "a user": [task(f"{BASE}.user", name="x"), task(f"{BASE}.user", name="x")],
    "a group": [task(f"{BASE}.group", name="x"), task("group", name="x")],
    "a file": [task(f"{BASE}.copy", dest="/etc/x", content=""), file_set("/etc/x")],
    "a line of a file": [task(f"{BASE}.lineinfile", path="/etc/x", line="a"), file_set("/etc/x")],
    "kernel parameters": [task("sysctl_applied", file="/etc/x", content=""), file_set("/etc/x")],
    "a directory made in two ways": [
        task(f"{BASE}.file", path="/x", state="directory", mode="0700"),
        task(f"{BASE}.file", path="/x", state="directory", mode="0755"),
    ],
    "a user of systemd and one of useradd": [
        file_set("/etc/sysusers.d/x.conf", "u x - -\n"),
        task(f"{BASE}.user", name="x"),
    ],
}


@pytest.mark.parametrize("case", DOUBLE)
def test_two_roles_that_claim_one_thing_are_named_with_their_files(findings, case):
    one, other = DOUBLE[case]
    (line,) = findings({"first": [one], "second": [other]})
    assert line.startswith("roles/second/tasks/install.yml: ")
    assert "is claimed by the role first too (roles/first/tasks/install.yml)" in line


@pytest.mark.parametrize("case", DOUBLE)
def test_one_role_may_claim_a_thing_as_often_as_it_likes(findings, case):
    found = findings({"only": DOUBLE[case], "other": [file_set("/etc/other")]})
    assert found == []


@pytest.mark.parametrize(
    "tasks",
    [
        [task(f"{BASE}.copy", dest="{{ second_folder }}/x", content="")],
        [{**task(f"{BASE}.copy", dest="/etc/{{ item }}", content=""), "loop": ["y", "x"]}],
        [{**task(f"{BASE}.file", path="{{ item.path }}"), "loop": [{"path": "/etc/x"}]}],
        [{"block": [task(f"{BASE}.copy", dest="{{ folder }}/x", content="")], "vars": {"folder": "/etc"}}],
        [{**file_set("", files="{{ __own + more }}"), "vars": {"__own": [{"path": "/etc/x", "content": ""}]}}],
        [file_set("", files="{{ __second_files if true else [] }}")],
    ],
    ids=["defaults", "loop", "loop of dictionaries", "vars of a block", "expression", "vars of the role"],
)
def test_names_in_variables_are_put_in(findings, tasks):
    files = {
        "second/defaults/main.yml": "second_folder: '{{ second_root }}'\nsecond_root: /etc\n",
        "second/vars/main.yml": "__second_files: [{path: /etc/x, content: ''}]\n",
    }
    (line,) = findings({"first": [file_set("/etc/x")], "second": tasks}, files)
    assert "file /etc/x is claimed by the role first too" in line


@pytest.mark.parametrize(
    "path",
    ["{{ unknown }}/x", "/etc/{{ item }}", "{{ ansible_facts['x'] }}", "{% if a %}/etc/x{% endif %}", "relative/x"],
)
def test_names_that_only_a_run_knows_are_left_out(findings, path):
    assert findings({"first": [file_set(path)], "second": [file_set(path)]}) == []


def test_variables_that_name_each_other_end(findings):
    files = {f"{role}/defaults/main.yml": "a: '{{ b }}'\nb: '{{ a }}'\n" for role in ("first", "second")}
    assert findings({role: [file_set("{{ a }}")] for role in ("first", "second")}, files) == []


def test_the_control_machine_s_files_are_no_claim(findings):
    local = {**task(f"{BASE}.copy", dest="/tmp/x", content=""), "delegate_to": "localhost"}
    assert findings({"first": [local], "second": [local]}) == []


def test_a_file_that_is_only_read_is_no_claim(findings):
    read = task(f"{BASE}.stat", path="/etc/x")
    assert findings({"first": [file_set("/etc/x")], "second": [read]}) == []


def test_two_roles_may_make_one_directory_alike(findings):
    tasks = [task(f"{BASE}.file", path="/x", state="directory", mode="0755")]
    assert findings({"first": tasks, "second": tasks}) == []


@pytest.mark.parametrize("linked", [True, False])
def test_several_roles_may_install_one_file_that_is_no_role_s_own(findings, tmp_path, linked):
    (tmp_path / "shared.py").write_text("")
    for role in ("a", "b"):
        source = tmp_path / "roles" / role / "files" / "shared.py"
        source.parent.mkdir(parents=True)
        if linked:
            source.symlink_to("../../../shared.py")
        else:
            source.write_text("")
    install = [file_set("", files=[{"path": "/usr/local/libexec/fleet/shared.py", "src": "shared.py"}])]
    assert bool(findings({"a": install, "b": install})) is not linked


def test_users_in_a_template_for_systemd_are_claims(findings):
    tasks = [file_set("/etc/sysusers.d/b.conf", "{{ lookup('ansible.builtin.template', 'b.conf.j2') }}")]
    files = {"second/templates/b.conf.j2": "# people\nu! worker 500\ng helpers -\nm worker helpers\n"}
    lines = findings(
        {"first": [task(f"{BASE}.group", name="helpers"), task(f"{BASE}.user", name="worker")], "second": tasks}, files
    )
    assert sorted(line.split(": ")[1].split(" is")[0] for line in lines) == ["group helpers", "user worker"]


@pytest.mark.parametrize(
    ("name", "refused"), [("20-mine.conf", True), ("override.conf", True), ("10-mine.conf", False)]
)
def test_a_drop_in_for_another_role_s_unit_has_a_name_that_comes_first(findings, name, refused):
    drop_in = [file_set(f"{UNIT}/x.service.d/{name}")]
    found = findings({"first": [task("unit_converged", name="x.service")], "second": drop_in})
    assert [line.split(": ")[0] for line in found] == ["roles/second/tasks/install.yml"] * refused
    assert all("changes a unit of the role first; name the drop-in 10-<what>.conf" in line for line in found)


def test_a_role_names_the_drop_ins_of_its_own_unit_as_it_likes(findings):
    assert findings({"only": [task("unit_converged", name="x.timer"), file_set(f"{UNIT}/x.timer.d/50-x.conf")]}) == []


@pytest.mark.parametrize("victim", ["/etc/x/b.conf", f"{UNIT}/x-b.service"])
def test_a_purge_that_takes_another_role_s_file_is_found(findings, victim):
    purge = [file_set("/etc/x/a.conf", purge=["/etc/x/*", f"{UNIT}/x-*"])]
    (line,) = findings({"first": [file_set(victim)], "second": purge})
    assert line.startswith("roles/second/tasks/install.yml: purges ")
    assert f"and with it {victim} of the role first" in line
    assert findings({"first": [file_set("/srv/other")], "second": purge}) == []


def test_the_claims_of_the_project_s_own_roles_are_seen():
    claims = {(claim.role, claim.kind, claim.name) for claim in owners.claims(PROJECT)}
    assert {
        ("redis", "unit", "redis-server.service"),
        ("redis", "directory", "/etc/credstore"),
        ("base", "file", "/etc/hostname"),
        ("base", "unit", "apt-daily.timer"),
        ("questdb", "user", "questdb"),
        ("sysctl", "file", "/etc/sysctl.d/99-zz-fleet.conf"),
        ("alertmanager", "purge", "/etc/credstore/alertmanager.*"),
    } <= claims
