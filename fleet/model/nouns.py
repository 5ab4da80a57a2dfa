# SPDX-License-Identifier: Apache-2.0
"""The contracts between roles: what an owner declares as `<role>_<noun>`, and others read through `declared`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """One kind of declaration.

    Attributes:
        type: of the variable, as its specification has it.
        keys: of each entry, where the variable is a list of entries.
        says: what it declares, in words.
    """

    type: str
    says: str
    keys: tuple[str, ...] = ()


NOUNS: dict[str, Noun] = {
    "sysctl": Noun("dict", "kernel parameters that the role needs, key to value"),
    "kernel_arguments": Noun("list", "words of the boot line that the role needs"),
    "scrape": Noun("list", "what Prometheus collects: job, port, scope", ("job", "port", "scope")),
    "journal_keys": Noun("list", "public keys of a journal, which anchors check signatures with"),
    "socket": Noun("str", "UNIX socket that another role's service opens"),
    "group": Noun("str", "UNIX group that a service of another role joins, to open the socket"),
    "endpoint": Noun("str", "address and port on the host, as host:port, that another role's service connects to"),
    "ports": Noun(
        "list",
        "TCP ports that the role's units listen on: port, scope (loopback or host), for what; and key, the part of a"
        " variable that sets it, where that is no <role>_..._port",
        ("port", "scope", "what"),
    ),
    "units": Noun(
        "list",
        "units that the role runs: name, rank in a drain (low ranks stop first), whether an upgrade may restart it",
        ("name", "drain", "restart"),
    ),
    "login": Noun("str", "user as which another role's service logs in at the endpoint"),
    "credential_files": Noun(
        "dict", "secrets that a service of another role may be handed: name to the file that systemd loads"
    ),
    "state": Noun("list", "folders that a rebuilt host needs back: path, and what is in it", ("path", "what")),
    "textfile": Noun("str", "folder from which the node exporter takes metrics that a role writes"),
    "environment": Noun("str", "Python environment of the release that runs"),
    "certificates": Noun("list", "certificates that the role's units need: name, unit", ("name", "unit")),
}
