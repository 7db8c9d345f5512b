# SPDX-License-Identifier: Apache-2.0
"""Paging: who is called now on which level, by which clock, and what they are told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pilothouse.connectors.own_server import read_server
from pilothouse.core.action.escalation import LevelPlan, plan_level
from pilothouse.core.action.incident import CALLED_UNTIL, Incident, IncidentEvent, Named
from pilothouse.core.action.on_call import ON_CALL, due_after
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.dates import minute
from pilothouse.ports.contacts import Contact
from pilothouse.ports.work import Job, Timer
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.people.directory import people_gone

__all__ = [
    "CUT_OFF",
    "LOUD",
    "NOTE",
    "Called",
    "addresses_of",
    "call_level",
    "calls_a_level",
    "incident_key",
    "note_job",
    "page_key",
    "page_person",
    "working_zone",
]

CUT_OFF = "dead-pager"
"""Name of the drill in which nothing can be sent: whatever process sends its pages, none arrives."""

NOTE = "note"
"""Action of a job that tells one person something and waits for no answer."""

_NOTE_VIA = ("mail", "chat")
"""Tried first: a note waits for no answer. Whoever has neither is told by whatever there is."""

LOUD = "loud"
"""Kind of a line that must not be missed, even if nobody can be paged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What calling a level adds to an incident.

    Attributes:
        events: Lines for the timeline.
        jobs: Pages.
        timers: The clock of the level.
    """

    events: tuple[IncidentEvent, ...] = ()
    jobs: tuple[Job, ...] = ()
    timers: tuple[Timer, ...] = ()

    def stands(self, incident: Incident) -> Incident:
        """Return an incident as it stands after the call: given up where nobody was called, for no clock runs then.

        Args:
            incident: The incident, on the level and round that was called.
        """
        return incident if self.jobs else incident.given_up()


def incident_key(incident: Incident, *words: object) -> str:
    """Return a key that no other incident and no other round of this one uses."""
    return "/".join((incident.name, *map(str, words)))


def call_level(
    room: ControlRoom,
    charter: Charter,
    incident: Incident,
    level: int,
    now: datetime,
    *,
    why: Sequence[str] = (),
) -> Called:
    """Return the pages and the clock of a level; the clock runs in on-call hours only.

    Args:
        room: Opened parts.
        charter: The charter in force.
        incident: The incident, on its present round.
        level: Level to call.
        now: The moment, aware UTC.
        why: What is known of it, one line of the message each.
    """
    plan = plan_level(charter, level, gone=people_gone(room.installation.ledger, incident.agent))
    if plan is None or not plan.calls:
        text = f"The charter names nobody for level {level}: nobody is called. `pilothouse check` says what is open."
        return Called(events=(IncidentEvent(at=now, kind=LOUD, actor="pager", text=text),))
    jobs = tuple(
        replace(
            page_person(room, incident, call.person, now, level=level, via=plan.via, why=why),
            key=page_key(incident, level, call.person),
        )
        for call in plan.calls
    )
    hours = ON_CALL[known(charter.operations.on_call) or "always"]
    due = due_after(now, plan.acknowledge, hours, working_zone(room, charter, plan))
    timer = Timer(
        key=incident_key(incident, f"r{incident.round}", f"L{level}", "ack"),
        due_at=due,
        kind="incident.ack",
        subject=incident.name,
    )
    people: list[str | Named] = []
    for call in plan.calls:
        people += [", "] if people else []
        people += [Named(call.person), *((" for ", Named(call.stands_for)) if call.stands_for else ())]
    said = (f"Level {level} is called: ", *people, f"; {CALLED_UNTIL} {minute(due)}.")
    event = IncidentEvent.telling(*said, at=now, kind="page", actor="pager")
    return Called(events=(event,), jobs=jobs, timers=(timer,))


def page_person(
    room: ControlRoom,
    incident: Incident,
    person: str,
    now: datetime,
    *,
    level: int,
    via: Sequence[str],
    why: Sequence[str] = (),
) -> Job:
    """Return the page to one person; its key is of this moment, so that handing over twice pages twice.

    Args:
        room: Opened parts.
        incident: The incident.
        person: Who is told.
        now: The moment, aware UTC.
        level: The level it is on.
        via: Kinds of contact, as the level names them.
        why: What is known of it, one line of the message each.
    """
    return Job(
        key=incident_key(incident, "to", person, now.isoformat()),
        action="page",
        subject=incident.name,
        document=canonical_json(
            {
                "incident": incident.number,
                "agent": incident.agent,
                "level": level,
                "drill": incident.drill,
                "person": person,
                "via": list(via),
                "title": f"{incident.severity} · {incident.agent}: {incident.title}",
                "body": _body(room, incident, person, why),
            }
        ),
        run_after=now,
    )


def note_job(
    key: str, agent: str, person: str, *, title: str, body: str, now: datetime, subject: str | None = None
) -> Job:
    """Return the job that tells one person something and waits for no answer.

    Args:
        key: Its key; a second job with it is not sent.
        agent: Agent id.
        person: Who is told.
        title: Of the message.
        body: Of the message, lines.
        now: The moment, aware UTC.
        subject: Under which it is found again; its key when nothing is said.
    """
    document = {
        "agent": agent,
        "person": person,
        "drill": "",
        "via": list(_NOTE_VIA),
        "title": title,
        "body": body,
    }
    return Job(key=key, action=NOTE, subject=subject or key, document=canonical_json(document), run_after=now)


def working_zone(room: ControlRoom, charter: Charter, plan: LevelPlan) -> tzinfo:
    """Return the time zone of the first person on a level whose zone is known; UTC otherwise."""
    for call in plan.calls:
        for contact in addresses_of(room, charter, call.person):
            try:
                return ZoneInfo(contact.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    return UTC


def page_key(incident: Incident, level: int, person: str) -> str:
    """Return the key of the page to one person of a level, in the present round.

    Args:
        incident: The incident.
        level: The level.
        person: Who is paged.
    """
    return incident_key(incident, f"r{incident.round}", f"L{level}", person)


def calls_a_level(key: str) -> bool:
    """Whether a job is the page to somebody of a level, and not a hand-over or other news for one person."""
    return re.match(r"INC-\d+/r\d+/L\d+/", key) is not None


def addresses_of(room: ControlRoom, charter: Charter, person: str) -> Sequence[Contact]:
    """Return how a person can be reached.

    Args:
        room: Opened parts.
        charter: The charter in force.
        person: Person id; nobody of that name has no address.
    """
    identity = charter.identity_of(person)
    return () if identity is None else room.contacts.of(identity)


def _body(room: ControlRoom, incident: Incident, person: str, why: Sequence[str]) -> str:
    lines = [f"Take it: pilothouse incident acknowledge {incident.number} --as {person}"]
    server = read_server(room.installation.settings.home)
    if server is not None:
        lines.append(f"Page: {server.url}/incidents/{incident.number}")
    if incident.runbook:
        lines.append(f"Runbook: {incident.runbook}")
    if incident.traces:
        lines.append(f"Worst trace: pilothouse trace {incident.traces[0]}")
    lines += why
    lines.append(f"{incident.name}, opened {minute(incident.opened_at)}")
    return "\n".join(lines)
