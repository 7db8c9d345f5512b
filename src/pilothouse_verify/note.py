# SPDX-License-Identifier: Apache-2.0
"""Reads C2SP checkpoints and checks their Ed25519 signatures."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["Note", "PublicKey", "parse_key", "parse_note"]


@dataclass(frozen=True)
class PublicKey:
    """A verifier key `NAME+ID+BASE64`.

    Attributes:
        name: Name of the signer.
        ident: Four bytes that name the key.
        raw: Raw Ed25519 key.
    """

    name: str
    ident: bytes
    raw: bytes


@dataclass(frozen=True)
class Note:
    """A checkpoint.

    Attributes:
        origin: Name of the log.
        size: Records under it.
        root: Root hash.
        body: The text that is signed.
        signatures: Name and raw signature bytes.
    """

    origin: str
    size: int
    root: bytes
    body: str
    signatures: tuple[tuple[str, bytes], ...]

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the key signed it."""
        for name, raw in self.signatures:
            if name != key.name or raw[:4] != key.ident:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key.raw).verify(raw[4:], self.body.encode())
            except InvalidSignature:
                continue
            return True
        return False


def parse_key(text: str) -> PublicKey | None:
    """Return a key, or None when this is none."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        return None
    try:
        raw = b64decode(parts[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    ident = sha256(parts[0].encode() + b"\n" + raw).digest()[:4]
    if raw[:1] != b"\x01" or len(raw) != 33 or ident.hex() != parts[1]:
        return None
    return PublicKey(name=parts[0], ident=ident, raw=raw[1:])


def parse_note(text: str) -> Note | None:
    """Return a checkpoint, or None when this is none."""
    body, gap, rest = text.partition("\n\n")
    lines = body.split("\n")
    if not gap or len(lines) < 3 or not lines[1].isascii() or not lines[1].isdigit():
        return None
    signatures = []
    try:
        root = b64decode(lines[2], validate=True)
        for line in rest.splitlines():
            words = line.split(" ")
            if len(words) == 3 and words[0] == "—":
                signatures.append((words[1], b64decode(words[2], validate=True)))
    except (binascii.Error, ValueError):
        return None
    if len(root) != 32 or not signatures:
        return None
    return Note(
        origin=lines[0], size=int(lines[1]), root=root, body=body + "\n", signatures=tuple(signatures)
    )
