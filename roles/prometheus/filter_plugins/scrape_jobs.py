# SPDX-License-Identifier: Apache-2.0
"""Turn what the roles declare for Prometheus into its scrape configuration, with nothing in it twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError

from fleet.model.rules import Refusal

SCOPES = ("host", "loopback")
KEYS = {"job", "port", "scope"}
MOST_PORT = 65535
Declared = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]


@dataclass(frozen=True, order=True)
class Target:
    """One endpoint that Prometheus reads, and the role of the host that declares it."""

    job: str
    instance: str
    address: str
    role: str


def scrape_refusals(
    declared: Declared, addresses: Mapping[str, str], server: str, ports: Set[tuple[str, str, str]] = frozenset()
) -> Iterator[Refusal]:
    """Yield why Prometheus cannot read what is declared.

    Args:
        declared: host -> role -> what the role exports there: job, port and scope.
        addresses: host -> its address.
        server: the host that Prometheus runs on.
        ports: host, role and port of what listens; of two that listen on one port the check of owners tells.
    """
    found = []
    for result in _resolved(declared, addresses, server):
        if isinstance(result, Refusal):
            yield result
        else:
            found.append(result)
    jobs = _twice(found, lambda t: (t.job, t.instance))
    # What has a job of another role is said once, though it may have its endpoint as well.
    endpoints = _twice([t for t in found if t not in jobs], lambda t: t.address)
    told = [target for target, first in endpoints.items() if {_listener(target), _listener(first)} <= ports]
    pairs = [*((*pair, _job) for pair in jobs.items()), *((*pair, _endpoint) for pair in endpoints.items())]
    for target, first, say in pairs:
        if target not in told:
            wrong = f"{say(target)} is declared by {first.role}_scrape of {first.instance} too"
            yield Refusal(f"{target.role}_scrape", wrong, "keep one of them, or give it another port", target.instance)


def _resolved(declared: Declared, addresses: Mapping[str, str], server: str) -> Iterator[Target | Refusal]:
    for host, roles in declared.items():
        for role, exports in roles.items():
            for number, export in enumerate(exports if isinstance(exports, (list, tuple)) else [exports]):
                key = f"{role}_scrape.{number}"
                wrong, right = _malformed(export) or _unreachable(export, host, addresses, server) or ("", "")
                if wrong:
                    yield Refusal(key, wrong, right, host)
                elif int(export["port"]):  # 0 is how a role says that it does not listen
                    address = addresses[host] if export["scope"] == "host" else "127.0.0.1"
                    address = f"[{address}]" if ":" in address else address
                    yield Target(str(export["job"]), host, f"{address}:{int(export['port'])}", role)


def _malformed(export: object) -> tuple[str, str] | None:
    if not isinstance(export, Mapping) or set(export) != KEYS:
        found = ", ".join(sorted(map(str, export))) if isinstance(export, Mapping) else repr(export)
        return f"has {found or 'nothing'}", "write job, port and scope, and nothing else"
    if export["scope"] not in SCOPES:
        return f"scope {export['scope']!r} is none", f"write {' or '.join(SCOPES)}"
    if not str(export["port"]).isdecimal() or int(export["port"]) > MOST_PORT:
        return f"port {export['port']!r} is no TCP port", f"write one up to {MOST_PORT}, or 0 for none"
    return None


def _unreachable(
    export: Mapping[str, Any], host: str, addresses: Mapping[str, str], server: str
) -> tuple[str, str] | None:
    if export["scope"] == "host" and not addresses.get(host):
        return f"{host} has no ansible_host, where it would be read", "set it in hosts.yml"
    if export["scope"] == "loopback" and host != server:
        wrong = f"job {export['job']} listens on the loopback address of {host}, and Prometheus runs on {server}"
        return wrong, "bind it to ansible_host and set its scope to host"
    return None


def _job(target: Target) -> str:
    return f"job {target.job} on {target.instance}"


def _listener(target: Target) -> tuple[str, str, str]:
    return target.instance, target.role, target.address.rpartition(":")[2]


def _endpoint(target: Target) -> str:
    return f"endpoint {target.address}"


def _twice(found: list[Target], key: Callable[[Target], object]) -> dict[Target, Target]:
    """Return each target whose key another one has already, with that one."""
    seen: dict[object, Target] = {}
    return {target: first for target in sorted(found) if (first := seen.setdefault(key(target), target)) is not target}


def scrape_jobs(declared: Declared, addresses: Mapping[str, str], server: str) -> list[dict[str, Any]]:
    """Return one scrape configuration a job, hosts in order, the label `instance` the inventory's host name.

    Args:
        declared: host -> role -> what the role exports there.
        addresses: host -> its address.
        server: the host that Prometheus runs on.

    Raises:
        AnsibleFilterError: the declarations do not pass scrape_refusals.
    """
    for refusal in scrape_refusals(declared, addresses, server):
        raise AnsibleFilterError(str(refusal))
    jobs: dict[str, list[Target]] = defaultdict(list)
    for target in sorted(t for t in _resolved(declared, addresses, server) if isinstance(t, Target)):
        jobs[target.job].append(target)
    return [
        {
            "job_name": job,
            "static_configs": [{"targets": [t.address], "labels": {"instance": t.instance}} for t in members],
        }
        for job, members in sorted(jobs.items())
    ]


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"scrape_jobs": scrape_jobs}
