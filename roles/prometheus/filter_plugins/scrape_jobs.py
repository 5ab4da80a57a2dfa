# SPDX-License-Identifier: Apache-2.0
"""Turn what the roles declare for Prometheus into its scrape configuration, with nothing in it twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError

SCOPES = {"host", "loopback"}
KEYS = {"job", "port", "scope"}


class ScrapeError(ValueError):
    """The declarations contradict each other; the message is one line."""


@dataclass(frozen=True, order=True)
class Target:
    """One endpoint that Prometheus reads."""

    job: str
    instance: str
    address: str
    origin: str


def targets(
    declared: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], addresses: Mapping[str, str], server: str
) -> list[Target]:
    """Resolve all declarations to endpoints.

    Args:
        declared: host to role to what the role exports there: job, port and scope.
        addresses: host to its address.
        server: the host that Prometheus runs on.

    Raises:
        ScrapeError: a declaration is incomplete, or two name the same endpoint.
    """
    found = sorted(_resolve(declared, addresses, server))
    _refuse_twice(found, lambda t: (t.job, t.instance), lambda t: f"job {t.job} on {t.instance}")
    _refuse_twice(found, lambda t: t.address, lambda t: f"endpoint {t.address}")
    return found


def _resolve(
    declared: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], addresses: Mapping[str, str], server: str
) -> Iterator[Target]:
    for host, roles in declared.items():
        for role, exports in roles.items():
            for export in exports:
                origin = f"{role}_scrape of {host}"
                _refuse_malformed(export, origin)
                # A port of 0 is how a role says that it does not listen.
                if int(export["port"]) != 0:
                    address = _address(export, host, addresses, server, origin)
                    yield Target(str(export["job"]), host, f"{address}:{int(export['port'])}", origin)


def _refuse_malformed(export: Mapping[str, Any], origin: str) -> None:
    if set(export) != KEYS:
        wrong = ", ".join(sorted(set(export) ^ KEYS))
        raise ScrapeError(f"{origin}: needs exactly the keys job, port and scope; wrong or missing: {wrong}")
    if export["scope"] not in SCOPES:
        raise ScrapeError(f"{origin}: scope {export['scope']!r} is neither host nor loopback")
    if not str(export["port"]).isdigit() or int(export["port"]) > 65535:
        raise ScrapeError(f"{origin}: port {export['port']!r} is no TCP port")


def _address(export: Mapping[str, Any], host: str, addresses: Mapping[str, str], server: str, origin: str) -> str:
    if export["scope"] == "host":
        if not addresses.get(host):
            raise ScrapeError(f"{origin}: {host} has no ansible_host in hosts.yml, where it would be scraped")
        address = addresses[host]
        return f"[{address}]" if ":" in address else address
    if host != server:
        raise ScrapeError(
            f"{origin}: job {export['job']} listens on the loopback of {host}, and Prometheus runs on {server}:"
            " bind it to ansible_host and set its scope to host"
        )
    return "127.0.0.1"


def _refuse_twice(found: list[Target], key: Callable[[Target], object], say: Callable[[Target], str]) -> None:
    seen: dict[object, Target] = {}
    for target in found:
        first = seen.setdefault(key(target), target)
        if first is not target:
            origins = " and ".join(sorted({first.origin, target.origin}))
            raise ScrapeError(f"{say(target)} is declared twice, by {origins}")


def scrape_jobs(
    declared: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], addresses: Mapping[str, str], server: str
) -> list[dict[str, Any]]:
    """One scrape configuration a job, hosts in order, the label `instance` the inventory's host name."""
    jobs: dict[str, list[Target]] = defaultdict(list)
    for target in targets(declared, addresses, server):
        jobs[target.job].append(target)
    return [
        {
            "job_name": job,
            "static_configs": [{"targets": [t.address], "labels": {"instance": t.instance}} for t in members],
        }
        for job, members in sorted(jobs.items())
    ]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names for templates."""
        return {"scrape_jobs": _scrape_jobs}


def _scrape_jobs(*args: Any) -> list[dict[str, Any]]:
    try:
        return scrape_jobs(*args)
    except ScrapeError as error:
        raise AnsibleFilterError(str(error)) from error
