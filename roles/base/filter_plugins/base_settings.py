# SPDX-License-Identifier: Apache-2.0
"""What role base computes from its variables: certificates, apt sources, names of hosts, units left alone."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPPORTED = {"Debian": ("12", "13"), "Ubuntu": ("24.04",)}
CA_FOLDER = "/usr/local/share/ca-certificates/fleet"
SOURCES_FOLDER = "/etc/apt/sources.list.d"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Certificate:
    """One certificate out of a file on the controller, or what is wrong with that file."""

    path: str
    content: str
    problem: str = ""


def split_certificates(name: str, text: str) -> list[Certificate]:
    """Split a PEM file into one file a certificate, as update-ca-certificates(8) expects them.

    Args:
        name: where the text comes from.
        text: content of the file.
    """
    if "PRIVATE KEY-----" in text:
        return [Certificate("", "", f"{name} holds a private key: give the certificate alone")]
    blocks = [f"{block}\n" for block in CERTIFICATE.findall(text.replace("\r\n", "\n"))]
    if not blocks:
        return [Certificate("", "", f"{name} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(name).stem)
    result = []
    for block in blocks:
        problem = certificate_problem(block)
        mark = hashlib.sha256(block.encode()).hexdigest()[:8]
        path = f"{CA_FOLDER}/{stem}-{mark}.crt"
        result.append(Certificate(path, block, f"{name} {problem}" if problem else ""))
    return result


def certificate_problem(block: str) -> str:
    """Say what is wrong with one PEM block, "" when it is a certificate authority's."""
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        store.load_verify_locations(cadata=block)
    except (ssl.SSLError, ValueError):
        return "holds a damaged certificate"
    return "" if store.cert_store_stats()["x509_ca"] else "holds a certificate that is no certificate authority's"


def read_certificates(paths: Iterable[str]) -> list[dict[str, str]]:
    """Read the controller's files and return {path, content, problem} for each certificate in them."""
    result: list[Certificate] = []
    for name in paths:
        try:
            result += split_certificates(name, Path(name).read_text(encoding="ascii"))
        except OSError as error:
            result.append(Certificate("", "", f"{name}: {error.strerror} on the control machine"))
        except UnicodeDecodeError:
            result.append(Certificate("", "", f"{name} is not PEM text (convert it: openssl x509 -inform der)"))
    return [{"path": c.path, "content": c.content, "problem": c.problem} for c in result]


def apt_files(sources: Iterable[Mapping[str, Any]], distribution: str, release: str) -> list[dict[str, str]]:
    """Render apt sources as deb822, one file a name, entries of the same name as stanzas of one file.

    Args:
        sources: entries of base_apt_sources.
        distribution: the host's, such as `Debian`.
        release: the host's code name, put where `{release}` stands.
    """
    stanzas: dict[str, list[str]] = {}
    for source in _meant_for(sources, distribution):
        stanzas.setdefault(source["name"], []).append(_stanza(source, release))
    head = "# Ansible managed: base_apt_sources\n"
    files = {f"{SOURCES_FOLDER}/{name}.sources": head + "\n".join(texts) for name, texts in stanzas.items()}
    if distribution.lower() in stanzas:
        # Not removed: python-apt, which unattended-upgrades runs on, would make it anew and empty.
        files["/etc/apt/sources.list"] = f"{head}# See {SOURCES_FOLDER}/{distribution.lower()}.sources\n"
    return [{"path": path, "content": content} for path, content in files.items()]


def apt_older_forms(sources: Iterable[Mapping[str, Any]], distribution: str) -> list[str]:
    """Return the files that the same sources may have been in before: two forms of one source stop apt."""
    older: set[str] = set()
    for source in _meant_for(sources, distribution):
        older |= {f"{SOURCES_FOLDER}/{source['name']}.list"}
        older |= {f"{SOURCES_FOLDER}/{name}" for name in source.get("replaces") or []}
    return sorted(older)


def _meant_for(sources: Iterable[Mapping[str, Any]], distribution: str) -> list[Mapping[str, Any]]:
    # One list serves a mixed fleet: an entry named after another distribution is not for this host.
    others = {name.lower() for name in SUPPORTED} - {distribution.lower()}
    return [source for source in sources if source["name"] not in others]


def _stanza(source: Mapping[str, Any], release: str) -> str:
    key = str(source["signed_by"]).strip()
    if not key.startswith("/"):
        # deb822 holds a key inline: every line indented, an empty one written as a dot.
        key = "".join(f"\n {line.strip() or '.'}" for line in key.splitlines())
    fields = {
        "Types": " ".join(source.get("types") or ["deb"]),
        "URIs": " ".join(source["uris"]),
        "Suites": " ".join(str(suite).replace("{release}", release) for suite in source["suites"]),
        "Components": " ".join(source.get("components") or []),
        "Signed-By": key,
    }
    return "".join(f"{name}: {value}\n".replace(": \n", ":\n", 1) for name, value in fields.items() if value)


def host_problems(distribution: str, version: str) -> list[str]:
    """Say whether a host's system is one that the role knows.

    Args:
        distribution: the host's, such as `Debian`.
        version: its version, such as 13.1.
    """
    major = str(version).split(".", maxsplit=1)[0]
    if {str(version), major} & set(SUPPORTED.get(distribution, ())):
        return []
    known = ", ".join(f"{name} {one}" for name, versions in SUPPORTED.items() for one in versions)
    return [f"{distribution} {version} is not supported; this host needs one of {known}"]


def hosts_entries(addresses: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the lines of the hosts file: address and names of each host that has an IP address in the inventory.

    A host whose ansible_host is a name is found by DNS. A host with a domain is known by its first label too.

    Args:
        addresses: ansible_host by host.
    """
    found = []
    for host, address in sorted(addresses.items()):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        found.append({"address": address, "names": " ".join(dict.fromkeys([host, host.partition(".")[0]]))})
    return found


def needrestart_patterns(declared: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return Perl patterns of the units that an upgrade must not restart, as the host's roles declare them.

    Args:
        declared: role -> its units.
    """
    names = (str(unit["name"]) for units in declared.values() for unit in units if not unit["restart"])
    # Perl takes a @ in a pattern for an array; a template's instances are told by their prefix.
    return sorted("^" + re.escape(name).replace("@", "\\@").replace("\\*", ".*") for name in names)


def snap_timer(window: str) -> str:
    """Return the maintenance window as snapd's refresh.timer has it: "sat,06:00", or "06:00" for every day."""
    return window.lower().replace(" ", ",")


class FilterModule:
    """Filters of role base."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "base_certificates": read_certificates,
            "base_apt_files": apt_files,
            "base_apt_older_forms": apt_older_forms,
            "base_host_problems": host_problems,
            "base_hosts_entries": hosts_entries,
            "base_needrestart_patterns": needrestart_patterns,
            "base_snap_timer": snap_timer,
        }
