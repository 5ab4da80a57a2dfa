# SPDX-License-Identifier: Apache-2.0
"""ssh public keys, as authorized_keys holds them: whole or damaged, how long, until when, and for whom."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

# What the role ssh asks of an RSA key (RequiredRSASize).
RSA_BITS = 3072
# Bytes of a key of each type behind its name (RFC 8709, RFC 5656); RSA has two numbers of any length.
ED25519_BYTES = 32
ECDSA_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
KINDS = (
    *("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa", "sk-ecdsa-sha2-nistp256@openssh.com"),
    *(f"ecdsa-sha2-{curve}" for curve in ECDSA_BYTES),
)
RSA_ALGORITHMS = frozenset({"ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"})
# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, type, key, comment; an option's value may hold blanks in quotes.
LINE = re.compile(
    r'\s*(?:(?P<options>(?:[^\s"]|"(?:\\.|[^"\\])*")+)\s+)??'
    r"(?P<kind>(?:ssh|ecdsa|sk)-[\w@.-]+)\s+(?P<data>AAAA\S*)"
)
OPTION = re.compile(r'([\w-]+)(?:="((?:\\.|[^"\\])*)")?(?:,|$)')
EXPIRY = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True)
class Key:
    """One line of authorized_keys."""

    kind: str
    data: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def bits(self) -> int:
        """Bits of an RSA key's modulus; 0 of another or a damaged one."""
        fields = fields_of(self.data)
        return int.from_bytes(fields[2]).bit_length() if self.kind == "ssh-rsa" and len(fields) == 3 else 0

    @property
    def fingerprint(self) -> str:
        """The key's name in sshd's log."""
        digest = hashlib.sha256(_decoded(self.data)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def option(self, name: str) -> str | None:
        """Value of an option, empty for one without a value, None when the line has no such option."""
        return dict(self.options).get(name)

    def expired(self, now: datetime) -> bool:
        """Whether the option expiry-time lies in the past; one that nobody can read lets nobody in."""
        text = self.option("expiry-time")
        if text is None:
            return False
        try:
            until = datetime.strptime(text.rstrip("Z"), EXPIRY.get(len(text.rstrip("Z")), ""))  # noqa: DTZ007 - below
        except ValueError:
            return True
        return now >= (until.replace(tzinfo=UTC) if text.endswith("Z") else until.astimezone())


def read(line: str) -> Key | None:
    """Read a line of authorized_keys; None for a comment and for what is no key."""
    found = LINE.match(line)
    if found is None or line.lstrip().startswith("#"):
        return None
    options = tuple((name.lower(), value) for name, value in OPTION.findall(found["options"] or ""))
    return Key(found["kind"], found["data"], options)


def problem(line: str) -> str:
    """Say what is wrong with an ssh public key without options; nothing when it is whole (RFC 4253, 6.6)."""
    words = line.split()
    if len(words) < 2 or "\n" in line:
        return "is no ssh public key: it begins with a type such as ssh-ed25519"
    kind = words[0]
    if "-cert-v" in kind:
        return f"is a certificate ({kind}), which expires: write the key that it was made from"
    if kind not in KINDS:
        return f"is no ssh public key that sshd takes: it begins with {kind} instead of a type such as ssh-ed25519"
    fields = fields_of(words[1])
    if not fields or fields[0] != kind.encode():
        return "is a damaged ssh public key, or was cut short"
    return "" if _whole(kind, fields) else f"is a damaged {kind} key: it has another length"


def unaccepted(key: Key, algorithms: frozenset[str], rsa_bits: int) -> str:
    """Say why sshd does not take a whole key; nothing when it does.

    Args:
        key: the key.
        algorithms: PubkeyAcceptedAlgorithms.
        rsa_bits: RequiredRSASize.
    """
    # An RSA key signs with the rsa-sha2 algorithms.
    if not (RSA_ALGORITHMS if key.kind == "ssh-rsa" else {key.kind}) & algorithms:
        return f"is of type {key.kind}, which sshd does not accept (ssh_user_key_algorithms)"
    if key.kind == "ssh-rsa" and key.bits < rsa_bits:
        return f"is an RSA key of {key.bits} bits, and sshd asks for {rsa_bits}"
    return ""


def _whole(kind: str, fields: list[bytes]) -> bool:
    name = kind.removesuffix("@openssh.com").removeprefix("sk-")
    if name == "ssh-ed25519":
        return len(fields) >= 2 and len(fields[1]) == ED25519_BYTES
    if name.startswith("ecdsa-sha2-"):
        return len(fields) >= 3 and len(fields[2]) == ECDSA_BYTES[name.removeprefix("ecdsa-sha2-")]
    return len(fields) == 3


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        return b""


def fields_of(data: str) -> list[bytes]:
    """Return the fields of a key's data, each behind its length; none unless they add up to its end."""
    raw = _decoded(data)
    found, at = [], 0
    while at + 4 <= len(raw):
        length = int.from_bytes(raw[at : at + 4])
        found.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return found if at == len(raw) else []
