# SPDX-License-Identifier: Apache-2.0
"""Payloads of a person, encrypted under the person's own key: destroying the key erases them (crypto-shredding).

The tree holds only `HMAC-SHA-256(salt, payload)`. The salt of 256 bits lies inside the encrypted payload:
once the key is gone nobody can guess a short value back, and every proof still verifies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.schema import METADATA, to_micros

__all__ = [
    "SEAL_BYTES",
    "audit_payloads",
    "audit_subjects",
    "commitment_of",
    "erase_subject",
    "seal_payloads",
    "seal_text",
    "subject_key",
    "unseal_payloads",
    "unseal_text",
]

SALT_BYTES = 32
NONCE_BYTES = 12
SEAL_BYTES = SALT_BYTES + NONCE_BYTES

audit_subjects = Table(
    "audit_subjects",
    METADATA,
    Column("subject", String(32), primary_key=True),
    Column("person", String(256), nullable=True, unique=True),
    Column("wrapped_key", Text, nullable=True),
    Column("erased_us", BigInteger, nullable=True),
)
"""Who a random id stands for and their wrapped key; both are gone after an erasure."""

audit_payloads = Table(
    "audit_payloads",
    METADATA,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("subject", String(32), nullable=False, index=True),
    Column("sealed", Text, nullable=False),
)
"""Encrypted payloads by record and name."""


def commitment_of(salt: bytes, payload: bytes) -> str:
    """Return what the tree holds of a payload, hex."""
    return hmac.new(salt, payload, hashlib.sha256).hexdigest()


def subject_key(connection: Connection, wrapper: AESGCM, person: str) -> tuple[str, AESGCM]:
    """Return random id and key of a person, made when they are new."""
    row = connection.execute(select(audit_subjects).where(audit_subjects.c.person == person)).first()
    if row is not None:
        return row.subject, AESGCM(_unwrap(wrapper, row.subject, row.wrapped_key))
    subject, key, nonce = os.urandom(16).hex(), os.urandom(32), os.urandom(NONCE_BYTES)
    wrapped = base64.b64encode(nonce + wrapper.encrypt(nonce, key, subject.encode())).decode()
    connection.execute(insert(audit_subjects).values(subject=subject, person=person, wrapped_key=wrapped))
    return subject, AESGCM(key)


def seal_payloads(
    key: AESGCM, subject: str, payloads: Mapping[str, str], draw: Callable[[int], bytes] = os.urandom
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Return commitments for the tree and encrypted payloads by name.

    Args:
        key: Of the person.
        subject: Their random id.
        payloads: Texts by name.
        draw: Gives so many fresh random bytes; `SEAL_BYTES` are drawn for each payload.
    """
    commitments, sealed = [], {}
    for name, text in payloads.items():
        salt, nonce, payload = draw(SALT_BYTES), draw(NONCE_BYTES), text.encode()
        bound = f"{subject}/{name}".encode()
        sealed[name] = base64.b64encode(nonce + key.encrypt(nonce, salt + payload, bound)).decode()
        commitments.append({"name": name, "subject": subject, "commitment": commitment_of(salt, payload)})
    return commitments, sealed


def _open_payload(key: AESGCM, subject: str, name: str, sealed: str) -> tuple[bytes, bytes] | None:
    """Return salt and payload, or None when the stored payload was changed."""
    raw = base64.b64decode(sealed)
    try:
        opened = key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], f"{subject}/{name}".encode())
    except InvalidTag:
        return None
    return opened[:SALT_BYTES], opened[SALT_BYTES:]


def seal_text(connection: Connection, wrapper: AESGCM, person: str, name: str, text: str) -> str:
    """Return a person's text encrypted for storage outside the log; unreadable once the person is erased.

    Args:
        connection: A transaction that writes.
        wrapper: What wraps keys of persons.
        person: Whose text it is.
        name: What it is; it opens under no other name.
        text: The text.
    """
    subject, key = subject_key(connection, wrapper, person)
    return f"{subject}:{seal_payloads(key, subject, {name: text})[1][name]}"


def unseal_text(connection: Connection, wrapper: AESGCM, name: str, kept: str) -> str | None:
    """Return the text given to `seal_text`, or None when its person was erased or the text was changed."""
    subject, _, sealed = kept.partition(":")
    query = select(audit_subjects.c.wrapped_key).where(audit_subjects.c.subject == subject)
    wrapped = connection.execute(query).scalar()
    if wrapped is None:
        return None
    opened = _open_payload(AESGCM(_unwrap(wrapper, subject, wrapped)), subject, name, sealed)
    return None if opened is None else opened[1].decode()


def unseal_payloads(
    connection: Connection, wrapper: AESGCM, position: int
) -> dict[str, tuple[bytes, bytes] | None]:
    """Return salt and payload of a record by name; None for one whose key is gone or that was changed."""
    opened: dict[str, tuple[bytes, bytes] | None] = {}
    query = (
        select(audit_payloads, audit_subjects.c.wrapped_key)
        .join(audit_subjects, audit_subjects.c.subject == audit_payloads.c.subject)
        .where(audit_payloads.c.position == position)
    )
    for row in connection.execute(query):
        opened[row.name] = None
        if row.wrapped_key is not None:
            with suppress(
                StorageUnavailable
            ):  # of another log's keys nothing opens, and whoever verifies says so
                key = AESGCM(_unwrap(wrapper, row.subject, row.wrapped_key))
                opened[row.name] = _open_payload(key, row.subject, row.name, row.sealed)
    return opened


def erase_subject(connection: Connection, person: str, at: datetime) -> str | None:
    """Destroy key, name and payloads of a person; return their random id, or None when nothing is stored about them.

    Without its key a payload is useless, and cannot even be checked for changes; so it is deleted as well.
    """
    row = connection.execute(
        select(audit_subjects.c.subject).where(audit_subjects.c.person == person)
    ).first()
    if row is None:
        return None
    connection.execute(
        update(audit_subjects)
        .where(audit_subjects.c.subject == row.subject)
        .values(person=None, wrapped_key=None, erased_us=to_micros(at))
    )
    connection.execute(delete(audit_payloads).where(audit_payloads.c.subject == row.subject))
    return str(row.subject)


def _unwrap(wrapper: AESGCM, subject: str, wrapped: str) -> bytes:
    raw = base64.b64decode(wrapped)
    try:
        return wrapper.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], subject.encode())
    except InvalidTag:
        raise StorageUnavailable(
            "the keys of the audit log are not those of this ledger: nothing that belongs to a person can be read",
            remedy="Put back the folder `keys` that stood beside this ledger; a backup has it.",
            subject="keys",
        ) from None
