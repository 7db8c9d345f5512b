# SPDX-License-Identifier: Apache-2.0
"""Proofs about the audit log that whoever has its key checks alone: one record is in it, one state of it extends another."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from pilothouse.errors import DigestMismatch, UnknownName, UsageError
from pilothouse.ledger.checkpoint import Checkpoint
from pilothouse.ledger.tlog import Tree
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.reports.audit import ANCHORED, held_against, read_note

__all__ = ["prove_growth", "prove_record", "proven_sizes"]

SIZES_MAX = 365
"""Anchored states that a bundle proves itself to extend, newest first: one a day for a year, some 2 KB each."""


def prove_record(room: BoundaryRoom, position: int, *, earlier: Path | None = None) -> str:
    """Return one record with the proof that it is in the log as it is signed now, or as it was signed before.

    Args:
        room: Installation with its audit log.
        position: Number of the record, from 0.
        earlier: File with the checkpoint that it is proved under; a new one when None.

    Returns:
        The lines of a C2SP tlog-proof, an empty line, and the record.

    Raises:
        UnknownName: The log has no such record, or had none then.
        UsageError: The file is no checkpoint of this log.
        DigestMismatch: The log is not the one that was signed then.
    """
    if earlier is None:
        signed = room.log.sign()
        tree, note, size = room.log.tree(), signed.note, signed.size
    else:
        tree, note = room.log.tree(), read_note(earlier)
        size = _standing(room, tree, earlier, note).size
    if position >= size:
        raise UnknownName(
            f"no record {position}; the log {'has' if earlier is None else 'had'} {size:,}",
            remedy="List them: `pilothouse audit list`.",
            subject=str(position),
        )
    record = room.log.records(start=position, limit=1)[0]
    lines = ("c2sp.org/tlog-proof@v1", f"index {position}", *_encoded(tree.inclusion(position, size)))
    return "\n".join((*lines, "", note, record.text, ""))


def prove_growth(room: BoundaryRoom, earlier: Path) -> str:
    """Return the proof that the log as it is signed now is the one of an earlier checkpoint, with records after it.

    Args:
        room: Installation with its audit log.
        earlier: File with the checkpoint.

    Returns:
        What a C2SP witness is sent to sign a new checkpoint: the earlier size, the proof, an empty line, the checkpoint.

    Raises:
        UsageError: The file is no checkpoint of this log.
        DigestMismatch: The log is not the one that was signed then.
    """
    signed, tree = room.log.sign(), room.log.tree()
    old = _standing(room, tree, earlier, read_note(earlier)).size
    return "\n".join((f"old {old}", *_encoded(tree.consistency(old, signed.size)), "", signed.note))


def _standing(room: BoundaryRoom, tree: Tree, path: Path, note: str) -> Checkpoint:
    """Return an earlier checkpoint that the log still begins with."""
    history = room.log.key_history()
    checkpoint = history.open(note)
    if not checkpoint.size:
        raise UsageError(
            f"{path} is of an empty log, which every log extends",
            remedy="Name a later one: `pilothouse audit anchor FOLDER` writes it.",
            subject=str(path),
        )
    if held_against(history, tree, note, str(path)):
        raise DigestMismatch(
            f"the log does not begin with the {checkpoint.size:,} records of {path}",
            remedy=f"See what is wrong: `pilothouse audit verify --against {path}`.",
            subject=str(path),
        )
    return checkpoint


def proven_sizes(room: BoundaryRoom, tree: Tree, size: int) -> dict[str, list[str]]:
    """Return, by each size at which the log was anchored, the proof that the log of this size extends that one.

    Args:
        room: Installation with its audit log.
        tree: The whole log.
        size: Records under the checkpoint that the proofs lead to.

    Example:
        A bundle then needs no anchor of its own size, which nobody has: the log grows with each anchor and each bundle.
    """
    anchors = room.installation.ledger.decisions("", kind=ANCHORED, limit=SIZES_MAX)
    sizes = {int(json.loads(one.document)["size"]) for one in anchors}
    return {str(old): _encoded(tree.consistency(old, size)) for old in sorted(sizes) if 0 < old <= size}


def _encoded(nodes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in nodes]
