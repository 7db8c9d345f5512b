# SPDX-License-Identifier: Apache-2.0
"""Remind the owner that a model retires: 90, 60, 30, 14 and 7 days ahead, once each, by the outbox that carries pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.declared import SUCCESSOR_GATED, retiring
from pilothouse.ports.ledger import CharterInForce
from pilothouse.ports.work import Job, WorkChange
from pilothouse.reports.words import plural
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents.paging import note_job
from pilothouse.workflows.people.directory import told_for

__all__ = ["RETIREMENTS_EVERY_S", "RETIREMENT_DAYS", "remind_of_retirements"]

RETIREMENT_DAYS = (7, 14, 30, 60, 90)
"""Days ahead of a retirement: a successor has to be found, gated and brought in, which takes weeks."""

RETIREMENTS_EVERY_S = 3_600.0
"""A reminder is due for a day; within the hour is soon enough."""


def remind_of_retirements(room: ControlRoom, now: datetime) -> int:
    """Queue every reminder that is due and was not queued yet; return for how many agents some were.

    A model whose day has come is no reminder any more: the pinned one is an incident.

    Args:
        room: Opened parts.
        now: The moment, aware UTC.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def queue(record: CharterInForce) -> bool:
        jobs: dict[str, Job] = {}
        for job in _due(room, record, now):
            if job.key not in {one.key for one in room.work.jobs(job.subject)}:
                jobs.setdefault(job.key, job)  # a pin that judges as well is named as the pin
        if jobs:
            room.work.commit(None, WorkChange(jobs=tuple(jobs.values())))
        return bool(jobs)

    return for_every_agent(room.installation.ledger, queue)


def _due(room: ControlRoom, record: CharterInForce, now: datetime) -> Iterator[Job]:
    charter = charter_of(record)
    owner = known(charter.owner.person)
    told = None if owner is None else told_for(room.installation.ledger, charter, owner)
    if told is None:
        return  # an owner who left without a substitute is an incident already
    about = f"retirement/{charter.agent}/{told}"
    for one in retiring(charter):
        left = (one.day - now.date()).days
        days = next((days for days in RETIREMENT_DAYS if left <= days), None)
        if days is None or left <= 0:
            continue
        source = f" {one.source} says so." if one.source else ""
        yield note_job(
            f"{about}/{days}/{one.day}/{one.name}",
            charter.agent,
            told,
            title=f"{charter.agent}: the {one.role} {one.name} retires on {calendar_day(one.day)}, in {plural(left, 'day')}",
            body=f"Its successor must pass the release gate before: {SUCCESSOR_GATED}.{source}",
            subject=about,
            now=now,
        )
