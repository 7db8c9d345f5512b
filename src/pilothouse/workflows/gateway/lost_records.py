# SPDX-License-Identifier: Apache-2.0
"""Put on record that model calls of an agent went on unrecorded; a running server calls people of it.

Of an agent it is told once a day: a disk that stays full says so every morning, and not with each call.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pilothouse.core.evidence.unix_time import moment_of
from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.runlog.lost_records import LostRecord
from pilothouse.workflows.gateway.notes import put_on_record

__all__ = ["LOST_KIND", "note_lost_record"]

LOST_KIND = "record.lost"
"""Kind of the records."""

TOLD_EVERY = timedelta(days=1)
WHY_CHARACTERS_MAX = 200


def note_lost_record(ledger: Ledger, lost: LostRecord, now: datetime) -> bool:
    """Put on record that an agent's calls are not recorded, unless the last day says so; return whether it was written.

    Args:
        ledger: Where it is put.
        lost: The call.
        now: The moment, aware UTC.

    Raises:
        Conflict: Another process wrote one at this moment.
    """
    listed = ledger.decisions(lost.agent, kind=LOST_KIND, limit=1)
    if listed and timedelta() <= now - listed[0].at < TOLD_EVERY:
        return False
    document = {
        "run": lost.run,
        "since": moment_of(lost.at_ns).isoformat(),
        "why": lost.why[:WHY_CHARACTERS_MAX],
    }
    put_on_record(ledger, LOST_KIND, lost.agent, document, now, listed=listed)
    return True
