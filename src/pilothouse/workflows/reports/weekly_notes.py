# SPDX-License-Identifier: Apache-2.0
"""Send each owner the weekly note by itself: once a week and agent, by the outbox that carries pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.ports.ledger import CharterInForce
from pilothouse.ports.work import WorkChange
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents.paging import note_job
from pilothouse.workflows.people.directory import told_for
from pilothouse.workflows.reports.report import show_weekly
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["NOTES_EVERY_S", "WeeklyNotes"]

NOTES_EVERY_S = 900.0
"""A note is due for a week: a quarter of an hour later is soon enough, and a look without work costs one query."""

HOUR_UTC = 7
"""Hour of a Monday from which on the note of the week before is due. The week ends there however late its note goes out, so
that no correction is told in two notes and none in neither."""


class WeeklyNotes:
    """Writes what is due into the outbox.

    Args:
        room: Opened parts.
        judge: Gives the assessment of an agent.
        corrections: What the corrections of an agent achieved in the week before a moment, in words.
    """

    def __init__(
        self,
        room: ControlRoom,
        judge: Callable[[str], Assessment],
        corrections: Callable[[str, datetime], str],
    ) -> None:
        self._room = room
        self._judge = judge
        self._corrections = corrections

    def look(self, now: datetime) -> int:
        """Queue every note that is due and was not queued yet; return how many.

        Raises:
            PilothouseError: The first agent for which it failed, after all others have been looked at.
        """
        return for_every_agent(self._room.installation.ledger, lambda record: self._queue(record, now))

    def _queue(self, record: CharterInForce, now: datetime) -> bool:
        monday = (now - timedelta(days=now.weekday())).replace(
            hour=HOUR_UTC, minute=0, second=0, microsecond=0
        )
        charter = charter_of(record)
        owner = known(charter.owner.person)
        ledger = self._room.installation.ledger
        was_there = record.accepted_at < monday or ledger.charter(record.agent, at=monday) is not None
        if now < monday or not was_there or owner is None:
            return False
        told = told_for(self._room.installation.ledger, charter, owner)
        if told is None:
            return False  # the owner left and nobody stands in, which an incident says
        year, week, _day = monday.isocalendar()
        key = f"weekly/{record.agent}/{year}-W{week:02}"
        if self._room.work.jobs(key):
            return False
        note = show_weekly(
            self._room.installation,
            self._judge(record.agent),
            corrections=self._corrections(record.agent, monday),
            until=monday,
        )
        job = note_job(key, record.agent, told, title=note.title, body=note.text, now=now)
        self._room.work.commit(None, WorkChange(jobs=(job,)))
        return True
