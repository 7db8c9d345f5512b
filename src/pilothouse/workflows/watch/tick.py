# SPDX-License-Identifier: Apache-2.0
"""One tick of the watch: count what is finished, look at the whole, let warnings and alarms act, write the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.errors import Conflict
from pilothouse.ports.watch import WatchState
from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.watch.book import WatchBook
from pilothouse.workflows.watch.count import DayCounter
from pilothouse.workflows.watch.days import DayReader
from pilothouse.workflows.watch.effects import Settled, settle_all
from pilothouse.workflows.watch.evidence import record_watch_evidence
from pilothouse.workflows.watch.missed import MissedAlarm
from pilothouse.workflows.watch.room import CLOSINGS, LABELS, SAID_WITHIN, WatchRoom, counted_after
from pilothouse.workflows.watch.rules import TRUTH
from pilothouse.workflows.watch.whole import look_at_whole

__all__ = ["AGENTS_AT_ONCE", "BACK_DAYS_MAX", "WATCH_EVERY_S", "WatchTick", "advance_all", "run_watch"]

BACK_DAYS_MAX = 400
"""Days of imported history that are gone through: a year and its season."""

DAYS_AT_ONCE = 31
"""Days of one agent in one tick; the next tick takes the rest, so that no other agent waits long."""

AGENTS_AT_ONCE = 10
"""Agents whose days are counted in one tick: about a second of work; the next tick takes the others."""

WATCH_EVERY_S = 60.0
"""A day is finished once; a tick that finds nothing reads a few rows for each agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTick:
    """What a tick did.

    Attributes:
        days: Days that were counted, one for each agent and closing.
        opened: Incidents that were opened.
        evidence: Records that are new.
        missed: Alarms that called nobody, because their day was counted too late.
    """

    days: int
    opened: int
    evidence: int
    missed: tuple[MissedAlarm, ...] = ()


def run_watch(watch: WatchRoom, now: datetime) -> WatchTick:
    """Run one tick; running it again at once changes nothing.

    Raises:
        Exception: The first fault at one agent, after everything else was done for all.
    """
    faults, days, evidence = Faults(), 0, 0
    settled = Settled(opened=0, missed=())
    with faults.apart():
        days = advance_all(watch, now)
    with faults.apart():
        look_at_whole(watch, now)
    with faults.apart():
        settled = settle_all(watch, now)
    with faults.apart():
        evidence = record_watch_evidence(watch, now)
    faults.raise_first()
    return WatchTick(days=days, opened=settled.opened, evidence=evidence, missed=settled.missed)


def advance_all(watch: WatchRoom, now: datetime) -> int:
    """Count every finished day that is not counted yet; return how many were.

    Raises:
        Exception: The first fault, after the other agents were counted.
    """
    counted, moved, faults = 0, 0, Faults()
    first_seen: Mapping[str, int] | None = None
    whole = watch.room.watch.whole()
    for agent, charter in watch.directory.charters().items():
        cursors = whole.get(agent, {})
        if first_seen is None and any(closes not in cursors for closes in CLOSINGS):
            first_seen = {one.agent: one.first_ns for one in watch.room.installation.lake.agents()}
        one = _AgentWatch(watch, charter, cursors, now, first_ns=(first_seen or {}).get(agent))
        days = 0
        # In a conflict another process counted this day; its numbers are the same.
        with faults.apart(), suppress(Conflict):
            days = one.advance() if one.is_due() else 0
        counted, moved = counted + days, moved + bool(days)
        if moved >= AGENTS_AT_ONCE:
            break
    faults.raise_first()
    return counted


class _AgentWatch:
    """One agent in one tick."""

    def __init__(
        self,
        watch: WatchRoom,
        charter: Charter,
        cursors: Mapping[str, WatchState],
        now: datetime,
        *,
        first_ns: int | None,
    ) -> None:
        self._cursors = cursors
        self._now = now
        self._first_ns = first_ns
        self._late = counted_after(charter)
        self._book = WatchBook(watch.room.watch, charter.agent, now)
        self._reader = DayReader(watch, charter, now)
        self._counter = DayCounter(watch, charter, now, book=self._book, reader=self._reader)

    def advance(self) -> int:
        """Go through the closings one after the other; each is stored by itself."""
        self._book.open()
        return sum(self._cursor(closes) for closes in CLOSINGS)

    def is_due(self) -> bool:
        """Whether a day may be finished by one of the closings; looks at cursors only, and at who is waited for."""
        for closes in CLOSINGS:
            following = next(self._due(closes), None)
            if following is not None and (closes != LABELS or not self._reader.is_waiting(following)):
                return True
        return False

    def _cursor(self, closes: str) -> int:
        days = list(self._due(closes))
        counted = 0
        for number, day in enumerate(days):
            if not self._counter.count(closes, days[number:]):
                break
            counted += 1
            self._book.remember("", closes, {"last": day.isoformat()})
        if counted:
            self._book.store(closes)
        return counted

    def _due(self, closes: str) -> Iterator[date]:
        kept = self._book.kept("", closes) or self._cursors.get(closes)
        late = max(SAID_WITHIN, self._late) if closes == TRUTH else self._late
        latest = (self._now - late).date() - timedelta(days=1)
        if kept is not None:
            following = date.fromisoformat(json.loads(kept.document)["last"]) + timedelta(days=1)
        elif self._first_ns is not None:
            first = datetime.fromtimestamp(self._first_ns / 1e9, UTC).date()
            following = max(first, latest - timedelta(days=BACK_DAYS_MAX))
        else:
            return
        for offset in range(min((latest - following).days + 1, DAYS_AT_ONCE)):
            yield following + timedelta(days=offset)
