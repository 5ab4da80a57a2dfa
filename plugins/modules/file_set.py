#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Bring a set of files to a declared content in one go, and put them into effect, also after an interrupted run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Write a set of files that belong together
description:
  - Writes many small files in one module execution, where a task for each would cost two executions a file.
  - On the control machine the action of the same name puts in C(content) for C(template) and C(src).
  - All files are validated before the first one is replaced, and each is replaced in one step.
  - Folders that are missing are made with mode 0755, whatever the umask. One of root's in which a file for everybody
    lies, and which others cannot enter, gets that mode unless it came with a package.
  - A command that puts the set into effect is recorded when it succeeds, so a run that is interrupted loses none.
options:
  name:
    description: Name of the set, for the record of its last successful command.
    type: str
    required: true
  files:
    description: >-
      The files, links and directories; each has one of content, template, src, link and directory. C(validate) is a
      command as a list of words, C(%s) in it is the new file.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path. A link to a file is followed., type: path, required: true}
      content: {description: Whole content., type: str}
      template: {description: "Template of the role, whose rendered text is the content.", type: str}
      src: {description: "File of the role, whose text is the content.", type: str}
      directory: {description: Whether it is a directory., type: bool, default: false}
      secret: {description: Whether differences and logs keep the content to themselves., type: bool, default: false}
      link: {description: Target of a symbolic link instead of content. It has to exist., type: path}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode., type: str, default: "0644"}
      validate: {description: Command that accepts the new content., type: list, elements: str, default: []}
  secrets:
    description: Content of the secret files by path; the action takes it out of C(files).
    type: dict
    default: {}
  rehearse:
    description: >-
      What judges the set before the first file is replaced, also in check mode. C(%s) in its command is a copy of the
      folder, in which the set is carried out.
    type: dict
    suboptions:
      folder: {description: Absolute path of the folder., type: path, required: true}
      command: {description: "Command, as a list of words.", type: list, elements: str, required: true}
  purge:
    description: Patterns of files that are removed unless they are in the set.
    type: list
    elements: str
    default: []
  apply:
    description: Command, as a list of words, that puts the set into effect.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Trust the fleet's certificate authorities
  file_set:
    name: certificates
    files:
      - {path: /usr/local/share/ca-certificates/fleet, directory: true, mode: "0755"}
      - {path: /usr/local/share/ca-certificates/fleet/root.crt, src: root.pem}
    purge: [/usr/local/share/ca-certificates/fleet/*]
    apply: [update-ca-certificates]
"""

RETURN = r"""
paths:
  description: Files that were, or in check mode would be, written, given other permissions, or removed.
  type: list
  elements: str
  returned: always
applied:
  description: Whether the command was, or in check mode would be, run.
  type: bool
  returned: always
set_aside:
  description: The record's name when it was another machine's, which is kept under another name and counts as none.
  type: list
  elements: str
  returned: always
"""

import contextlib
import glob
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import host_command
    from fleet.host.atomic_file import FOLDER_MODE, make_folder, sync_folder
    from fleet.host.machine_record import Records, identity, set_aside
else:
    from ansible.module_utils import host_command
    from ansible.module_utils.atomic_file import FOLDER_MODE, make_folder, sync_folder
    from ansible.module_utils.machine_record import Records, identity, set_aside

FOLDER = Path("/var/lib/fleet/file_sets")
OTHERS = 0o077


class FileSetError(Exception):
    """The set could not be brought to the declared state; the message is one line."""


@dataclass(frozen=True)
class State:
    """What is, or shall be, at a path: a file's content, a link's target or a directory, with its permissions."""

    content: str | None = None
    link: str | None = None
    directory: bool = False
    uid: int = 0
    gid: int = 0
    mode: int = 0o644

    def same_as(self, other: State) -> bool:
        """Whether nothing has to be done; a link has no permissions of its own."""
        if self.link is not None or other.link is not None:
            return self.link == other.link
        return self == other

    def describe(self, secret: bool = False) -> str:
        """Text for a diff; of a secret one sees that it differs, and no more."""
        if self.link is not None:
            return f"link to {self.link}\n"
        words = f"mode: {self.mode:04o} owner: {self.uid}:{self.gid}\n"
        if self.directory:
            return f"directory {words}"
        # A secret that goes, such as a former receiver's, is in no set any more: its mode tells.
        return words + ("(a secret)\n" if secret or not self.mode & OTHERS else f"{self.content}")


@dataclass(frozen=True)
class Change:
    """One path that differs; `after` None removes it."""

    path: Path
    before: State | None
    after: State | None
    validate: tuple[str, ...] = ()
    secret: bool = False


def decide(
    wanted: Mapping[Path, State],
    present: Mapping[Path, State | None],
    validate: Mapping[Path, tuple[str, ...]],
) -> list[Change]:
    """Say which paths differ; pure.

    Args:
        wanted: what the set declares.
        present: what is there now, for the declared paths and for those a purge pattern found.
        validate: commands that accept a new content.
    """
    changes = []
    for path, after in wanted.items():
        before = present.get(path)
        if before is None or not before.same_as(after):
            changes.append(Change(path, before, after, validate.get(path, ())))
    surplus = sorted(path for path, state in present.items() if path not in wanted and state is not None)
    return changes + [Change(path, present[path], None) for path in surplus]


def fingerprint(wanted: Mapping[Path, State], apply: Sequence[str]) -> str:
    """Checksum of a set and its command, to recognise the set that was last put into effect."""
    data = {str(path): asdict(state) for path, state in wanted.items()}
    return hashlib.sha256(json.dumps([data, list(apply)], sort_keys=True).encode()).hexdigest()


def look(path: Path) -> State | None:
    """Read what is at a path; None when nothing is there."""
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(info.st_mode):
        return State(link=str(path.readlink()))
    uid, gid, mode = info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return State(directory=True, uid=uid, gid=gid, mode=mode)
    if not stat.S_ISREG(info.st_mode):
        raise FileSetError(f"{path} is neither a file, a link nor a directory: move it away")
    return State(path.read_text(encoding="utf-8", errors="replace"), uid=uid, gid=gid, mode=mode)


def declared(entry: Mapping[str, Any]) -> tuple[Path, State]:
    """Turn one entry of the task into a path and its state."""
    path = Path(entry["path"])
    if sum((entry["content"] is not None, entry["link"] is not None, entry["directory"])) != 1:
        raise FileSetError(f"{path}: give one of content, template, src, link and directory")
    if entry["link"] is not None:
        if not Path(entry["link"]).exists():
            raise FileSetError(f"{path}: there is no {entry['link']} on this host to link to")
        return path, State(link=entry["link"])
    try:
        uid, gid = pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
    except KeyError as error:
        raise FileSetError(f"{path}: {error.args[0]}") from error
    # A distribution may keep a file under a second name, as a link: the file behind it is meant.
    path = path.resolve() if path.is_symlink() else path
    return path, State(entry["content"], None, entry["directory"], uid, gid, int(entry["mode"], 8))


def run(words: Sequence[str], what: str) -> None:
    """Run a command, or fail with the end of what it said."""
    done = host_command.run(words)
    if done.status == host_command.NOT_STARTED:
        raise FileSetError(f"{what}: {done.err}")
    if done.status != 0:
        raise FileSetError(f"{what}: `{' '.join(words)}` failed: {done.said}")


@contextlib.contextmanager
def staged(changes: Sequence[Change]) -> Iterator[dict[Path, Path]]:
    """Write the new contents beside the files they replace, validated; remove what is left of them at the end."""
    news: dict[Path, Path] = {}
    try:
        for change in changes:
            after = change.after
            if after is None or after.content is None:
                continue
            make_folder(change.path.parent)
            # A leading dot: no reader of a drop-in folder takes the file for one of its own.
            handle, name = tempfile.mkstemp(dir=change.path.parent, prefix=f".{change.path.name}.")
            news[change.path] = Path(name)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(after.content)
                file.flush()
                os.fchown(handle, after.uid, after.gid)
                os.fchmod(handle, after.mode)
                os.fsync(handle)
            if change.validate:
                run([word.replace("%s", name) for word in change.validate], f"{change.path} not written")
        yield news
    finally:
        for new in news.values():
            new.unlink(missing_ok=True)


def closed_folders(wanted: Mapping[Path, State]) -> Iterator[Change]:
    """Yield the folders that a umask closed: a file for everybody lies in them, and no package brought them."""
    seen: set[Path] = set(wanted)
    for path, state in wanted.items():
        for folder in path.parents if state.content is not None and state.mode & stat.S_IROTH else ():
            before = look(folder)
            # What one call made lies together: above an open folder there is none to look for.
            if folder in seen or (before is not None and not _is_closed(before)):
                break
            seen.add(folder)
            if before and host_command.run(["dpkg-query", "--search", str(folder)]).status != 0:
                yield Change(folder, before, replace(before, mode=FOLDER_MODE))


def _is_closed(state: State) -> bool:
    return state.directory and not state.mode & stat.S_IXOTH and state.uid == os.geteuid()


def rehearse(rehearsal: Mapping[str, Any], changes: Sequence[Change], what: str) -> None:
    """Let a command judge a copy of a folder in which the changes are carried out.

    Raises:
        FileSetError: the command refuses it.
    """
    folder = Path(rehearsal["folder"])
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / folder.name
        shutil.copytree(folder, copy, symlinks=True)
        for change in (change for change in changes if change.path.is_relative_to(folder)):
            target = copy / change.path.relative_to(folder)
            if change.after is None:
                target.unlink(missing_ok=True)
            elif change.after.content is not None:
                make_folder(target.parent)
                target.write_text(change.after.content, encoding="utf-8")
        done = host_command.run([word.replace("%s", str(copy)) for word in rehearsal["command"]])
    if done.status != 0:
        raise FileSetError(f"{what}: {done.said}")


def write(changes: Sequence[Change]) -> None:
    """Carry the changes out, directories first; nothing is removed before everything new is in place."""
    for change in sorted((change for change in changes if change.after and change.after.directory), key=_path):
        _make(change)
    with staged(changes) as news:
        for change in changes:
            if change.path in news:
                news[change.path].replace(change.path)
            elif change.after is not None and change.after.link is not None:
                new = change.path.with_name(f".{change.path.name}.new")
                new.unlink(missing_ok=True)
                new.symlink_to(change.after.link)
                new.replace(change.path)
        for change in changes:
            if change.after is None:
                change.path.unlink(missing_ok=True)
        for folder in sorted({change.path.parent for change in changes if change.path.parent.is_dir()}):
            sync_folder(folder)


def _path(change: Change) -> Path:
    return change.path


def _make(change: Change) -> None:
    """Make a directory, or give it its permissions."""
    after = change.after
    assert after is not None  # noqa: S101 - one that is made
    make_folder(change.path)
    os.chown(change.path, after.uid, after.gid)
    change.path.chmod(after.mode)


def converge(options: Mapping[str, Any], check: bool, records: Records) -> dict[str, object]:
    """Compare, write, put into effect, and say what was done.

    Args:
        options: the module's parameters.
        check: only report.
        records: what was put into effect on this machine.
    """
    pairs = [(*declared(entry), entry) for entry in options["files"]]
    wanted = {path: state for path, state, _ in pairs}
    if len(wanted) != len(pairs):
        raise FileSetError(f"file set {options['name']} names a path twice")
    validate = {path: tuple(entry["validate"]) for path, _, entry in pairs}
    purged = {Path(name) for pattern in options["purge"] for name in glob.glob(pattern)}  # noqa: PTH207 - absolute pattern
    present = {path: look(path) for path in wanted.keys() | {path for path in purged if not path.is_dir()}}
    for path, state in wanted.items():
        before = present[path]
        if before is not None and before.directory != state.directory:
            is_now = "a directory" if before.directory else "no directory"
            raise FileSetError(f"{path} is {is_now}: move it away")
    secrets = {path for path, _, entry in pairs if entry["secret"]}
    changes = [replace(change, secret=change.path in secrets) for change in decide(wanted, present, validate)]
    changes += closed_folders(wanted)
    name, mark = options["name"], {"fingerprint": fingerprint(wanted, options["apply"])}
    found = records.read(name)
    applied = bool(options["apply"]) and (bool(changes) or found.data != mark)
    if changes and options["rehearse"]:
        rehearse(options["rehearse"], changes, f"file set {name} not written")
    if not check:
        if found.foreign:
            set_aside(records.folder / name)
        if applied:
            # Should this run end before the command does, the next one runs it.
            records.remove(name)
        write(changes)
        if applied:
            run(options["apply"], f"file set {name} is written, not in effect")
            records.write(name, mark)
    return {
        "changed": bool(changes) or applied,
        "paths": [str(change.path) for change in changes],
        "applied": applied,
        "set_aside": [name] if found.foreign else [],
        "diff": [diff_of(change) for change in changes],
    }


def diff_of(change: Change) -> dict[str, str]:
    """One path's difference, as Ansible shows it."""
    return {
        "before_header": str(change.path),
        "after_header": str(change.path),
        "before": change.before.describe(change.secret) if change.before else "",
        "after": change.after.describe(change.secret) if change.after else "",
    }


def main() -> None:
    """Entry point of the module."""
    entry = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "link": {"type": "path"},
        "directory": {"type": "bool", "default": False},
        "secret": {"type": "bool", "default": False},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "list", "elements": "str", "default": []},
    }
    rehearsal = {
        "folder": {"type": "path", "required": True},
        "command": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "options": entry, "default": []},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "rehearse": {"type": "dict", "options": rehearsal},
            "purge": {"type": "list", "elements": "str", "default": []},
            "apply": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    for file in module.params["files"]:
        if file["secret"] and file["content"] is None:
            file["content"] = module.params["secrets"].get(file["path"])
    try:
        result = converge(module.params, module.check_mode, Records(FOLDER, identity()))
    except FileSetError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"file set {module.params['name']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
