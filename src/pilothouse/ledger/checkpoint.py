# SPDX-License-Identifier: Apache-2.0
"""Signed checkpoints of the tree: C2SP `tlog-checkpoint` bodies in C2SP signed notes with Ed25519. Pure.

A note is the body, an empty line and signature lines `— NAME BASE64(key id ‖ signature)`; the key id is the
first four bytes of `SHA-256(name ‖ newline ‖ 0x01 ‖ public key)`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pilothouse.errors import DigestMismatch, MalformedRecord

__all__ = [
    "NOTE_MAX",
    "Checkpoint",
    "VerifierKey",
    "open_note",
    "parse_key",
    "sign_body",
    "sign_checkpoint",
    "verifier_key_of",
]

NOTE_MAX = 64 * 1024
"""Characters of a note: a checkpoint and a few signatures are under one thousand."""

ED25519 = b"\x01"
"""Algorithm byte of Ed25519 in key ids and verifier keys (C2SP signed-note)."""

HASH_BYTES = 32
NOTE = re.compile(
    r"(?P<body>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[^\n]+)\n(?:[^\n]+\n)*)\n(?P<signatures>.+)",
    re.DOTALL,
)
SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a log at one size.

    Attributes:
        origin: Name of the log.
        size: Number of leaves.
        root: Root hash, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Return the text that is signed.

        Example:
            >>> Checkpoint(origin="log", size=0, root=bytes(32)).body().splitlines()[1]
            '0'
        """
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """The public half of a log's key.

    Attributes:
        name: Name of the signer.
        public: Raw Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def verifier_key_of(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    """Return the public half of a signing key."""
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return VerifierKey(name=name, public=raw)


def parse_key(text: str) -> VerifierKey | None:
    """Return the key that a text names, or None when it names none.

    Args:
        text: `NAME+ID+BASE64`.
    """
    name, _, rest = text.partition("+")
    raw = _decoded(rest.partition("+")[2]) or b""
    key = VerifierKey(name=name, public=raw[1:])
    return key if len(raw) == 1 + HASH_BYTES and raw[:1] == ED25519 and str(key) == text else None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def sign_checkpoint(checkpoint: Checkpoint, name: str, private: Ed25519PrivateKey) -> str:
    """Return a checkpoint as a signed note."""
    return sign_body(checkpoint.body(), name, private)


def sign_body(body: str, name: str, *signers: Ed25519PrivateKey) -> str:
    """Return a text as a note with the signature of each key.

    Args:
        body: Lines, the last ended.
        name: Name of all signers.
        *signers: The keys.
    """
    signatures = (verifier_key_of(name, one).key_id + one.sign(body.encode()) for one in signers)
    lines = (f"— {name} {base64.b64encode(signature).decode()}\n" for signature in signatures)
    return f"{body}\n{''.join(lines)}"


def open_note(note: str, key: VerifierKey | None) -> Checkpoint:
    """Return the checkpoint of a note.

    Args:
        note: Text of the note.
        key: Key that must have signed it; None reads it without believing it.

    Raises:
        MalformedRecord: It is no checkpoint.
        DigestMismatch: The key did not sign it.
    """
    match = NOTE.fullmatch(note) if len(note) <= NOTE_MAX else None
    root = _decoded(match["root"]) if match else None
    if match is None or root is None or len(root) != HASH_BYTES:
        raise MalformedRecord(
            "this is no checkpoint of a log",
            remedy="Write a new one: `pilothouse audit checkpoint`.",
            subject="checkpoint",
        )
    checkpoint = Checkpoint(origin=match["origin"], size=int(match["size"]), root=root)
    if key is not None and not _is_signed(match["body"], match["signatures"], key):
        raise DigestMismatch(
            f"the checkpoint of {checkpoint.size:,} records is not signed by {key.name}",
            remedy="Somebody else signed it or changed it: compare with an anchor, `pilothouse audit verify --against FILE`.",
            subject="checkpoint",
        )
    return checkpoint


def _is_signed(body: str, signatures: str, key: VerifierKey) -> bool:
    for line in signatures.splitlines():
        match = SIGNATURE_LINE.fullmatch(line)
        if match is None or match[1] != key.name:
            continue
        raw = _decoded(match[2]) or b""
        if raw[:4] != key.key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], body.encode())
        except InvalidSignature:
            return False
        return True
    return False
