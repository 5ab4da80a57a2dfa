# SPDX-License-Identifier: Apache-2.0
"""The names that a template reads and that nothing defines, without rendering it: facts may stand beside them."""

from __future__ import annotations

from collections.abc import Container

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

# What Ansible gives a template beside variables.
GIVEN = frozenset(
    (
        *("ansible_facts", "ansible_local", "ansible_version", "ansible_playbook_python", "ansible_config_file"),
        *("ansible_check_mode", "ansible_diff_mode", "ansible_inventory_sources", "ansible_play_batch"),
        *("ansible_play_hosts", "ansible_play_hosts_all", "play_hosts", "playbook_dir", "role_name", "role_path"),
        *("groups", "group_names", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname"),
        *("inventory_hostname_short", "environment", "vars", "omit", "undef", "lookup", "query", "q", "now"),
        *("range", "dict", "namespace", "cycler", "joiner", "lipsum"),
    )
)


def undefined(text: str, known: Container[str]) -> frozenset[str]:
    """Return the undefined names of a template; a name with a default, or asked whether it is defined, is none.

    Args:
        text: the template.
        known: the variables that are defined.
    """
    try:
        tree = Environment(autoescape=False).parse(text)  # noqa: S701 - nothing is rendered
    except TemplateSyntaxError:
        return frozenset()  # rendering says so
    names = {name for name in meta.find_undeclared_variables(tree) if name not in GIVEN and name not in known}
    guards = [node.node for node in tree.find_all(nodes.Filter) if node.name in {"default", "d"}]
    guards += [node.node for node in tree.find_all(nodes.Test)]
    return frozenset(names - {node.name for node in guards if isinstance(node, nodes.Name)})
