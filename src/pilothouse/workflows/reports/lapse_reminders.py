# SPDX-License-Identifier: Apache-2.0
"""Remind whoever can renew evidence before it lapses: 14, 7 and 1 days ahead, once each, by the outbox that carries pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.ports.ledger import CharterInForce
from pilothouse.ports.work import Job, WorkChange
from pilothouse.reports.words import plural
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents.paging import note_job
from pilothouse.workflows.people.directory import told_for
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["REMINDED_DAYS", "REMINDERS_EVERY_S", "LapseReminders", "due_reminders"]

REMINDED_DAYS = (1, 7, 14)
"""Days ahead of a lapse. What lives no longer than such a span is always that near to its end, so nothing is said that early."""

REMINDERS_EVERY_S = 3_600.0
"""A reminder is due for a day; within the hour is soon enough, and a look judges each agent."""

LINES_MAX = 20
"""Pieces of evidence named in one reminder; the verdict has all."""

_STANDING = {Status.HOLDS, Status.AT_RISK}


@dataclass(frozen=True, slots=True, order=True)
class _Reminder:
    """What one reminder is about; that it was sent is known by this alone.

    Attributes:
        person: Person id.
        days: Which of `REMINDED_DAYS` it is.
        lapses_on: The day (UTC).
    """

    person: str
    days: int
    lapses_on: date


def due_reminders(verdict: AgentVerdict, charter: Charter) -> Mapping[_Reminder, Sequence[ItemVerdict]]:
    """Return what lapses soon, by the person who can renew it: by the owner where nobody is named.

    All that lapses on one day is in one reminder, whatever the hour.

    Args:
        verdict: The agent as it is judged.
        charter: The charter in force.
    """
    found: dict[_Reminder, dict[tuple[str, str], ItemVerdict]] = {}
    for one in verdict.requirements:
        if not set(one.gates) & set(NUMBERED_PHASES):
            continue
        for item in one.items:
            days = _stage(item, verdict.as_of)
            if days is None or item.lapses_at is None:
                continue
            owner = known(charter.owner.person)
            for person in item.who or ((owner,) if owner is not None else ()):
                reminder = _Reminder(person, days, item.lapses_at.date())
                found.setdefault(reminder, {})[item.requirement, item.scope.label] = item
    return {reminder: tuple(found[reminder].values()) for reminder in sorted(found)}


def _stage(item: ItemVerdict, now: datetime) -> int | None:
    """Return which reminder an item is due for, or None."""
    if item.status not in _STANDING or item.lapses_at is None or item.window_to is None:
        return None
    left = (item.lapses_at.date() - now.date()).days
    days = next((days for days in REMINDED_DAYS if left <= days), None)
    return None if days is None or item.lapses_at - item.window_to <= timedelta(days=days) else days


class LapseReminders:
    """Writes what is due into the outbox.

    Args:
        room: Opened parts.
        judge: Gives the assessment of an agent.
    """

    def __init__(self, room: ControlRoom, judge: Callable[[str], Assessment]) -> None:
        self._room = room
        self._judge = judge

    def look(self, now: datetime) -> int:
        """Queue every reminder that is due and was not queued yet; return for how many agents some were.

        Raises:
            PilothouseError: The first agent for which it failed, after all others have been looked at.
        """
        return for_every_agent(self._room.installation.ledger, lambda record: self._queue(record, now))

    def _queue(self, record: CharterInForce, now: datetime) -> bool:
        charter = charter_of(record)
        due = due_reminders(self._judge(record.agent).verdict, charter)
        jobs = [
            job
            for reminder, items in due.items()
            for job in [self._job(charter, reminder, items, now)]
            if job is not None and job.key not in {one.key for one in self._room.work.jobs(job.subject)}
        ]
        if jobs:
            self._room.work.commit(None, WorkChange(jobs=tuple(jobs)))
        return bool(jobs)

    def _job(
        self, charter: Charter, reminder: _Reminder, items: Sequence[ItemVerdict], now: datetime
    ) -> Job | None:
        told = told_for(self._room.installation.ledger, charter, reminder.person)
        if told is None:
            return None  # who left without a substitute is an incident already
        about = f"lapse/{charter.agent}/{reminder.person}"
        left = (reminder.lapses_on - now.date()).days
        when = "today" if left <= 0 else "tomorrow" if left == 1 else f"in {left} days"
        lines = [f"{one.requirement} {one.scope.label}: {_renewal(one, told)}" for one in items[:LINES_MAX]]
        if len(items) > LINES_MAX:
            lines.append(f"and {len(items) - LINES_MAX} more: pilothouse verdict {charter.agent} --full")
        return note_job(
            f"{about}/{reminder.days}/{reminder.lapses_on}",
            charter.agent,
            told,
            title=f"{charter.agent}: {plural(len(items), 'piece')} of evidence "
            f"{'lapses' if len(items) == 1 else 'lapse'} on {calendar_day(reminder.lapses_on)}, {when}",
            body="\n".join(lines),
            subject=about,
            now=now,
        )


def _renewal(item: ItemVerdict, told: str) -> str:
    """Return what to type; whoever signs does so under their own name, a substitute too."""
    return f"{item.remedy} --as {told}" if item.signer else item.remedy
