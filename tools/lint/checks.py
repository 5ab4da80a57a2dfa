# SPDX-License-Identifier: Apache-2.0
"""A check of a host that fails says what was declared and what was found, and leaves nothing behind on the host."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.lint.finding import Finding

# What a result of testinfra answers with True, False or a number, which tells a reader nothing.
BARE = {
    *("rc", "exit_status", "succeeded", "failed", "exists", "is_file", "is_directory", "is_socket", "is_symlink"),
    *("is_installed", "is_running", "is_enabled", "is_listening", "is_reachable", "is_resolvable", "is_masked"),
}
ASKING = {"all", "any", "bool", "isinstance", "startswith", "endswith"}
RIGHT = "compare what was found with what is declared (tests/host/state.py), or give the assert its words"


def check(project: Path) -> Iterator[Finding]:
    """Yield asserts that would fail without a word, and units that would stay on the host when they fail."""
    for file in sorted((project / "tests" / "host").glob("*.py")):
        where = file.relative_to(project)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assert) and node.msg is None and _is_mute(node.test):
                yield Finding(where, f"line {node.lineno}: `{ast.unparse(node)[:60]}` tells nothing; {RIGHT}")
            if isinstance(node, ast.FunctionDef | ast.Module):
                yield from (Finding(where, what) for what in _units(node))


def _is_mute(test: ast.expr) -> bool:
    """Tell whether all that a failure shows is a truth value or a status."""
    if not isinstance(test, ast.Compare):
        return True
    sides = [test.left, *test.comparators]
    parts = [part for side in sides for part in (side.elts if isinstance(side, ast.Tuple) else [side])]
    return any(_is_bare(part) for part in parts)


def _is_bare(side: ast.expr) -> bool:
    if isinstance(side, ast.Attribute):
        return side.attr in BARE
    if isinstance(side, ast.Call):
        name = side.func.attr if isinstance(side.func, ast.Attribute) else getattr(side.func, "id", "")
        return name in ASKING
    return isinstance(side, ast.Compare) or (isinstance(side, ast.UnaryOp) and isinstance(side.op, ast.Not))


def _units(scope: ast.FunctionDef | ast.Module) -> Iterator[str]:
    """Yield transient units that a failing check would leave behind as failed ones."""
    inside = scope.body if isinstance(scope, ast.Module) else [scope]
    own = [statement for statement in inside if isinstance(scope, ast.FunctionDef) or not _is_function(statement)]
    texts = [
        (node.lineno, node.value)
        for statement in own
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    if any("reset-failed" in text for _, text in texts):
        return
    for line, text in texts:
        if "systemd-run " in text and "--collect" not in text:
            yield f"line {line}: systemd-run without --collect leaves a failed unit on the host, which raises an alert"


def _is_function(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.ClassDef)
