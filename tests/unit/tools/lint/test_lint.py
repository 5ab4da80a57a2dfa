# SPDX-License-Identifier: Apache-2.0
"""Each rule of the project's own lint fails once on a role that breaks it."""

from __future__ import annotations

import subprocess

import pytest

from tools.lint.__main__ import main

FILES = {
    "roles/store/meta/argument_specs.yml": """
argument_specs:
  main:
    options:
      store_port: {type: int, default: 1, description: Port.}
""",
    "roles/store/defaults/main.yml": "store_port: 1\n",
    "roles/store/tasks/main.yml": """
- name: Refuse
  ansible.builtin.import_tasks: preflight.yml
- name: Install
  ansible.builtin.import_tasks: install.yml
""",
    "roles/store/tasks/preflight.yml": "- name: Refuse\n  preflight:\n",
    "roles/store/rules.py": "def store_problems(settings, hardware, fleet):\n    return []\n",
    "roles/store/tasks/install.yml": """
- name: Fetch
  ansible.builtin.get_url: {url: "{{ store_url }}", dest: /opt/store, checksum: "sha256:aa"}
  register: __store_fetch_result
""",
    "roles/store/templates/store.conf.j2": "port {{ store_port }}\n",
    "tests/host/test_store.py": "def test_it(host):\n    assert host.check_output('ss') == '1'\n",
}
INSTALL = "roles/store/tasks/install.yml"
MAIN = "roles/store/tasks/main.yml"
SPEC = "roles/store/meta/argument_specs.yml"
DEFAULTS = "roles/store/defaults/main.yml"
TEMPLATE = "roles/store/templates/store.conf.j2"
HOST_TEST = "tests/host/test_store.py"


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def findings(project, capsys):
    """Return a function that runs the lint and returns its lines."""

    def run():
        status = main([str(project)])
        lines = capsys.readouterr().out.splitlines()
        assert status == (0 if lines[-1:] == ["1 roles checked, 0 problems"] else 1)
        return [] if status == 0 else lines

    return run


def test_a_role_like_all_others_passes(findings):
    assert findings() == []


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            DEFAULTS,
            ("store_port: 1", "store_port: 1\nstore_mode: a"),
            "store_mode is missing; defaults/main.yml sets it",
        ),
        (DEFAULTS, ("store_port: 1", "store_port: 2"), "store_port: the specification's default is 1"),
        (SPEC, ("type: int, ", ""), "store_port: say its type"),
        (SPEC, (", description: Port.", ""), "store_port: say its description"),
        (MAIN, ("preflight.yml", "run.yml"), "install comes too late"),
        (MAIN, ("preflight.yml", "other.yml"), "imports other.yml"),
        (MAIN, ("import_tasks: preflight.yml", "debug: {msg: hello}"), "is no import"),
        (INSTALL, (', checksum: "sha256:aa"', ""), "downloads with ansible.builtin.get_url unchecked"),
        (INSTALL, ("__store_fetch_result", "store_fetch"), "registers store_fetch"),
        (
            INSTALL,
            ("__store_fetch_result", "__store_fetch_result\n- ansible.builtin.set_fact: {mine: 1}"),
            "sets the fact mine",
        ),
        (TEMPLATE, ("port", "# {{ ansible_date_time.iso8601 }}\nport"), "ansible_date_time differs at each run"),
        (TEMPLATE, ("port", "# {{ now(utc=true) }}\nport"), "now( differs at each run"),
        (HOST_TEST, ("assert host.check_output('ss') == '1'", "host.check_output('ss')"), "asserts nothing"),
        (HOST_TEST, ("host.check_output('ss') == '1'", "True, 'x'"), "asserts nothing"),
    ],
)
def test_a_role_that_breaks_a_rule_is_named_with_its_file(project, findings, file, change, words):
    text = (project / file).read_text()
    assert change[0] in text
    (project / file).write_text(text.replace(*change))
    (line,) = findings()
    assert line.startswith(("roles/store/", "tests/host/"))
    assert words in line


def test_the_table_of_contents_may_stand_in_one_block(project, findings):
    lines = (project / MAIN).read_text().splitlines(keepends=True)
    (project / MAIN).write_text("- name: All\n  block:\n" + "".join(f"    {line}" for line in lines if line.strip()))
    assert findings() == []


def test_a_public_variable_without_the_role_s_name_is_refused(project, findings):
    for file in (SPEC, DEFAULTS):
        (project / file).write_text((project / file).read_text().replace("store_port", "port"))
    assert findings() == [f"{SPEC}: port: a public variable begins with store_"]


def test_an_option_without_a_default_is_refused(project, findings):
    (project / DEFAULTS).write_text("---\n")
    assert findings() == [f"{DEFAULTS}: store_port is missing; meta/argument_specs.yml describes it"]


@pytest.mark.parametrize("file", [MAIN, HOST_TEST])
def test_a_missing_file_of_the_skeleton_is_refused(project, findings, file):
    (project / file).unlink()
    (line,) = findings()
    assert line.startswith(f"{file}: is missing")


def test_a_template_without_its_ending_is_refused(project, findings):
    (project / TEMPLATE).rename(project / "roles/store/templates/store.conf")
    assert findings() == ["roles/store/templates/store.conf: name it store.conf.j2 after the file it becomes"]


@pytest.mark.parametrize(
    ("task", "refused"),
    [
        ("community.general.maven_artifact: {group_id: a, artifact_id: b, dest: /c}", True),
        ("ansible.builtin.unarchive: {src: 'https://example.org/a.tar', dest: /c, remote_src: true}", True),
        ("ansible.builtin.apt: {deb: 'https://example.org/a.deb'}", True),
        ("ansible.builtin.uri: {url: 'https://example.org/a', dest: /c}", True),
        ("ansible.builtin.unarchive: {src: a.tar, dest: /c}", False),
        ("ansible.builtin.uri: {url: 'https://example.org/health'}", False),
    ],
)
def test_every_kind_of_download_is_checked_also_inside_a_block(project, findings, task, refused):
    (project / INSTALL).write_text(f"- name: All\n  block:\n    - name: Fetch\n      {task}\n")
    assert ["unchecked" in line for line in findings()] == ([True] if refused else [])


def test_a_download_that_the_same_file_verifies_is_allowed(project, findings):
    verify = "- name: Verify\n  ansible.builtin.stat: {path: /c, checksum_algorithm: sha256}\n"
    fetch = "- name: Fetch\n  community.general.maven_artifact: {group_id: a, artifact_id: b, dest: /c}\n"
    (project / INSTALL).write_text(fetch + verify)
    assert findings() == []


@pytest.mark.parametrize(("name", "words"), [("secrets.yml", "plain text"), (".vault-password", "password is tracked")])
def test_a_tracked_secret_is_refused(project, findings, name, words):
    file = project / "inventory" / "main" / name
    file.parent.mkdir(parents=True)
    file.write_text("all: {vars: {vault_x: open}}\n")
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    assert findings() == []
    subprocess.run(["git", "-C", str(project), "add", "-f", str(file)], check=True)
    (line,) = findings()
    assert line.startswith(f"inventory/main/{name}: ")
    assert words in line


def test_an_encrypted_secrets_file_may_be_tracked(project, findings):
    (project / "secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    subprocess.run(["git", "-C", str(project), "add", "-f", "secrets.yml"], check=True)
    assert findings() == []
