# SPDX-License-Identifier: Apache-2.0
"""Replace the key that signs the log: a record that the old and the new key sign, and only then the file."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, update

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.audit import SqlAuditLog, stored_tree
from pilothouse.ledger.audit_keys import put_in_force, stage_signer
from pilothouse.ledger.audit_records import audit_head
from pilothouse.ledger.checkpoint import Checkpoint
from pilothouse.ledger.key_history import KEY_REPLACED, sign_replacement
from pilothouse.ports.audit import AuditEntry

__all__ = ["replace_signer"]


def replace_signer(log: SqlAuditLog, *, actor: str, reason: str, now: datetime) -> int:
    """Replace the signing key of a log, and return the position of the record that says so.

    The new key is on the disk before the record is, and takes the place of the old one after it: whatever ends this in the
    middle, the next signature is made by the key that the log names.

    Args:
        log: The audit log.
        actor: Who replaces it.
        reason: Why, for the record.
        now: The present moment, aware UTC.

    Raises:
        StorageUnavailable: The file holds another key than signs this log, or the new one cannot be written.
        Conflict: Somebody else has just replaced it.
        LimitExceeded: The reason is longer than a record.
    """
    keys = log.signing_keys()
    staged = stage_signer(keys)

    def decide(connection: Connection) -> AuditEntry:
        # Whoever appends takes this row first, so no record comes between those that are signed here and this one.
        connection.execute(update(audit_head).values(size=audit_head.c.size))
        if log.key_history_in(connection).present != keys.verifier:
            raise Conflict(
                "the key of the log has just been replaced by somebody else",
                remedy="See who: `pilothouse audit list`. To replace it once more: `pilothouse audit rotate-key`.",
                subject="audit",
            )
        tree = stored_tree(connection)
        before = Checkpoint(origin=keys.origin, size=len(tree), root=tree.root())
        note = sign_replacement(before, keys.signer, staged.signer)
        return AuditEntry(
            kind=KEY_REPLACED, agent="", actor=actor, at=now, document={"note": note, "reason": reason}
        )

    try:
        position = log.commit(decide)
    except (Conflict, LimitExceeded):  # after any other error the record may stand, and then this is the key
        staged.path.unlink()
        raise
    log.keys = put_in_force(keys, log.key_history().present)
    return position
