# SPDX-License-Identifier: Apache-2.0
"""What role base computes from its variables: refusals, certificate files and apt source files."""

from __future__ import annotations

import base64
import difflib
import hashlib
import ipaddress
import re
import ssl
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPPORTED = {"Debian": ("12", "13"), "Ubuntu": ("24.04",)}
CA_FOLDER = "/usr/local/share/ca-certificates/fleet"
SOURCES_FOLDER = "/etc/apt/sources.list.d"
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
WINDOW = re.compile(r"((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01][0-9]|2[0-3]):[0-5][0-9]")
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


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with a host's settings: what, where it is set, what would be right.

    Args:
        settings: the role's variables and the host's facts that matter, by name.
    """
    checks: tuple[Callable[[Mapping[str, Any]], Iterable[str]], ...] = (
        _check_system,
        _check_names,
        _check_admin,
        _check_times,
        _check_certificates,
        _check_sources,
    )
    return [problem for check in checks for problem in check(settings)]


def _check_system(settings: Mapping[str, Any]) -> Iterable[str]:
    name, version = settings["distribution"], str(settings["version"])
    major = version.split(".", maxsplit=1)[0]
    if not {version, major} & set(SUPPORTED.get(name, ())):
        known = ", ".join(f"{n} {v}" for n, versions in SUPPORTED.items() for v in versions)
        yield f"{name} {version} is not supported: this host needs one of {known}"


def _check_names(settings: Mapping[str, Any]) -> Iterable[str]:
    for name, address in settings["addresses"].items():
        if not LABEL.fullmatch(name):
            yield f"{name!r} in the inventory is no host name: use lower-case letters, digits and hyphens, at most 63"
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield f"ansible_host of {name} in the inventory is {address!r}: the hosts file needs an IP address"


def _check_admin(settings: Mapping[str, Any]) -> Iterable[str]:
    user = settings["base_admin_user"]
    if user == "root":
        yield "base_admin_user is root: name an account of its own, root is for sudo only"
    elif not ACCOUNT.fullmatch(user):
        yield f"base_admin_user {user!r} is no user name: lower-case letters, digits, _ and -, at most 32"
    for group in settings["base_groups"]:
        if not ACCOUNT.fullmatch(group):
            yield f"{group!r} in base_groups is no group name: lower-case letters, digits, _ and -, at most 32"
    keys = [key.strip() for key in settings["base_admin_keys"]]
    for number, key in enumerate(keys, start=1):
        if not is_public_key(key):
            yield f"entry {number} of base_admin_keys is no ssh public key: it begins with a type such as ssh-ed25519"
    own = settings["connection_key"]
    if keys and own and own.split()[:2] not in [key.split()[:2] for key in keys]:
        yield "base_admin_keys lacks the key that this connection uses: add it, or the next run is locked out"


def is_public_key(line: str) -> bool:
    """Whether a line is an ssh public key without options: its type stands again inside its data."""
    words = line.split()
    if len(words) < 2 or "\n" in line:
        return False
    try:
        data = base64.b64decode(words[1], validate=True)
    except ValueError:
        return False
    return data[4 : 4 + int.from_bytes(data[:4], "big")] == words[0].encode()


def _check_times(settings: Mapping[str, Any]) -> Iterable[str]:
    zone, window = settings["base_timezone"], settings["base_maintenance_window"]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # A control machine without the database knows no zone; the host then refuses a link to a missing file.
        known = zoneinfo.available_timezones()
        if known:
            near = [*difflib.get_close_matches(zone, sorted(known), n=1), "Area/City"][0]
            yield f"base_timezone {zone!r} does not exist: write {near}"
    if not WINDOW.fullmatch(window):
        yield f"base_maintenance_window {window!r} is no time: write it as 'Sat 06:00' or '06:00'"
    if not settings["base_ntp_servers"]:
        yield "base_ntp_servers is empty: name at least one time server"


def _check_certificates(settings: Mapping[str, Any]) -> Iterable[str]:
    return (f"base_ca_files: {c['problem']}" for c in settings["certificates"] if c["problem"])


def _check_sources(settings: Mapping[str, Any]) -> Iterable[str]:
    for source in settings["base_apt_sources"]:
        name = source["name"]
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            yield f"{name!r} in base_apt_sources is no file name: use letters, digits, _ and -"
        for uri in source["uris"]:
            if not re.match(r"(https?|file|cdrom|copy|mirror(\+\w+)?)://?\S+$|file:/\S+$", uri):
                yield f"{uri!r} of {name} in base_apt_sources is no archive's address: it begins with http:// or https://"
        key = str(source["signed_by"]).strip()
        if not key.startswith(("/", "-----BEGIN PGP PUBLIC KEY BLOCK-----")):
            yield f"signed_by of {name} in base_apt_sources is neither a path on the host nor an armored public key"


class FilterModule:
    """Filters of role base."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "base_problems": problems,
            "base_certificates": read_certificates,
            "base_apt_files": apt_files,
            "base_apt_older_forms": apt_older_forms,
        }
