# SPDX-License-Identifier: Apache-2.0
"""What the role xdp refuses of its variables, without a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import forms, unit_names
from fleet.model.rules import Refusal
from fleet.model.settings import UnrenderableError
from fleet.model.view import View
from roles.xdp.filter_plugins.xdp_settings import SYSTEM_IDS

SMOKE = "xdp-smoke.service"
# Accounts that every Debian or Ubuntu has (base-passwd): what is theirs would be the engine's.
DISTRIBUTION = frozenset(
    {
        *("daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup"),
        *("list", "irc", "nobody", "nogroup", "adm", "sudo", "shadow", "disk", "kmem", "staff", "users", "video"),
    }
)
TOO_OLD = {"debian-12": "has no libxdp and xdp-tools that this role can use"}


def xdp_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: asked for the host's other accounts and units.
    """
    host = str(settings["inventory_hostname"])
    user, group, gid = settings["xdp_user"], settings["xdp_io_uring_group"], settings["xdp_io_uring_gid"]
    for key, name, example in (("xdp_user", user, "execution"), ("xdp_io_uring_group", group, "io-uring")):
        yield from forms.account(key, name, example)
        if name in DISTRIBUTION:
            yield Refusal(key, f"{name} is an account of the distribution", f"take one of its own, such as {example}")
    yield from _others(user, host, fleet)
    if user == group:
        wrong = f"{group} is the user's own group, which has another number"
        yield Refusal("xdp_io_uring_group", wrong, "take another name, such as io-uring")
    if gid not in SYSTEM_IDS:
        yield Refusal("xdp_io_uring_gid", f"{gid} is no number of a system group", "take one from 100 to 999")
    yield from _services(settings["xdp_services"], host, fleet)
    system = settings.get("operating_system")
    if system in TOO_OLD:
        right = "install Debian 13 or Ubuntu 24.04, or take the host out of the group xdp"
        yield Refusal("operating_system", f"{system} {TOO_OLD[system]}", right)


def _others(user: str, host: str, fleet: View) -> Iterator[Refusal]:
    """Yield another user of the host's variables: it would get the capabilities of the engine."""
    known = fleet.settings(host)
    for key in sorted(str(key) for key in known if str(key).endswith("_user") and key != "xdp_user"):
        try:
            other = known[key]
        except UnrenderableError:
            continue  # the check of values reports it
        if other == user:
            wrong = f"{user} is {key}, which would get the capabilities of the engine"
            yield Refusal("xdp_user", wrong, "take a user of its own, such as execution")
            return


def _services(services: list[str], host: str, fleet: View) -> Iterator[Refusal]:
    for position, unit in enumerate(services):
        key = f"xdp_services.{position}"
        if unit == SMOKE:
            yield Refusal(key, f"{unit} is the role's own, which has the settings anyhow", "leave it out")
        elif unit in services[:position]:
            yield Refusal(key, f"{unit} is here twice", "keep one of them")
        else:
            yield from unit_names.service(key, unit, host, fleet)
