# SPDX-License-Identifier: Apache-2.0
"""What the role questdb refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal
from fleet.model.view import View

PORTS = ("questdb_http_port", "questdb_health_port", "questdb_pg_port")
PASSWORDS = {
    "questdb_http_password": "vault_questdb_http",
    "questdb_pg_password": "vault_questdb_pg",
    "questdb_pg_readonly_password": "vault_questdb_pg_readonly",
}
USERS = ("questdb_http_user", "questdb_pg_user", "questdb_pg_readonly_user")
POSITIVE = {
    "questdb_min_free_mib": "MiB below which the role stops",
    "questdb_heap_mib": "MiB of the heap",
    "questdb_native_mib": "MiB outside the heap; to the server 0 is no limit",
    "questdb_open_files": "files, 1048576 for a large history",
    "questdb_query_timeout_seconds": "seconds",
}
VERSION = re.compile(r"\d+\.\d+\.\d+")
SHA256 = re.compile(r"[0-9a-f]{64}")
JAVA = re.compile(r"openjdk-\d+-jre(-headless)?")
CLIENT = re.compile(r"questdb==\d+(\.\d+)+")
# What needs no quoting in the server's configuration and in a header.
USER = re.compile(r"[A-Za-z0-9_.-]+")
SPAN = re.compile(r"[1-9]\d* ?(s|sec|m|min|h|hr)( [1-9]\d* ?(s|sec|m|min|h|hr))*")
OPTION = re.compile(r"-[^\s%]+")
HEAP = ("-Xms", "-Xmx")
# The first server whose adaptive mode keeps what was committed.
ADAPTIVE = (10, 2, 0)


def questdb_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; memory_gib counts here.
        fleet: not asked.
    """
    yield from _release(settings["questdb_release"], settings["operating_system"])
    yield from _durability(settings["questdb_commit_mode"], str(settings["questdb_release"].get("version") or ""))
    yield from forms.folder("questdb_root", settings["questdb_root"], "/var/lib/questdb")
    for key in PORTS:
        yield from forms.port(key, settings[key])
    for key, words in POSITIVE.items():
        if settings[key] <= 0:
            yield Refusal(key, f"{settings[key]} is none", f"write the {words}")
    yield from _memory(settings, hardware.get("memory_gib", 0))
    yield from _accounts(settings)
    yield from _java_options(settings["questdb_java_options"])
    if not SPAN.fullmatch(settings["questdb_check_interval"]):
        wrong = f"{settings['questdb_check_interval']!r} is no time span of systemd"
        yield Refusal("questdb_check_interval", wrong, "write a number and s, min or h, such as 1min")


def _release(release: Mapping[str, Any], system: str) -> Iterator[Refusal]:
    if not any(release.values()):
        wrong = "is empty: nobody says which server, Java and client were tested together"
        yield Refusal("questdb_release", wrong, "set it, as group_vars/questdb.yml does")
        return
    forms_of = {
        "version": (VERSION, "three numbers, such as 9.3.4"),
        "sha256": (SHA256, "the 64 hexadecimal digits, in lower case, that sha256sum prints of the jar"),
        "client": (CLIENT, "the requirement of one version, such as questdb==4.1.0"),
    }
    for part, (form, right) in forms_of.items():
        value = str(release.get(part) or "")
        if not form.fullmatch(value):
            yield Refusal(f"questdb_release.{part}", f"{value!r} has another form", f"write {right}")
    packages = release.get("java") or {}
    for name, package in packages.items():
        if not JAVA.fullmatch(str(package)):
            wrong = f"{str(package)!r} is no package of a Java runtime"
            yield Refusal(f"questdb_release.java.{name}", wrong, "write one such as openjdk-21-jre-headless")
    if system and system not in packages:
        known = ", ".join(map(str, packages)) or "no system"
        wrong = f"no Java for {system} was tested with QuestDB {release.get('version')}, only for {known}"
        yield Refusal("questdb_release.java", wrong, "test one and add it")


def _durability(mode: str, version: str) -> Iterator[Refusal]:
    adaptive = bool(VERSION.fullmatch(version)) and tuple(map(int, version.split("."))) >= ADAPTIVE
    if mode != "sync" and not (mode == "adaptive" and adaptive):
        wrong = f"{mode} loses or corrupts committed rows at a power cut (questdb/questdb#7326)"
        yield Refusal("questdb_commit_mode", wrong, "set sync" + (" or adaptive" if adaptive else ""))


def _memory(settings: Mapping[str, Any], memory_gib: float) -> Iterator[Refusal]:
    wanted, host = settings["questdb_heap_mib"] + settings["questdb_native_mib"], memory_gib * 1024
    if wanted > host > 0:
        larger = max(("questdb_heap_mib", "questdb_native_mib"), key=lambda key: int(settings[key]))
        wrong = f"heap and native memory, {wanted} MiB, are more than the host's {host:.0f} MiB (hardware.memory_gib)"
        yield Refusal(larger, wrong, "lower it; what is left serves the database as page cache")


def _accounts(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    for key in USERS:
        if not USER.fullmatch(settings[key]):
            yield Refusal(key, f"{settings[key]!r} is no name of a user", "take letters, digits, '_', '.' and '-'")
    if settings["questdb_pg_readonly_user"] == settings["questdb_pg_user"]:
        wrong = "is the user who may do everything (questdb_pg_user) too"
        yield Refusal("questdb_pg_readonly_user", wrong, "take another name")
    for key, secret in PASSWORDS.items():
        yield from forms.secret(key, settings[key], secret)


def _java_options(options: list[str]) -> Iterator[Refusal]:
    for number, option in enumerate(options):
        key = f"questdb_java_options.{number}"
        if option.startswith(HEAP):
            yield Refusal(key, f"{option} sets the heap", "leave it out: questdb_heap_mib does")
        elif not OPTION.fullmatch(option):
            wrong = f"{option!r} is no option that a unit can hand over"
            yield Refusal(key, wrong, "write one option an entry, with - before it and without blanks and %")
