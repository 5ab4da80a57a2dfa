# SPDX-License-Identifier: Apache-2.0
"""What GRUB's generated configuration says, and the files that make it say something else; pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roles.kernel.module_utils.kernel_boot_plan import Line
    from roles.kernel.module_utils.kernel_words import REPEATABLE, flavour_of, name_of, variant_of
else:
    from ansible.module_utils.kernel_boot_plan import Line
    from ansible.module_utils.kernel_words import REPEATABLE, flavour_of, name_of, variant_of

# What a host boots that comes from the other flavour.
USUAL = frozenset({"generic", "amd64", "cloud-amd64", "realtime", "rt-amd64"})
TRIAL_ID = "fleet-trial"
KERNEL = re.compile(r"vmlinuz-(.+)$")
HEAD = re.compile(r"(menuentry|submenu)\s")
# Words of the distribution that a server does without.
DROPPED = frozenset({"splash"})


@dataclass(frozen=True)
class Entry:
    """One bootable entry of grub.cfg.

    Attributes:
        ids: ids of its submenus and its own.
        places: position in each of those menus.
        titles: titles likewise.
        line: release and words, None for an entry that boots no Linux kernel.
        body: its lines.
    """

    ids: tuple[str, ...]
    places: tuple[int, ...]
    titles: tuple[str, ...]
    line: Line | None
    body: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """A parsed grub.cfg: which entry it boots, whether it knows one-shot entries, and the entries."""

    default: str
    one_shot: bool
    entries: tuple[Entry, ...]


def _boots(body: Iterable[str]) -> Line | None:
    for text in body:
        command, _, rest = text.strip().partition("\t" if "\t" in text.strip() else " ")
        if command in {"linux", "linuxefi"} and rest:
            kernel, *words = rest.split()
            found = KERNEL.search(kernel)
            # Ubuntu adds a variable of GRUB's for the boot screen.
            return Line(found[1], tuple(word for word in words if not word.startswith("$"))) if found else None
    return None


def _head(text: str) -> tuple[str, str]:
    """Return title and id of a menuentry or submenu line."""
    words = shlex.split(text.rstrip("{ "))
    marks = [index for index, word in enumerate(words) if word in {"--id", "$menuentry_id_option"}]
    identity = words[marks[-1] + 1] if marks and marks[-1] + 1 < len(words) else ""
    return words[1], identity or words[1]


def parse(text: str) -> Config:
    """Read the text of a grub.cfg."""
    default, entries = "0", []
    # One frame a brace: title, id, place, lines of the entry; None for functions and the like.
    stack: list[tuple[str, str, int, list[str]] | None] = []
    counts = [0]
    for raw in text.splitlines():
        stripped = raw.strip()
        setting = re.fullmatch(r'set default="(.*)"', stripped)
        if setting and setting[1] != "${next_entry}" and not stack:
            default = setting[1]
        if stripped == "}" and stack:
            frame = stack.pop()
            if frame is not None:
                counts.pop()
                if frame[3]:
                    above = [item for item in stack if item is not None] + [frame]
                    titles, ids, places = zip(*((item[0], item[1], item[2]) for item in above), strict=True)
                    body = tuple(frame[3])
                    entries.append(Entry(ids, places, titles, _boots(body), body))
            continue
        if stripped.endswith("{"):
            if HEAD.match(stripped):
                stack.append((*_head(stripped), counts[-1], []))
                counts[-1] += 1
                counts.append(0)
            else:
                stack.append(None)
        elif stack and stack[-1] is not None:
            stack[-1][3].append(stripped)
    return Config(default, "next_entry=" in text, tuple(entries))


def resolve(config: Config, environment: Mapping[str, str]) -> Line | None:
    """Return the line that the default entry boots, None when there is no such entry."""
    wanted = environment.get("saved_entry", "") if config.default == "${saved_entry}" else config.default
    parts = (wanted or "0").split(">")
    for entry in config.entries:
        named = zip(parts, entry.ids, entry.titles, entry.places, strict=False)
        if len(parts) == len(entry.ids) and all(part in {i, t, str(place)} for part, i, t, place in named):
            return entry.line
    return None


def entry_of(config: Config, release: str) -> Entry | None:
    """Return the distribution's own full entry of a kernel."""
    for entry in config.entries:
        if entry.line is not None and entry.line.release == release and "-advanced-" in entry.ids[-1]:
            return entry
    return None


