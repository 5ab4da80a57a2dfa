# SPDX-License-Identifier: Apache-2.0
"""`station journal`: is history as it was written, and copies of it."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path

from station.cli.questdb import RECORDER, Access, access, add_access
from station.cli.words import Verbs, group, verb
from station.config import RecorderService, load
from station.config.recorder import Anchor
from station.errors import StationError
from station.journal.anchors import Listener
from station.journal.checkpoint import Signer, VerifierKey
from station.journal.export import export
from station.journal.follower import replay
from station.journal.questdb import QuestDB, Server
from station.journal.segments import Altered
from station.journal.verifier import verify

FOLDER = Path("/var/lib/station/journal")
KEYS = Path("/etc/station/journal.keys")
_SEED_BYTES = 32


def add(verbs: Verbs) -> None:
    """Add the commands."""
    own = group(verbs, "journal", "verify, replay and export the journal")
    check = verb(
        own,
        "verify",
        "compare segments, checkpoints, anchors and QuestDB with each other",
        _verify,
        "exit status 0: all is as it was written; 1: altered, with the first bad record and how; 2: could not be done",
    )
    check.add_argument(
        "--keys", type=Path, default=KEYS, help=f"file of the journal's public keys, one a line ({KEYS})"
    )
    check.add_argument(
        "--recorder",
        type=Path,
        metavar="FILE",
        help=f"the recorder's, which names the anchors (for {FOLDER} {RECORDER})",
    )
    check.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a copy of what an anchor keeps, instead of it",
    )
    check.add_argument(
        "--without-anchor", action="append", default=[], metavar="NAME", help="leave an anchor out that does not answer"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument("--without-questdb", action="store_true", help="leave the database out")
    again = verb(
        own, "replay", "write the whole journal to QuestDB again", _replay, "exit status 1: the segments are altered"
    )
    copy = verb(
        own, "export", "write the journal as Parquet, a file a day", _export, "exit status 1: the segments are altered"
    )
    copy.add_argument("target", type=Path, metavar="FOLDER", help="where the files go")
    copy.add_argument("--since", type=_day, default=date.min, metavar="DATE", help="first day, such as 2025-11-21")
    for made in (check, again, copy):
        made.add_argument("--folder", type=Path, default=FOLDER, help=f"of the journal ({FOLDER})")
    for made in (check, again):
        add_access(made)
    key = verb(own, "key", "make a key that signs checkpoints; prints the private half, then the public one", _key)
    key.add_argument("name", help="of the journal, such as station.example/journal")


def _verify(arguments: argparse.Namespace) -> int:
    keys, copies = _keys(arguments.keys), dict(map(_anchor, arguments.anchor))
    with tempfile.TemporaryDirectory(prefix="station-anchors-") as folder:
        asked = [anchor for anchor in _anchors(arguments) if anchor.name not in copies]
        anchors = {**_fetched(asked, keys, Path(folder)), **copies}
        if arguments.without_questdb:
            verdict = verify(arguments.folder, keys, anchors)
        else:
            with closing(_store(access(arguments))) as store:
                verdict = verify(arguments.folder, keys, anchors, store)
    said = json.dumps(asdict(verdict), default=dict) if arguments.json else verdict.text()
    sys.stdout.write(f"{said}\n")
    return int(not verdict.ok)


def _replay(arguments: argparse.Namespace) -> int:
    with closing(_store(access(arguments))) as store:
        try:
            number = replay(arguments.folder, store)
        except Altered as error:
            return _altered(error)
    sys.stdout.write(f"{number:,} records are in QuestDB\n")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    try:
        files = export(arguments.folder, arguments.target, arguments.since)
    except Altered as error:
        return _altered(error)
    for file in files:
        sys.stdout.write(f"{file.path}: records {file.first:,} to {file.last:,}\n")
    if not files:
        sys.stdout.write("no records\n")
    return 0


def _key(arguments: argparse.Namespace) -> int:
    signer = Signer(arguments.name, secrets.token_bytes(_SEED_BYTES))
    sys.stdout.write(f"{signer.text()}\n{signer.verifier.text()}\n")
    return 0


def _altered(error: Altered) -> int:
    sys.stdout.write(f"{error}\n")
    return 1


def _store(wanted: Access) -> QuestDB:
    return QuestDB(Server(wanted.host, wanted.port, wanted.user, wanted.password))


def _keys(path: Path) -> list[VerifierKey]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise StationError(f"{path}: {reason}; name the file of the journal's public keys with --keys") from None
    return [VerifierKey.parse(line) for line in lines if line.strip()]


def _anchors(arguments: argparse.Namespace) -> list[Anchor]:
    """Return the recorder's anchors but those that are left out; the journal of another folder has none by itself."""
    path = arguments.recorder or (RECORDER if arguments.folder == FOLDER else None)
    known: dict[str, Anchor] = {}
    if path:
        service = load(path)
        if not isinstance(service, RecorderService):
            raise StationError(f"{path}: is no recorder's file; name that one with --recorder")
        known = {anchor.name: anchor for anchor in service.anchors}
    for name in arguments.without_anchor:
        if known.pop(name, None) is None:
            raise StationError(
                f"--without-anchor {name}: there is no such anchor, there is {', '.join(known) or 'none'}"
            )
    return list(known.values())


def _fetched(anchors: Sequence[Anchor], keys: Sequence[VerifierKey], folder: Path) -> dict[str, Path]:
    """Return a file for each anchor with what it keeps of the journal, whose present key is the first."""
    files = {anchor.name: folder / anchor.name for anchor in anchors}
    for anchor in anchors if keys else ():
        with files[anchor.name].open("wb") as file:
            try:
                Listener(anchor.place).fetch(keys[0].name, file)
            except OSError as error:
                right = f"mend it, or go on without it: --without-anchor {anchor.name}"
                raise StationError(f"anchor {anchor.name} at {anchor.place}: {error}; {right}") from error
    return files


def _anchor(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise StationError(f'--anchor "{text}": write NAME=FILE, such as vps=/srv/anchors/vps')
    return name, Path(file)


def _day(text: str) -> date:
    return date.fromisoformat(text)
