# SPDX-License-Identifier: Apache-2.0
"""Which key may sign a log up to which size, from the notes that replaced one key by another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse_verify.note import Note, PublicKey, parse_key, parse_note

__all__ = ["REPLACED_SINCE", "KeyRing", "Replaced", "parse_replaced", "parse_ring"]

REPLACED_SINCE = "it is signed by a key that was replaced since, which others may have: ask for a newer one"

OLD, NEW = "old-key ", "new-key "


@dataclass(frozen=True)
class Replaced:
    """One change of a key, signed by both.

    Attributes:
        size: Records before it: the old key signs nothing longer.
        root: Root over these records.
        old: The key until then.
        new: The key from then on.
    """

    size: int
    root: bytes
    old: PublicKey
    new: PublicKey


def parse_replaced(text: str) -> Replaced | None:
    """Return a change, or None when this is none that both keys signed.

    Args:
        text: A note.
    """
    note = parse_note(text)
    lines = note.body.split("\n")[3:-1] if note else []
    if note is None or len(lines) != 2 or lines[0][: len(OLD)] != OLD or lines[1][: len(NEW)] != NEW:
        return None
    old, new = parse_key(lines[0][len(OLD) :]), parse_key(lines[1][len(NEW) :])
    if old is None or new is None or old == new or not note.origin == old.name == new.name:
        return None
    if not (note.is_signed_by(old) and note.is_signed_by(new)):
        return None
    return Replaced(size=note.size, root=note.root, old=old, new=new)


@dataclass(frozen=True)
class KeyRing:
    """The keys of one log.

    Attributes:
        believed: The key that reached the auditor.
        replaced: The changes that are known, oldest first.
    """

    believed: PublicKey
    replaced: tuple[Replaced, ...] = ()

    @property
    def name(self) -> str:
        """Name of the log."""
        return self.believed.name

    @property
    def present(self) -> PublicKey:
        """The newest key."""
        return self.replaced[-1].new if self.replaced else self.believed

    def signed(self, note: Note) -> bool:
        """Whether a checkpoint of this log is signed by a key that may sign so many records.

        Args:
            note: The checkpoint.
        """
        if note.origin != self.name:
            return False
        known = (one.old for one in self.replaced if note.size <= one.size)
        return any(note.is_signed_by(key) for key in (self.present, *known))

    def joined(self, changes: Iterable[Replaced]) -> tuple[KeyRing, list[str], list[str]]:
        """Return the ring with the changes that a file brings, what is wrong with them, and what an auditor still needs.

        Args:
            changes: In any order; those that are known may be among them.
        """
        known = sorted({*self.replaced, *changes}, key=lambda one: one.size)
        before = _led_to(known, self.believed)
        since = _led_on(known[known.index(before[-1]) + 1 :] if before else known, self.believed)
        problems = [
            f"record {one.size}: the key was replaced by one that was not in force; that change counts for nothing"
            for one in known
            if one not in before + since
        ]
        missing = []
        if since:
            missing.append(
                f"the key was replaced at record {since[0].size:,}, which whoever had the old one could do: "
                "give the present key with --key, from another way than this file"
            )
        return KeyRing(self.believed, before + since), problems, missing


def _led_to(changes: list[Replaced], key: PublicKey) -> tuple[Replaced, ...]:
    """Return the changes at whose end a key stood, oldest first: only who had each of the keys could sign them."""
    found: list[Replaced] = []
    for one in reversed(changes):
        if one.new == key:
            found.insert(0, one)
            key = one.old
    return tuple(found)


def _led_on(changes: list[Replaced], key: PublicKey) -> tuple[Replaced, ...]:
    """Return the changes that began with a key, oldest first."""
    found: list[Replaced] = []
    for one in changes:
        if one.old == key:
            found.append(one)
            key = one.new
    return tuple(found)


def parse_ring(text: str) -> KeyRing | None:
    """Return the keys that `pilothouse audit key` prints, or None when it is no key or a change is not signed by both.

    Args:
        text: One key, and under it the note of each change.
    """
    first, *rest = text.strip().split("\n\n")
    key = parse_key(first)
    if key is None or len(rest) % 2:
        return None
    pairs = zip(rest[::2], rest[1::2], strict=True)
    changes = [parse_replaced(f"{body}\n\n{signatures}\n") for body, signatures in pairs]
    if None in changes:
        return None
    ring, problems, missing = KeyRing(key).joined(one for one in changes if one)
    return None if problems or missing else ring
