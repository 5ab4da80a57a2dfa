# SPDX-License-Identifier: Apache-2.0
"""What the role base refuses of its variables: names, keys, certificates, package sources and times."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.host import ssh_keys
from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.base.filter_plugins.base_settings import read_certificates

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
WINDOW = re.compile(r"((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01][0-9]|2[0-3]):[0-5][0-9]")
# journald.conf(5) and systemd.time(7).
SIZE = re.compile(r"[1-9][0-9]*[KMGTPE]?")
SPAN = re.compile(r"([1-9][0-9]* ?(s|sec|min|m|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?) ?)+")
LOCALE = re.compile(r"(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]+)?(@[a-z]+)?")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*")
ARCHIVE = re.compile(r"(https?|file|cdrom|copy|mirror(\+\w+)?)://?\S+|file:/\S+")
SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
# sudoers(5): a tag holds for the commands behind it, until its opposite; the first ALL is the hosts'.
EVERY_COMMAND = re.compile(r"(?<=[\s:=),])ALL\s*(?=,|$)")
TAGS = re.compile(r"\b(?:NO)?PASSWD(?=\s*:)")
BECOME_PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass", "ansible_sudo_password")
PEM = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def base_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked; each host is asked for its own name.
    """
    yield from _name(settings)
    yield from _admin(settings)
    yield from _keys(settings)
    yield from _times(settings)
    yield from _journal(settings)
    for number, name in enumerate(settings["base_ca_files"]):
        for certificate in read_certificates([name]):
            if certificate["problem"]:
                right = "give a PEM file of certificate authorities"
                yield Refusal(f"base_ca_files.{number}", certificate["problem"], right)
    for number, source in enumerate(settings["base_apt_sources"]):
        yield from _source(f"base_apt_sources.{number}", source)


