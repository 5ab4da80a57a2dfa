# SPDX-License-Identifier: Apache-2.0
"""What the recorder can be told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from station.config.base import Breach, Model, Redis, Service
from station.config.values import AbsolutePath, Address, Credential, Name


class QuestDB(Model):
    """How to reach the database."""

    address: Address = Field(default="127.0.0.1:9000", description="<host>:<port> of QuestDB's HTTP server")
    user: Name = Field(default="writer", description="its user that may write")
    password_file: Credential = Field(default="questdb-http", description="the credential with that user's password")


class Anchor(Model):
    """A place outside the recorder's reach that keeps what it signed."""

    name: Name = Field(description="what the anchor is called in messages")
    socket: AbsolutePath | None = Field(default=None, description="the UNIX socket behind which it is, on this host")
    address: Address | None = Field(default=None, description="or its <host>:<port>, on another host")

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if (self.address is None) == (self.socket is None):
            wrong = "is missing, and socket too" if self.address is None else "is there as well as socket"
            raise Breach("address", f"{wrong}; give one of them")
        return self

    @property
    def place(self) -> str:
        """Return where it listens."""
        return self.socket or self.address or ""


class JournalBus(Redis):
    """How the recorder reaches the bus: it reads every stream."""

    user: Name = Field(default="journal", description="the user of the bus's access list")
    password_file: Credential = Field(default="redis-journal", description="the credential with that user's password")


class RecorderService(Service):
    """Writes the journal."""

    kind: Literal["recorder"]
    stream: Literal["journal"] = Field(default="journal", description="journal; its own notes are in the journal alone")
    redis: JournalBus = Field(default_factory=JournalBus, description="how to reach the bus")
    folder: AbsolutePath = Field(default="/var/lib/station/journal", description="where the segments are")
    batch: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1000, description="entries of a stream that are taken at once"
    )
    keep: Annotated[int, Field(ge=0)] = Field(
        default=10_000, description="entries that stay in each stream, however long they are stored"
    )
    questdb: QuestDB = Field(default_factory=QuestDB, description="how to reach the database")
    key_file: Credential = Field(
        default="journal-key", description="the credential with the key that signs checkpoints"
    )
    former_keys: tuple[str, ...] = Field(
        default=(), description="public halves of the keys that signed before this one"
    )
    anchors: tuple[Anchor, ...] = Field(
        default=(), description="places that keep what it signed, two at least for production"
    )

    @model_validator(mode="after")
    def _check_anchors(self) -> Self:
        names = [anchor.name for anchor in self.anchors]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise Breach("anchors", f"{twice[0]} is there twice; give each anchor a name of its own")
        return self
