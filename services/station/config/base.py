# SPDX-License-Identifier: Apache-2.0
"""What every service can be told. The descriptions are what a person reads when a key is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from station.config.values import AbsolutePath, Cpus, Credential, Name, Port, Seconds

STATE = "/var/lib/station"
MILLISECONDS = 1000


class Breach(ValueError):  # noqa: N818 - it is a rule that is broken
    """A rule between keys is broken; the message belongs to one of them."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Model(BaseModel):
    """Values that never change, and no keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Redis(Model):
    """How to reach the bus."""

    socket: AbsolutePath = Field(default="/run/redis-bus/redis.sock", description="the socket of the bus")
    user: Name = Field(default="agents", description="the user of the bus's access list")
    password_file: Credential = Field(default="redis-agents", description="the credential with that user's password")


class Service(Model):
    """What every service has."""

    name: Name = Field(description="what the service is called: its unit, its file, its place in events")
    redis: Redis = Field(default_factory=Redis, description="how to reach the bus")
    metrics_port: Port = Field(description="the loopback port of its metrics, its own on this host")
    cpus: Cpus = Field(default="", description="the CPUs that its unit gives it, such as 2-3; nothing for any")
    state_folder: AbsolutePath = Field(
        default_factory=lambda known: f"{STATE}/{known['name']}", description="where it keeps its state"
    )
    halt_folder: AbsolutePath = Field(default=f"{STATE}/halt", description="where the kill switch is")
    watchdog_s: Seconds = Field(default=30, description="seconds without progress after which systemd restarts it")
    model_aliases: Mapping[Name, str] = Field(
        default_factory=dict, description="which model stands behind each name that the service uses"
    )

    @property
    def wanted_cpus(self) -> frozenset[int]:
        """Return the CPUs of `cpus`."""
        ranges = (part.partition("-") for part in self.cpus.split(",") if part)
        return frozenset(cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1))


class Producer(Service):
    """What every service has that writes to the bus."""

    families: ClassVar[tuple[str, ...]] = ()  # of streams that such a service may write

    stream: str = Field(description="the one stream that it writes, <family>:<name>")

    @model_validator(mode="after")
    def _check_stream(self) -> Self:
        family, _, producer = self.stream.partition(":")
        if family not in self.families:
            allowed = " or ".join(f"{name}:{self.name}" for name in self.families)
            raise Breach("stream", f'"{self.stream}" is not for this kind of service; write {allowed}')
        if producer != self.name:
            raise Breach("stream", f'"{self.stream}" is not named after the service; write {family}:{self.name}')
        return self