def _name(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    host = str(settings["inventory_hostname"])
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or all(label.isdigit() for label in labels):
        right = (
            "name it with lower-case letters, digits and hyphens in hosts.yml, and put its address into ansible_host"
        )
        yield Refusal("inventory_hostname", f"{host!r} is no host name", right)


def _admin(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    user, form = settings["base_admin_user"], "write lower-case letters, digits, _ and -, at most 32"
    if user == "root":
        yield Refusal("base_admin_user", "root is for sudo only", "name an account of its own, such as ops")
    elif not ACCOUNT.fullmatch(user):
        yield Refusal("base_admin_user", f"{user!r} is no user name", form)
    for key in ("base_groups", "base_admin_groups"):
        for number, group in enumerate(settings[key]):
            if not ACCOUNT.fullmatch(group):
                yield Refusal(f"{key}.{number}", f"{group!r} is no group name", form)
    yield from _sudo(settings)


def _sudo(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    rule, right = settings["base_admin_sudo"], 'write "ALL=(ALL:ALL) NOPASSWD: ALL"'
    password = any(settings.get(key) for key in BECOME_PASSWORDS)
    if not rule.strip():
        yield Refusal("base_admin_sudo", "is empty, so nobody could change the host", right)
    elif not EVERY_COMMAND.search(rule):
        yield Refusal("base_admin_sudo", "does not allow every command, so no play could change the host", right)
    elif not password and "NOPASSWD" not in TAGS.findall(EVERY_COMMAND.split(rule)[0])[-1:]:
        wrong = "asks for a password, and the plays have none (ansible_become_password)"
        yield Refusal("base_admin_sudo", wrong, f"{right}, or put the password into the secrets")


def _keys(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    keys = [key.strip() for key in settings["base_admin_keys"]]
    # None where the role ssh is not applied.
    algorithms = settings.get("ssh_user_key_algorithms")
    for number, key in enumerate(keys):
        wrong = ssh_keys.problem(key)
        if not wrong and algorithms:
            kind, data = key.split()[:2]
            wrong = ssh_keys.unaccepted(ssh_keys.Key(kind, data), frozenset(algorithms), ssh_keys.RSA_BITS)
        if wrong:
            yield Refusal(f"base_admin_keys.{number}", wrong, "copy the one line of the .pub file again, whole")
    own = _connection_key(settings)
    if keys and own and own.split()[:2] not in [key.split()[:2] for key in keys]:
        wrong = "lacks the key that the plays log in with (ansible_ssh_private_key_file)"
        yield Refusal("base_admin_keys", wrong, "add it, or the next run is locked out")


def _connection_key(settings: Mapping[str, Any]) -> str:
    """Return the public half of the key that the inventory names for the connection, empty if it names none."""
    for key in ("ansible_ssh_private_key_file", "ansible_private_key_file"):
        if settings.get(key):
            file = Path(f"{settings[key]}.pub").expanduser()
            return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return ""


def _times(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    zone, window = settings["base_timezone"], settings["base_maintenance_window"]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # A control machine without the database knows no zone; the host then refuses a link to a missing file.
        known = zoneinfo.available_timezones()
        if known:
            near = [*difflib.get_close_matches(zone, sorted(known), n=1), "Area/City, such as Etc/UTC"][0]
            yield Refusal("base_timezone", f"there is no time zone {zone!r}", f"write {near}")
    current = _current_name(zone)
    if current:
        wrong = f"{zone} is an older name, which Debian 13 and Ubuntu 24.04 keep in tzdata-legacy only"
        yield Refusal("base_timezone", wrong, f"write {current}")
    if not WINDOW.fullmatch(window):
        yield Refusal(
            "base_maintenance_window", f"{window!r} is no time", 'write it in quotes, as "Sat 06:00" or "06:00"'
        )
    if not settings["base_ntp_servers"]:
        yield Refusal("base_ntp_servers", "is empty", "name at least one time server")
    for number, server in enumerate(settings["base_ntp_servers"]):
        if not SERVER.fullmatch(server):
            yield Refusal(
                f"base_ntp_servers.{number}", f"{server!r} is no name and no address", "write one server an entry"
            )


def _current_name(zone: str) -> str:
    """Return the name of today for an older one, empty for a zone that has no other."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "tzdata.zi").exists() and (folder / "zone.tab").exists():
            # "L <name of today> <older name>"; the table has every Area/City of today.
            links = [line.split() for line in (folder / "tzdata.zi").read_text().splitlines() if line[:2] == "L "]
            today = (folder / "zone.tab").read_text().split()
            older = {link[2]: link[1] for link in links if not link[2].startswith("Etc/")}
            return "" if zone in today else older.get(zone, "")
    return ""


def _journal(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    for key in ("base_journal_max_use", "base_journal_keep_free"):
        if not SIZE.fullmatch(settings[key]):
            yield Refusal(key, f"{settings[key]!r} is no size", "write a number with K, M, G or T, such as 4G")
    if not SPAN.fullmatch(settings["base_journal_retention"]):
        wrong = f"{settings['base_journal_retention']!r} is no time span"
        yield Refusal("base_journal_retention", wrong, "write a number with a unit, such as 90day")
    if settings["base_locale"] and not LOCALE.fullmatch(settings["base_locale"]):
        yield Refusal(
            "base_locale", f"{settings['base_locale']!r} is no locale", "write one such as C.UTF-8 or en_US.UTF-8"
        )
    for key in ("base_packages", "base_held_packages", "base_unattended_excludes"):
        for number, name in enumerate(settings[key]):
            if not PACKAGE.fullmatch(name):
                yield Refusal(f"{key}.{number}", f"{name!r} is no package name", "write one name an entry")


def _source(key: str, source: Mapping[str, Any]) -> Iterator[Refusal]:
    name = str(source.get("name", ""))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        yield Refusal(f"{key}.name", f"{name!r} is no file name", "use letters, digits, _ and -")
    for uri in source.get("uris") or ():
        if not ARCHIVE.fullmatch(str(uri)):
            yield Refusal(f"{key}.uris", f"{uri!r} is no archive's address", "begin it with http:// or https://")
    if not str(source.get("signed_by", "")).strip().startswith(("/", PEM)):
        right = "write a path on the host, or the armored public key"
        yield Refusal(f"{key}.signed_by", "is neither a path nor a key", right)
