# SPDX-License-Identifier: Apache-2.0
"""What the role xdp refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.roles.rules_kit import Told, lines, refusals


def test_the_host_of_the_example_passes():
    assert lines("xdp", "ms01") == []
    assert lines("xdp", "ms01", xdp_services=["station@execution.service", "engine.service"]) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"xdp_user": "root"}, "xdp_user", "root may do everything anyhow"),
        ({"xdp_user": ""}, "xdp_user", "'' is no name of an account"),
        ({"xdp_user": "trading engine"}, "xdp_user", "is no name of an account"),
        ({"xdp_user": "www-data"}, "xdp_user", "www-data is an account of the distribution"),
        ({"xdp_user": "ops"}, "xdp_user", "ops is ansible_user"),
        ({"xdp_io_uring_group": "sudo"}, "xdp_io_uring_group", "sudo is an account of the distribution"),
        ({"xdp_io_uring_group": "execution"}, "xdp_io_uring_group", "is the user's own group"),
        (
            {"xdp_io_uring_gid": 1000},
            "xdp_io_uring_gid",
            "1000 is no number of a system group; take one from 100 to 999",
        ),
        ({"xdp_io_uring_gid": 0}, "xdp_io_uring_gid", "0 is no number of a system group"),
        ({"xdp_services": ["execution"]}, "xdp_services.0", "'execution' is no service"),
        ({"xdp_services": ["../x.service"]}, "xdp_services.0", "'../x.service' is no service"),
        ({"xdp_services": ["a.service", "a.service"]}, "xdp_services.1", "a.service is here twice"),
        ({"xdp_services": ["xdp-smoke.service"]}, "xdp_services.0", "is the role's own"),
        ({"xdp_services": ["fleet-kernel.service"]}, "xdp_services.0", "is a unit of the role kernel"),
        ({"operating_system": "debian-12"}, "operating_system", "debian-12 has no libxdp"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, key, words):
    found = refusals("xdp", "ms01", **change)
    assert [refusal.key for refusal in found] == [key]
    assert words in str(found[0])
    assert found[0].right


def test_a_service_that_no_description_has_is_refused_where_others_are_described(monkeypatch):
    units = [{"name": "station@execution.service", "drain": 20, "restart": False}]

    def declared(_self: Any, noun: str, _host: str) -> dict[str, Any]:
        return {"services": units, "kernel": "no list"} if noun == "units" else {}

    monkeypatch.setattr(Told, "declared", declared)
    assert lines("xdp", "ms01", xdp_services=["station@execution.service"]) == []
    (line,) = lines("xdp", "ms01", xdp_services=["station@exection.service"])
    assert line.endswith("is no service of services_instances; did you mean station@execution.service?")


@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=12), st.integers())
def test_whatever_the_variables_hold_the_rules_answer(services, user, gid):
    found = refusals("xdp", "ms01", xdp_services=services, xdp_user=user, xdp_io_uring_gid=gid)
    assert all(refusal.variable.startswith("xdp_") and refusal.right for refusal in found)
