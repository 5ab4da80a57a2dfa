# SPDX-License-Identifier: Apache-2.0
"""ssh public keys for tests; nobody has their private halves."""

from __future__ import annotations

import base64


def blob(*fields: bytes) -> str:
    """Return a key's data out of its fields."""
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


def rsa(bits: int) -> str:
    """Return an RSA key of some length."""
    return f"ssh-rsa {blob(b'ssh-rsa', b'3', bytes(1) + (1 << bits - 1).to_bytes(bits // 8))}"


KEY = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(32))} operator"
