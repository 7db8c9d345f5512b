# SPDX-License-Identifier: Apache-2.0
"""Turn what the gateway delivered into evidence: how many final answers broke the output schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.gateway.guard import AnswerCount, CountedBy

__all__ = ["ANSWERS_EVERY_S", "AnswerTally", "record_answers"]

ANSWERS_EVERY_S = 30.0
"""How soon a first broken answer is evidence."""

GROWTH_MIN = 0.1
"""A count is put on record when it, or the broken ones in it, grew by this share: 7 days of 100 answers a second are some 200
records, where one for each look would be 20,000, and every one would be kept for ever."""

LATE_MAX = timedelta(hours=6)
"""What came in is on record after this time at the latest, however little it is."""

WINDOW = timedelta(days=7)
"""As long as the requirement accepts; an older count begins anew."""


class AnswerTally:
    """Adds up what was delivered, and puts it on record when that says something new."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[CountedBy, AnswerCount] = {}
        self._last: dict[CountedBy, Evidence] = {}

    def take(self, counts: Mapping[CountedBy, AnswerCount], now: datetime) -> int:
        """Add what was delivered since the last look; return how many records were written.

        Args:
            counts: What was delivered, by agent, version and terms.
            now: The moment, aware UTC.
        """
        for key, count in counts.items():
            self._waiting[key] = self._waiting.get(key, AnswerCount()).plus(count)
        return self._record([key for key in self._waiting if self._is_due(key, now)], now)

    def close(self, now: datetime) -> int:
        """Put on record whatever waits; return how many records were written."""
        return self._record(list(self._waiting), now)

    def _is_due(self, key: CountedBy, now: datetime) -> bool:
        last, waiting = self._last.get(key), self._waiting[key]
        came = waiting.delivered + waiting.unchecked
        if not came:
            return False
        if last is None or now - last.window_to >= LATE_MAX:
            return True
        unknown = last.counts.get("unknown", 0)
        broken = last.n - (last.good or 0) - unknown
        return (
            waiting.invalid > GROWTH_MIN * broken
            or waiting.unchecked > GROWTH_MIN * unknown
            or came > GROWTH_MIN * last.n
        )

    def _record(self, keys: Sequence[CountedBy], now: datetime) -> int:
        written = 0
        # One by one, so that what could not be written waits, and nothing that could be is counted twice.
        for key in keys:
            for record in record_answers(self._ledger, {key: self._waiting[key]}, now):
                self._last[key] = record
                written += 1
            del self._waiting[key]
        return written


def record_answers(
    ledger: Ledger, counts: Mapping[CountedBy, AnswerCount], now: datetime
) -> tuple[Evidence, ...]:
    """Add what was delivered to the running count of the last seven days, and store it.

    Several gateways add to one count: each reads it and writes the next one with nobody in between.

    Args:
        ledger: Where evidence stands.
        counts: What was delivered since the last look, by agent, version and terms.
        now: The moment, aware UTC.

    Returns:
        The new records; none for an agent that delivered nothing.
    """
    return tuple(
        record
        for (agent, version, terms), count in counts.items()
        if count.delivered or count.unchecked
        for record in ledger.extend_evidence(
            agent,
            since=now - WINDOW,
            kinds=("output_schema",),
            following=partial(_counted_on, agent, Binding(version=version, contract=terms), count, now),
        )
    )


def _counted_on(
    agent: str, binds: Binding, count: AnswerCount, now: datetime, stored: Sequence[Evidence]
) -> tuple[Evidence]:
    """Return the count that follows the one that stands; it ends later, even where another gateway's clock is ahead."""
    before = _running_count(stored, binds, now)
    at = now if before is None else max(now, before.window_to + timedelta(microseconds=1))
    unseen_before = 0 if before is None else before.counts.get("unknown", 0)
    unseen = count.unchecked + unseen_before
    n = count.delivered + count.unchecked + (0 if before is None else before.n)
    bad = count.invalid + (0 if before is None else before.n - (before.good or 0) - unseen_before)
    held = count.stopped + (0 if before is None else before.counts.get("held_or_rejected", 0))
    mended = count.repaired + (0 if before is None else before.counts.get("repaired", 0))
    return (
        bound_record(
            "output_schema",
            agent,
            at,
            command="pilothouse up",
            binds=binds,
            since=now if before is None else before.window_from,
            n=n,
            good=n - bad - unseen,
            detail=f"{bad:,} of {n - unseen:,} delivered answers broke the schema; "
            f"{mended:,} were repaired first, {held:,} held or rejected"
            + (f"; {unseen:,} more were streamed and not checked" if unseen else ""),
            items=count.runs,
            counts={"repaired": mended, "held_or_rejected": held, **({"unknown": unseen} if unseen else {})},
        ),
    )


def _running_count(stored: Sequence[Evidence], binds: Binding, now: datetime) -> Evidence | None:
    return max(
        (
            one
            for one in stored
            if one.binds == binds
            and one.window_from >= now - WINDOW
            and one.window_to <= now + FUTURE_MAX  # what lies further ahead counts for nobody yet
            and one.source.command == "pilothouse up"
        ),
        key=lambda one: one.window_to,
        default=None,
    )