def trial_line(config: Config) -> Line | None:
    """Return what the trial's entry boots, its marks included."""
    return next((entry.line for entry in config.entries if entry.ids[-1] == TRIAL_ID), None)


def prefix_of(entry: Entry, settings: Settings) -> tuple[str, ...] | None:
    """Return what grub-mkconfig itself puts before the settings' words; None when the entry was made of others."""
    words = entry.line.words if entry.line else ()
    own = (*settings.linux, *settings.linux_default)
    if not own:
        return words
    return words[: -len(own)] if words[-len(own) :] == own else None


@dataclass(frozen=True)
class Settings:
    """What /etc/default/grub and its drop-ins come to."""

    linux: tuple[str, ...]
    linux_default: tuple[str, ...]
    default: str

    @classmethod
    def read(cls, text: str) -> Settings:
        """Take the three values that the shell printed, each ended by a NUL."""
        linux, linux_default, default = [*text.split("\0"), "", "", ""][:3]
        words = tuple(word for word in linux_default.split() if not word.startswith("$"))
        return cls(tuple(linux.split()), words, "${saved_entry}" if default == "saved" else default or "0")


def compose(base: Sequence[str], arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the distribution's words and ours: no word twice, none of theirs that ours overrule."""
    ours = {name_of(word) for word in arguments} - REPEATABLE
    kept = [word for word in dict.fromkeys(base) if word not in DROPPED and name_of(word) not in ours]
    return (*(word for word in kept if word not in arguments), *arguments)


def claimed(linux: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the words of GRUB_CMDLINE_LINUX that our arguments contradict or repeat."""
    ours = {name_of(word) for word in arguments} - REPEATABLE
    return [word for word in linux if name_of(word) in ours]


def dropin(words: Sequence[str], default: str) -> str:
    """Return the text of the drop-in for /etc/default/grub.d."""
    return (
        "# Managed by Ansible, role kernel: only what this host has booted and checked stands here.\n"
        f'GRUB_CMDLINE_LINUX_DEFAULT="{" ".join(words)}"\n'
        f'GRUB_DEFAULT="{default}"\n'
        "# Nobody sits at the console, also after a boot that failed (Ubuntu waits 30 s or for ever then).\n"
        "GRUB_TIMEOUT=3\nGRUB_RECORDFAIL_TIMEOUT=3\n"
    )


def _body(entry: Entry, line: Line) -> Iterator[str]:
    for text in entry.body:
        command, *rest = text.split() or [""]
        if command in {"linux", "linuxefi"}:
            yield f"\t{command} {rest[0]} {' '.join(line.trial_words())}"
        elif command not in {"savedefault", "recordfail", "echo"}:
            yield f"\t{text}"


def script(entry: Entry, line: Line) -> str:
    """Return the text of the script for /etc/grub.d: one entry that boots a line once, to try it."""
    body = "\n".join(_body(entry, line))
    return (
        "#!/bin/sh\n# Managed by Ansible, role kernel: a kernel line on trial, for one boot.\ncat <<'ENTRY'\n"
        f"menuentry 'Trial of kernel {line.release}' --unrestricted --id {TRIAL_ID} {{\n{body}\n}}\nENTRY\n"
    )


def newest(releases: Iterable[str], flavour: str, running: str) -> str:
    """Return the newest release of a flavour, "" when there is none.

    Args:
        releases: what is installed.
        flavour: `generic` or `realtime`.
        running: the kernel that runs. Beside it another vendor's variant, such as -oem, is no newer release of it.
    """
    usual = {variant_of(running)} if flavour_of(running) == flavour else USUAL
    every = [release for release in releases if flavour_of(release) == flavour]
    found = [release for release in every if variant_of(release) in usual] or every
    return max(found, key=lambda release: [int(number) for number in re.findall(r"\d+", release)], default="")
