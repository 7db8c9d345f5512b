# SPDX-License-Identifier: Apache-2.0
"""Have the audit log verified while a server runs: its evidence counts for a day, and nobody types a command each day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pilothouse.errors import LimitExceeded, StorageUnavailable
from pilothouse.ports.ledger import CharterInForce, Ledger

__all__ = ["LOG_LOOK_EVERY_S", "verify_when_due"]

LOG_LOOK_EVERY_S = 3_600.0
"""A server that was down for a night has the evidence again within the hour."""

RENEWED_AFTER = timedelta(hours=12)
"""Half the life of the evidence: a look that fails is followed by others before it is at risk."""

FIRST_AFTER = timedelta(hours=1)
"""Who has just put a charter into force is still at the terminal, and needs no process beside it."""

RECORDS_MAX = 250_000
"""Records that a server has read by itself: about 4 KB of memory each while they are compared, so about a gigabyte."""


def verify_when_due(
    ledger: Ledger, now: datetime, *, size: Callable[[], int], verify: Callable[[], str]
) -> bool:
    """Verify the log if the evidence of any agent is missing or half through its life; return whether it was verified.

    Args:
        ledger: Knows the charters in force and their evidence.
        now: The moment, aware UTC.
        size: Returns how many records the log has.
        verify: Verifies it, puts the result on record and returns what it said last.

    Raises:
        LimitExceeded: The log is larger than a server reads by itself.
        StorageUnavailable: Nothing was put on record.
    """
    if not _due(ledger, now):
        return False
    if (records := size()) > RECORDS_MAX:
        raise LimitExceeded(
            f"the audit log has {records:,} records, and a server reads {RECORDS_MAX:,} by itself, so MON-10 lapses",
            remedy="Have it read each day where there is memory for it, about 4 KB a record: `pilothouse audit verify`.",
            subject="audit log",
        )
    said = verify()
    if _due(ledger, now):
        raise StorageUnavailable(
            f"the audit log could not be verified: {said or 'nothing was said'}",
            remedy="See what is wrong: `pilothouse audit verify`.",
            subject="audit log",
        )
    return True


def _due(ledger: Ledger, now: datetime) -> bool:
    return any(_is_due(ledger, record, now) for record in ledger.charters())


def _is_due(ledger: Ledger, record: CharterInForce, now: datetime) -> bool:
    recent = ledger.evidence(record.agent, since=now - RENEWED_AFTER, kinds=["audit.verified"])
    return not recent and now - record.accepted_at >= FIRST_AFTER
