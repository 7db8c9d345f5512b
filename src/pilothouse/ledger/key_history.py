# SPDX-License-Identifier: Apache-2.0
"""Which key may sign a log up to which size: a key is replaced by a note that the old and the new one sign. Pure.

The note is a checkpoint of the records before it with two lines more, which name both keys, so it needs no other proof: whoever
believes one of the keys can check it. A key that was replaced signs nothing that is longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pilothouse.errors import DigestMismatch, MalformedRecord
from pilothouse.ledger.checkpoint import (
    Checkpoint,
    VerifierKey,
    open_note,
    parse_key,
    sign_body,
    verifier_key_of,
)

__all__ = ["KEY_REPLACED", "KeyHistory", "Replacement", "open_replacement", "sign_replacement"]

KEY_REPLACED = "audit.key_replaced"
"""Kind of the record that holds the note."""

OLD_LINE, NEW_LINE = "old-key ", "new-key "


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """One change of the key, as both keys signed it.

    Attributes:
        checkpoint: The log before the record of the change.
        old: The key until then.
        new: The key from then on.
        note: The signed text.
    """

    checkpoint: Checkpoint
    old: VerifierKey
    new: VerifierKey
    note: str


def sign_replacement(checkpoint: Checkpoint, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> str:
    """Return the note that replaces a key.

    Args:
        checkpoint: The log before the record of the change.
        old: The key until now.
        new: The key from now on.
    """
    name = checkpoint.origin
    lines = f"{OLD_LINE}{verifier_key_of(name, old)}\n{NEW_LINE}{verifier_key_of(name, new)}\n"
    return sign_body(checkpoint.body() + lines, name, old, new)


def open_replacement(note: str) -> Replacement | None:
    """Return what a note replaces, or None where it is none that both keys signed.

    Args:
        note: Text of a record, which anybody may have written.
    """
    lines = note.partition("\n\n")[0].split("\n")[3:]
    if len(lines) != 2 or not (lines[0].startswith(OLD_LINE) and lines[1].startswith(NEW_LINE)):
        return None
    old, new = parse_key(lines[0].removeprefix(OLD_LINE)), parse_key(lines[1].removeprefix(NEW_LINE))
    if old is None or new is None or old == new:
        return None
    try:
        checkpoint = open_note(note, old)
        open_note(note, new)
    except (MalformedRecord, DigestMismatch):
        return None
    if not checkpoint.origin == old.name == new.name:
        return None
    return Replacement(checkpoint=checkpoint, old=old, new=new, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHistory:
    """The keys of one log.

    Attributes:
        replaced: Every change of the key, oldest first.
        present: The key that signs now.
    """

    replaced: tuple[Replacement, ...]
    present: VerifierKey

    @classmethod
    def read(cls, entries: Iterable[tuple[int, str]], own: VerifierKey) -> tuple[KeyHistory, dict[int, str]]:
        """Return the history that the records of a log make, and by its position what is wrong with one, in words.

        Args:
            entries: Position and note of each record of kind `KEY_REPLACED`, in order.
            own: A key of this log, present or past: only changes that lead to it or on from it are of this log. Whoever may write
                records may add a change between keys of theirs, and must neither give auditors a key nor keep us from signing.
        """
        signed: dict[int, Replacement] = {}
        problems = {}
        for position, note in entries:
            one = open_replacement(note)
            if one is None:
                problems[position] = "the key was replaced without the signatures of the old and the new one"
            elif one.checkpoint.size != position or one.checkpoint.origin != own.name:
                problems[position] = "the key was replaced by a note that belongs elsewhere"
            else:
                signed[position] = one
        found = _chain(tuple(signed.values()), own)
        foreign = "the key was replaced by one that was not in force; that change counts for nothing"
        problems |= {at: foreign for at, one in signed.items() if one not in found}
        return cls(replaced=found, present=found[-1].new if found else own), problems

    def open(self, note: str) -> Checkpoint:
        """Return the checkpoint of a note that a key signed which may sign this size.

        Args:
            note: Text of the note.

        Raises:
            MalformedRecord: It is no checkpoint.
            DigestMismatch: No such key signed it.
        """
        size = open_note(note, None).size
        for key in (one.old for one in self.replaced if size <= one.checkpoint.size):
            with suppress(DigestMismatch):
                return open_note(note, key)
        return open_note(note, self.present)

    def opens(self, note: str) -> bool:
        """Return whether a note is a checkpoint that a key signed which may sign this size.

        Args:
            note: Text of the note.
        """
        try:
            self.open(note)
        except (MalformedRecord, DigestMismatch):
            return False
        return True

    def __str__(self) -> str:
        """The text for auditors: the present key, and under it each note that replaced one."""
        return "\n".join((str(self.present) + "\n", *(one.note for one in self.replaced))).rstrip("\n")


def _chain(changes: tuple[Replacement, ...], own: VerifierKey) -> tuple[Replacement, ...]:
    """Return the changes that lead to a key and on from it, oldest first."""
    found: list[Replacement] = []
    first = present = own
    for one in reversed(changes):
        if one.new == first:
            found.insert(0, one)
            first = one.old
    since = found[-1].checkpoint.size if found else -1
    for one in changes:
        if one.old == present and one.checkpoint.size > since:
            found.append(one)
            present = one.new
    return tuple(found)
