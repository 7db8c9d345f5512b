# SPDX-License-Identifier: Apache-2.0
"""What the order in which records were written says of their moments: a clock that goes back hides nothing that failed after it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from pilothouse.core.evidence.evidence import Evidence

__all__ = ["Hidden", "misdated", "standing_record"]


class Hidden:
    """Tells which older records are hidden by newer ones that settle something.

    A record of an earlier window is hidden by one that was written after it. One that was written later was written of a
    later state, whatever the clock said: a failure among these counts.
    """

    def __init__(self) -> None:
        self._settled: int | None = -1

    @property
    def is_all(self) -> bool:
        """Whether everything older is hidden, because nobody knows in which order it was written."""
        return self._settled is None

    def holds(self, record: Evidence) -> bool:
        """Return whether a record of an earlier window is hidden."""
        if self._settled is None:
            return True
        return self._settled >= 0 and (record.written is None or record.written <= self._settled)

    def settle(self, record: Evidence) -> None:
        """Let a record hide what is older."""
        if record.written is None:
            self._settled = None
        elif self._settled is not None:
            self._settled = max(self._settled, record.written)


def misdated(records: Iterable[Evidence]) -> frozenset[int]:
    """Return the `id()` of records that are dated later than one that was written after them: that clock was ahead.

    Only records than which none is newer, by window and by writing, say so of each other: a ledger reads no others.

    Args:
        records: Records about one thing, in any order.
    """
    newest: list[tuple[int, Evidence]] = []
    after = -1
    known = sorted((one for one in records if one.written is not None), key=_end, reverse=True)
    for _, together in groupby(known, key=_end):
        later = [(number, one) for one in together if (number := one.written or 0) > after]
        newest += later
        after = max((number for number, _ in later), default=after)
    return frozenset(
        id(one)
        for number, one in newest
        if any(other > number and written.recorded_at < one.window_to for other, written in newest)
    )


def standing_record(records: Iterable[Evidence]) -> Evidence | None:
    """Return the record of a fact that stands: the newest one, or one that failed and was written after it.

    Args:
        records: Records about one thing, oldest first; of two of one moment the later one stands.

    Example:
        >>> standing_record([]) is None
        True
    """
    ordered = sorted(records, key=lambda one: one.window_to)[::-1]
    hidden, wrong = Hidden(), misdated(ordered)
    standing: Evidence | None = None
    for record in ordered:
        if hidden.holds(record):
            continue
        if record.passed is False:
            return record
        if id(record) not in wrong:
            standing = standing or record
            hidden.settle(record)
    return standing


def _end(record: Evidence) -> datetime:
    return record.window_to
