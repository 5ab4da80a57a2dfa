# SPDX-License-Identifier: Apache-2.0
"""What is merged into the file of kernel parameters."""

from hypothesis import given
from hypothesis import strategies as st

from roles.sysctl.filter_plugins.sysctl_plan import sysctl_plan

KEYS = st.from_regex(r"(vm|kernel|net\.core)\.[a-z_]{3,12}", fullmatch=True)


def test_declarations_of_several_roles_become_one_sorted_list_with_owners():
    found = sysctl_plan(
        {"redis": {"vm.overcommit_memory": 1}, "policy": {"net.ipv4.tcp_rmem": "4096\t131072  6291456"}}
    )
    assert found == [
        {"key": "net.ipv4.tcp_rmem", "value": "4096 131072 6291456", "owner": "policy"},
        {"key": "vm.overcommit_memory", "value": "1", "owner": "redis"},
    ]


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.dictionaries(KEYS, st.integers(0, 9))))
def test_every_declared_key_appears_once_and_in_order_whoever_declares_it(declared):
    keys = [entry["key"] for entry in sysctl_plan(declared)]
    assert keys == sorted({key for settings in declared.values() for key in settings})
