# SPDX-License-Identifier: Apache-2.0
"""Ways to falsify an audit log, by somebody who owns the ledger, and in the worst of them its keys as well.

Each is given the SQLite file of the ledger and a random generator, and changes it in place. A small version of
`run.py` runs in the tests.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from pilothouse.ledger.tlog import Tree, leaf_hash

__all__ = ["KINDS", "tamper"]


def tamper(path, kind, chance, *, keys):
    """Falsify the ledger at a path in one way."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        KINDS[kind](connection, chance, keys)


def _size(connection):
    return connection.execute("SELECT count(*) FROM audit_records").fetchone()[0]


def _text(connection, position):
    return connection.execute("SELECT record FROM audit_records WHERE position = ?", (position,)).fetchone()[
        0
    ]


def _put(connection, position, document):
    text = canonical_json({**document, "position": position})
    connection.execute("UPDATE audit_records SET record = ? WHERE position = ?", (text, position))


def _edited(connection, chance, _keys):
    at = chance.randrange(_size(connection))
    document = json.loads(_text(connection, at))
    document["document"]["decision"] = chance.choice(["allow", "never", str(chance.random())])
    _put(connection, at, document)


def _one_sign(connection, chance, _keys):
    at = chance.randrange(_size(connection))
    text = _text(connection, at)
    place = chance.randrange(len(text))
    changed = text[:place] + chr(33 + (ord(text[place]) + chance.randrange(1, 90)) % 90) + text[place + 1 :]
    if changed == text:
        changed = text + " "
    connection.execute("UPDATE audit_records SET record = ? WHERE position = ?", (changed, at))


def _gap(connection, chance, _keys):
    connection.execute("DELETE FROM audit_records WHERE position = ?", (chance.randrange(_size(connection)),))


def _closed_gap(connection, chance, _keys):
    at, size = chance.randrange(_size(connection)), _size(connection)
    for position in range(at, size - 1):
        _put(connection, position, json.loads(_text(connection, position + 1)))
    connection.execute("DELETE FROM audit_records WHERE position = ?", (size - 1,))
    connection.execute("UPDATE audit_head SET size = ?", (size - 1,))


def _cut(connection, chance, _keys):
    keep = chance.randrange(_size(connection))
    connection.execute("DELETE FROM audit_records WHERE position >= ?", (keep,))
    connection.execute("DELETE FROM audit_checkpoints WHERE size > ?", (keep,))
    connection.execute("DELETE FROM audit_payloads WHERE position >= ?", (keep,))
    connection.execute("UPDATE audit_head SET size = ?", (keep,))


def _inserted(connection, chance, _keys):
    size = _size(connection)
    at = chance.randrange(size)
    documents = [json.loads(_text(connection, position)) for position in range(size)]
    extra = {
        **documents[at],
        "document": {"decision": "allow", "tool": str(chance.random())},
        "commitments": [],
    }
    connection.execute(
        "INSERT INTO audit_records SELECT ?, agent, kind, at_us, record FROM audit_records WHERE position = ?",
        (size, at),
    )
    for position, document in enumerate([*documents[:at], extra, *documents[at:]]):
        _put(connection, position, document)
    connection.execute("UPDATE audit_head SET size = ?", (size + 1,))


def _swapped(connection, chance, _keys):
    one, other = chance.sample(range(_size(connection)), 2)
    texts = [json.loads(_text(connection, position)) for position in (one, other)]
    _put(connection, one, texts[1])
    _put(connection, other, texts[0])


def _rewritten(connection, chance, keys):
    """A split view: the whole log is another one, and every checkpoint is signed again with the log's own key."""
    _edited(connection, chance, keys)
    _sign_again(connection, keys.origin, keys.signer)


def _other_key(connection, chance, keys):
    """Everything is signed again by somebody else."""
    _edited(connection, chance, keys)
    _sign_again(connection, keys.origin, Ed25519PrivateKey.from_private_bytes(chance.randbytes(32)))


def _sign_again(connection, origin, signer):
    texts = [row[0] for row in connection.execute("SELECT record FROM audit_records ORDER BY position")]
    for (size,) in connection.execute("SELECT size FROM audit_checkpoints").fetchall():
        root = Tree(leaf_hash(text.encode()) for text in texts[:size]).root()
        note = sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), origin, signer)
        connection.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", (note, size))


def _note(connection, chance, _keys):
    size, note = chance.choice(connection.execute("SELECT size, note FROM audit_checkpoints").fetchall())
    lines = note.split("\n")
    root = bytearray(base64.b64decode(lines[2]))
    root[chance.randrange(len(root))] ^= 1 << chance.randrange(8)
    lines[2] = base64.b64encode(bytes(root)).decode()
    connection.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", ("\n".join(lines), size))


def _refiled(connection, chance, _keys):
    """The record stays, and no search finds it any more."""
    column = chance.choice(["agent", "kind"])
    at = chance.randrange(_size(connection))
    connection.execute(f"UPDATE audit_records SET {column} = 'elsewhere' WHERE position = ?", (at,))


def _payload(connection, chance, _keys):
    position, sealed = chance.choice(
        connection.execute("SELECT position, sealed FROM audit_payloads").fetchall()
    )
    raw = bytearray(base64.b64decode(sealed))
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    changed = base64.b64encode(bytes(raw)).decode()
    connection.execute("UPDATE audit_payloads SET sealed = ? WHERE position = ?", (changed, position))


def _payloads_swapped(connection, chance, _keys):
    """Both are sealed under the same person's key, so both open."""
    rows = connection.execute("SELECT position, subject, sealed FROM audit_payloads").fetchall()
    one = chance.choice(rows)
    other = chance.choice([row for row in rows if row[1] == one[1] and row[0] != one[0]])
    connection.execute("UPDATE audit_payloads SET sealed = ? WHERE position = ?", (other[2], one[0]))


def _silent_erasure(connection, chance, _keys):
    """A key is destroyed, and nobody says so."""
    (subject,) = chance.choice(
        connection.execute("SELECT subject FROM audit_subjects WHERE wrapped_key IS NOT NULL").fetchall()
    )
    connection.execute(
        "UPDATE audit_subjects SET wrapped_key = NULL, person = NULL WHERE subject = ?", (subject,)
    )


def _payload_gone(connection, chance, _keys):
    (position,) = chance.choice(connection.execute("SELECT position FROM audit_payloads").fetchall())
    connection.execute("DELETE FROM audit_payloads WHERE position = ?", (position,))


KINDS = {
    "a record says something else": _edited,
    "one sign of a record": _one_sign,
    "a record is missing": _gap,
    "a record is missing and the rest renumbered": _closed_gap,
    "the newest records are gone": _cut,
    "a record was put in": _inserted,
    "two records changed places": _swapped,
    "another history, signed with the log's own key": _rewritten,
    "another history, signed with another key": _other_key,
    "a checkpoint names another root": _note,
    "a record is filed elsewhere": _refiled,
    "a payload was changed": _payload,
    "a payload of another record": _payloads_swapped,
    "a key was destroyed in silence": _silent_erasure,
    "a payload is gone": _payload_gone,
}
"""Kinds of tampering by name."""
