# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in the files of an inventory, the check answers with file and key, and never with a traceback."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import check as checks
from fleet.check.__main__ import main
from fleet.model.model import Fleet
from fleet.paths import PROJECT

EXAMPLE = PROJECT / "inventory" / "secrets.yml.example"
PRODUCTION = PROJECT / "inventory" / "production"
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, width=16)
    | st.sampled_from(["", " ", "text", "{{ x }}", "{{", "{% if %}", "{{ hardware }}", "0-3", "~", "all", "!x"])
    | st.dates()
)
KEYS = (
    st.sampled_from(["a", "", "hosts", "vars", "children", "cpu", "alpha", "plugin"])
    | st.booleans()
    | st.integers(0, 1)
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=4
)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside a document, its own first."""
    yield above
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inside:
        yield from paths(entry, (*above, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a document with one value of it replaced."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


def places(root: Path) -> list[tuple[Path, Any, tuple[Any, ...]]]:
    """Return file, document and path of every value of an inventory."""
    documents = {
        file: yaml.safe_load(file.read_text()) for file in sorted(root.rglob("*.yml")) if file.stem != "secrets"
    }
    return [(file, document, path) for file, document in documents.items() for path in paths(document)]


def judged(inventory: Path, project: Path, secrets: Path | None = None) -> list[str]:
    """Check an inventory and return its lines, each of which has file, line, subject, key and remedy."""
    found = checks.problems(Fleet.load(inventory, project, secrets))
    for problem in found:
        assert problem.place.line >= 1
        assert problem.wrong
        assert problem.right
        assert all(problem.text(project).split(": ")[:4])
    return [problem.text(project) for problem in found]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet") / "production"
    shutil.copytree(PRODUCTION, folder, ignore=shutil.ignore_patterns(".vault-password*", "secrets.yml", "local.yml"))
    (folder / "group_vars" / "lab.yml").unlink()
    return folder


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_wrong_value_anywhere_in_a_small_inventory_is_never_a_traceback(sandbox, data):
    file, document, path = data.draw(st.sampled_from(places(sandbox.inventory)))
    before = file.read_text()
    try:
        file.write_text(yaml.safe_dump(replaced(document, path, data.draw(ANYTHING)), allow_unicode=True))
        judged(sandbox.inventory, sandbox.root)
    finally:
        file.write_text(before)


@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_a_wrong_value_anywhere_in_production_is_never_a_traceback(production, data):
    file, document, path = data.draw(st.sampled_from(places(production)))
    before = file.read_text()
    try:
        file.write_text(yaml.safe_dump(replaced(document, path, data.draw(ANYTHING)), allow_unicode=True))
        judged(production, PROJECT, EXAMPLE)
    finally:
        file.write_text(before)


@given(text=st.text(alphabet="ab:{}[]-&*!|>#'\" \n\t%@,?", max_size=30))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("name", ["hosts.yml", "host_vars/alpha.yml", "group_vars/all.yml"])
def test_any_text_in_a_file_is_never_a_traceback(sandbox, name, text):
    file = sandbox.inventory / name
    before = file.read_text()
    try:
        file.write_text(text)
        judged(sandbox.inventory, sandbox.root)
    finally:
        file.write_text(before)


@pytest.mark.parametrize(
    "value", [True, 0, 1.5, "text", [], [1], [{}], {"a": 1}, None, {}, {"cpu": {"threads_per_core": {}}}]
)
@pytest.mark.parametrize("key", ["hardware", "operating_system", "cpu_isolation", "ansible_port", "store_sysctl"])
def test_a_wrong_value_is_refused_with_file_key_and_status_1(sandbox, capsys, key, value):
    file = sandbox.inventory / "host_vars" / "alpha.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {key: value}))
    fits = (
        value is None or (key == "store_sysctl" and isinstance(value, dict)) or (key == "cpu_isolation" and value == {})
    )
    status = main([str(sandbox.inventory), "--project", str(sandbox.root)])
    lines = capsys.readouterr().out.splitlines()
    assert status == 1 or fits, lines
    if status == 1:
        assert any("host_vars/alpha.yml:" in line and f" {key}" in line for line in lines), lines
