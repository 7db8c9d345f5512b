# SPDX-License-Identifier: Apache-2.0
"""What the charter says of inputs that are counted for silent truncation, and since when it says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.evidence.binding import terms_digest
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.workflows.ground.in_force import charter_of

__all__ = ["NO_TERMS", "CountedUnder", "truncation_terms"]

TRUNCATION = "truncation"

CHARTERS_READ_MAX = 100
"""Charters that are looked through for the day on which the terms began; of older ones the day that is found is too late,
and then fewer inputs count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedUnder:
    """Terms of a count.

    Attributes:
        digest: What a record of them is bound to; None without a charter that can be read.
        since: When they came into force, aware UTC; None where nothing says so.
    """

    digest: str | None = None
    since: datetime | None = None


NO_TERMS = CountedUnder()
"""Without a charter nothing is said."""


def truncation_terms(ledger: Ledger, agent: str) -> CountedUnder:
    """Return the terms in force under which inputs are counted; those that were sent before do not speak of them."""
    record = ledger.charter(agent)
    digest = None if record is None else _digest(record)
    if record is None or digest is None:
        return NO_TERMS
    since = record.accepted_at
    for _ in range(CHARTERS_READ_MAX):
        record = ledger.charter(agent, at=since - timedelta(microseconds=1))
        if record is None or record.accepted_at >= since or _digest(record) != digest:
            break
        since = record.accepted_at
    return CountedUnder(digest=digest, since=since)


def _digest(record: CharterInForce) -> str | None:
    try:
        return terms_digest(charter_of(record), kind_named(TRUNCATION), Scope())
    except CharterError:
        return None
