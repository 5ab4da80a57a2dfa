# SPDX-License-Identifier: Apache-2.0
"""What the role ssh refuses of its variables: what would let everybody or nobody in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model.rules import Refusal
from fleet.model.view import View

LISTS = (
    *("ssh_allow_groups", "ssh_forwarding_groups", "ssh_host_key_types", "ssh_user_key_algorithms"),
    *("ssh_kex_algorithms", "ssh_ciphers", "ssh_macs"),
)
HIGHEST_PORT = 65535
USUAL_PORT = 22
# A new connection with a login of some seconds has to fit twice.
SHORTEST_ROLLBACK = 20
STARTUPS = re.compile(r"[1-9]\d*(:\d{1,3}:[1-9]\d*)?")
WORD = re.compile(r"[A-Za-z0-9@._+-]+")


def ssh_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    for key in LISTS:
        if not settings[key]:
            yield Refusal(key, "is empty", "name at least one, as the default does")
        for number, word in enumerate(settings[key]):
            if not WORD.fullmatch(word):
                wrong = f"{word!r} has a letter that sshd cannot read"
                yield Refusal(f"{key}.{number}", wrong, "write one name an entry")
    yield from _ports(settings)
    yield from _addresses(settings)
    yield from _access(settings)
    if settings["ssh_rollback_timeout"] < SHORTEST_ROLLBACK:
        wrong = f"{settings['ssh_rollback_timeout']} s are too short for a new connection"
        yield Refusal("ssh_rollback_timeout", wrong, f"write {SHORTEST_ROLLBACK} or more")
    if settings["ssh_login_grace_time"] < 1:
        yield Refusal("ssh_login_grace_time", "sets no limit to a log-in", "write seconds, such as 30")
    if not STARTUPS.fullmatch(settings["ssh_max_startups"]):
        yield Refusal("ssh_max_startups", "is no start:rate:full", 'write it in quotes, such as "30:30:100"')


def _ports(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    port, second = settings["ssh_port"], settings["ssh_transition_port"]
    if not 0 < port <= HIGHEST_PORT:
        yield Refusal("ssh_port", f"{port} is no TCP port", f"write one from 1 to {HIGHEST_PORT}")
    if not 0 <= second <= HIGHEST_PORT:
        wrong = f"{second} is no TCP port"
        yield Refusal("ssh_transition_port", wrong, f"write one from 1 to {HIGHEST_PORT}, or 0 for none")
    if second and second == port:
        yield Refusal("ssh_transition_port", "is ssh_port itself", "write the other port of the move, or 0 for none")
    used = settings.get("ansible_port") or USUAL_PORT
    if used not in {port, second} and not _is_forwarded(settings):
        wrong = f"sshd will not listen on {used}, where the next connection goes to (ansible_port)"
        yield Refusal("ssh_port", wrong, f"set ansible_port: {port}, and ssh_transition_port: {used} until it is set")


def _is_forwarded(settings: Mapping[str, Any]) -> bool:
    """Say whether ansible_port is no port of the host: a tunnel or an emulator listens there, or nobody connects."""
    loopback = str(settings.get("ansible_host", "")).startswith(("127.", "localhost", "::1"))
    return loopback or settings.get("ansible_connection") == "local"


def _addresses(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    for number, text in enumerate(settings["ssh_listen_addresses"]):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            yield Refusal(f"ssh_listen_addresses.{number}", f"{text!r} is no IP address", "write one of the host's own")
    for number, text in enumerate(settings["ssh_penalty_exempt_sources"]):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            wrong = f"{text!r} is neither an address nor a network"
            yield Refusal(f"ssh_penalty_exempt_sources.{number}", wrong, "write one such as 10.0.0.1 or 10.0.0.0/24")


def _access(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield the contradiction between who may log in and whom the plays log in as."""
    if "base_admin_groups" not in settings:
        return  # the role base is not on this host
    user, groups, allowed = settings["base_admin_user"], settings["base_admin_groups"], settings["ssh_allow_groups"]
    if allowed and not {*groups, user} & set(allowed):
        wrong = f"the administrator {user} is in none of {', '.join(allowed)}, so nobody could log in"
        yield Refusal("ssh_allow_groups", wrong, f"add one of {', '.join(groups)}, or put the administrator into one")
