# SPDX-License-Identifier: Apache-2.0
"""What people do with an incident: take it, end it, review it; each step bound to a duty of the charter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pilothouse.core.action.escalation import plan_level
from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState, Named, check_step
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.powers import incident_handlers
from pilothouse.core.evidence.evidence import INCIDENT, UNKNOWN
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.verdict.sentence import person_names
from pilothouse.errors import CharterInvalid, Conflict, Denied, UnknownName, UsageError
from pilothouse.ports.incidents import INCIDENTS_MAX, IncidentChange
from pilothouse.ports.work import WorkChange
from pilothouse.reports.domain import shown_names
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.incidents.paging import incident_key, page_person
from pilothouse.workflows.people.directory import people_gone

__all__ = [
    "NO_COMPLAINT",
    "REVIEW_FIELDS",
    "IncidentView",
    "hand_over",
    "incident_named",
    "move",
    "names_by_agent",
    "record_lead_in_drill",
    "review",
    "view",
    "with_active",
]

REVIEW_FIELDS = ("cause", "impact", "action", "complaint", "case")
"""What a review must say: why it happened, whom it hit, what was changed, when somebody first complained, and
which regression case now guards against it."""

NO_COMPLAINT = "none"

LEAD_WINDOW = timedelta(days=90)
LEAD_SHARE_MIN = 0.9
"""MON-8: in nine of ten incidents the alert came before the first complaint."""

_IN_HAND = frozenset({IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED})

_WORDS = {
    IncidentState.ACKNOWLEDGED: "has it in hand",
    IncidentState.MITIGATED: "stopped the harm",
    IncidentState.RESOLVED: "ended it",
    IncidentState.REVIEWED: "reviewed it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident with everything its page shows.

    Attributes:
        incident: As it stands.
        events: Its timeline, oldest first.
        handlers: Person ids who may take and end it, with the reason; empty too where the charter cannot be read.
        nobody: What is said when nobody may.
        names: Person id → name, of the people of the charter.
    """

    incident: Incident
    events: Sequence[IncidentEvent]
    handlers: Mapping[str, str]
    nobody: str = "nobody"
    names: Mapping[str, str] = field(default_factory=dict)


def incident_named(room: ControlRoom, number: int) -> Incident:
    """Return an incident.

    Raises:
        UnknownName: Nothing has that number.
    """
    found = room.incidents.incident(number)
    if found is None:
        raise UnknownName(
            f"there is no incident {number}",
            remedy="`pilothouse incident list` shows them.",
            subject=str(number),
        )
    return found


def view(room: ControlRoom, number: int) -> IncidentView:
    """Return what the page of an incident shows, whatever became of the charter: somebody was called because of it.

    Raises:
        UnknownName: Nothing has that number.
    """
    incident = incident_named(room, number)
    events = room.incidents.events(number)
    try:
        charter = charter_if_any(room.installation.ledger, incident.agent)
        handlers = incident_handlers(charter) if charter else {}
    except CharterInvalid as error:
        unread = f"nobody: this program cannot read the charter in force. {error.remedy}"
        return IncidentView(incident=incident, events=events, handlers={}, nobody=unread)
    names = shown_names(charter) if charter else {}
    return IncidentView(incident=incident, events=events, handlers=handlers, names=names)


def with_active(newest: Sequence[Incident], room: ControlRoom) -> tuple[Incident, ...]:
    """Return incidents with every active one that is older than they are: what is open is never past the end of a list.

    Args:
        newest: The newest ones, of all agents.
        room: Opened parts.
    """
    known = {one.number for one in newest}
    active = room.incidents.incidents(active=True, limit=INCIDENTS_MAX)
    return (*newest, *(one for one in active if one.number not in known))


def names_by_agent(room: ControlRoom, agents: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the names of the people of some agents: agent id → person id → name.

    An agent whose charter this program cannot read has none, so that its incidents are still listed.
    """
    found = {}
    for agent in set(agents):
        with suppress(CharterInvalid):
            charter = charter_if_any(room.installation.ledger, agent)
            found[agent] = shown_names(charter) if charter else {}
    return found


def move(
    room: ControlRoom,
    number: int,
    to: IncidentState,
    *,
    person: str,
    text: str,
    now: datetime,
    seen: IncidentState | None = None,
) -> Incident:
    """Take a step: acknowledge, mitigate or resolve.

    Args:
        room: Opened parts.
        number: Incident.
        to: Where it goes.
        person: Who takes the step, a person id of the charter.
        text: What was done, or empty.
        now: The moment, aware UTC.
        seen: The state that was shown when the step was chosen, or None for whichever it is in.

    Raises:
        UnknownName: Nothing has that number.
        Denied: The charter gives this person no part in incidents.
        UsageError: The step is not possible from here.
        Conflict: It is not in the state that was shown, somebody else changed it at the same moment, or it is a drill that
            is over.
    """
    incident = incident_named(room, number)
    why = _allowed(room, incident, person)
    if seen is not None and incident.state is not seen:
        raise Conflict(
            f"{incident.name} is {incident.state.value} by now; it was {seen.value} when this was chosen",
            remedy=f"Look at it again: /incidents/{number}",
            subject=incident.name,
        )
    if incident.drill and not incident.is_active:
        raise Conflict(
            f"{incident.name} was a drill that is over: nothing has to be done",
            remedy=f"`pilothouse incident show {number}` says what came of it.",
            subject=incident.name,
        )
    check_step(incident, to)
    changed = replace(incident, state=to)
    cancelled: tuple[str, ...] = ()
    if to is IncidentState.ACKNOWLEDGED:
        first = incident.acknowledged_at or now
        changed = replace(changed, acknowledged_by=person, acknowledged_at=first, resolved_at=None)
        cancelled = (incident_key(incident, f"r{incident.round}", f"L{incident.level}", "ack"),)
    if to is IncidentState.RESOLVED:
        # Its time to resolve goes on: what comes back is measured from its first hour.
        changed = replace(changed, resolved_at=now)
    said = f" ({why}) {_WORDS[to]}" + (f": {text}" if text else ".")
    event = IncidentEvent.telling(Named(person), said, at=now, kind="state", actor=person)
    done = room.incidents.change(
        IncidentChange(incident=changed, events=(event,), work=WorkChange(cancelled=cancelled))
    )
    if to is IncidentState.RESOLVED and not incident.drill:
        _record_lead(room, incident.agent, now)
    return done


def hand_over(room: ControlRoom, number: int, to: str, *, person: str, now: datetime) -> Incident:
    """Give an incident that somebody has in hand to somebody else, who is paged about it.

    Args:
        room: Opened parts.
        number: Incident, acknowledged or mitigated.
        to: Who has it from now on, a person id of the charter with a part in incidents.
        person: Who hands it over.
        now: The moment, aware UTC.

    Raises:
        UnknownName: Nothing has that number.
        Denied: The charter gives one of the two no part in incidents.
        UsageError: Nobody has it in hand, it is that person already, or the person is gone.
        Conflict: Somebody else changed it at the same moment.
    """
    incident = incident_named(room, number)
    why, theirs = _allowed(room, incident, person), _allowed(room, incident, to)
    if incident.state not in _IN_HAND:
        raise UsageError(
            f"{incident.name} is {incident.state.value}: nobody has it in hand",
            remedy=f"`pilothouse incident acknowledge {number} --as {to}`",
            subject=incident.name,
        )
    if incident.acknowledged_by == to:
        raise UsageError(
            f"{to} has {incident.name} in hand already", remedy="`pilothouse incident list`", subject=to
        )
    if to in people_gone(room.installation.ledger, incident.agent):
        raise UsageError(
            f"{to} is gone, as the directory says",
            remedy="Choose the substitute, or read a newer directory: `pilothouse people check --directory FILE`.",
            subject=to,
        )
    said = (Named(person), f" ({why}) hands it to ", Named(to), f" ({theirs}).")
    event = IncidentEvent.telling(*said, at=now, kind="state", actor=person)
    changed = replace(incident, acknowledged_by=to)
    charter = charter_if_any(room.installation.ledger, incident.agent)
    plan = plan_level(charter, incident.level) if charter else None
    names = person_names(charter) if charter else {}
    page = page_person(
        room, changed, to, now, level=incident.level, via=plan.via if plan else (), why=(event.told(names),)
    )
    return room.incidents.change(
        IncidentChange(incident=changed, events=(event,), work=WorkChange(jobs=(page,)))
    )


def review(
    room: ControlRoom, number: int, answers: Mapping[str, str], *, person: str, now: datetime
) -> Incident:
    """Close an incident with what was learnt; writes the evidence of MON-8 on the lead of the alerts.

    Args:
        room: Opened parts.
        number: Incident, resolved.
        answers: Text for each of `REVIEW_FIELDS`; `complaint` is `none` or a moment in ISO 8601 with its zone.
        person: Who reviewed it.
        now: The moment, aware UTC.

    Raises:
        UnknownName: Nothing has that number.
        Denied: The charter gives this person no part in incidents.
        UsageError: A field is missing or no moment, or the incident is not resolved.
    """
    incident = incident_named(room, number)
    why = _allowed(room, incident, person)
    check_step(incident, IncidentState.REVIEWED)
    missing = [name for name in REVIEW_FIELDS if not answers.get(name, "").strip()]
    if missing:
        raise UsageError(
            f"a review of {incident.name} needs {', '.join(missing)} too",
            remedy=f"`pilothouse incident review {number} --cause … --impact … --action … --complaint none --case …`",
            subject=incident.name,
        )
    _check_complaint(answers["complaint"].strip(), now)
    kept = tuple((name, answers[name].strip()) for name in REVIEW_FIELDS)
    said = f" ({why}) reviewed it. Cause: {answers['cause']}"
    event = IncidentEvent.telling(Named(person), said, at=now, kind="state", actor=person)
    changed = replace(incident, state=IncidentState.REVIEWED, review=kept)
    done = room.incidents.change(IncidentChange(incident=changed, events=(event,)))
    if not incident.drill:
        _record_lead(room, incident.agent, now)
    return done


def _allowed(room: ControlRoom, incident: Incident, person: str) -> str:
    charter = charter_if_any(room.installation.ledger, incident.agent)
    allowed = incident_handlers(charter) if charter else {}
    if person in allowed:
        return allowed[person]
    whom = ", ".join(allowed) or "nobody"
    raise Denied(
        f"{person or 'nobody'} has no part in incidents of {incident.agent}: the charter names {whom}",
        remedy=f"Say who you are, for example `--as {next(iter(allowed), 'PERSON')}`, or change `escalation` in the charter: `pilothouse check`.",
        subject=incident.name,
    )


def _check_complaint(said: str, now: datetime) -> None:
    """Refuse a moment of a complaint that an hour of some time zone could move to the other side of the alert."""
    moment = _complaint_at(said)
    example = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M}"
    if moment is not None and datetime.fromisoformat(said).tzinfo is None:
        raise UsageError(
            f"{said!r} does not say in which time zone somebody complained",
            remedy=f"Give it in UTC, for example `--complaint {example}Z`, or with its offset, `--complaint {example}+01:00`.",
            subject="complaint",
        )
    if moment is not None and moment > now:
        raise UsageError(
            f"{said!r} is still to come: nobody has complained then",
            remedy=f"Give `--complaint none`, or a moment that is over, for example `--complaint {example}Z`.",
            subject="complaint",
        )


def _complaint_at(text: str) -> datetime | None:
    if text.strip().lower() == NO_COMPLAINT:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no moment of a first complaint",
            remedy="Give `--complaint none`, or for example `--complaint 2026-11-20T14:05Z`.",
            subject="complaint",
        ) from error
    # Reviews of older programs may lack the zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def record_lead_in_drill(room: ControlRoom, charter: Charter, said: str, now: datetime) -> str:
    """Put on record that the alert of a drill reached somebody, where no incident of three months can speak of its lead.

    Args:
        room: Opened parts.
        charter: The charter in force.
        said: What the alert of the drill did, in words.
        now: The moment, aware UTC.

    Returns:
        Empty, or in one sentence which incident speaks instead as soon as it is reviewed.
    """
    since = _lately(room, charter.agent, now)
    if since:
        waits = next((one for one in since if one.state is not IncidentState.REVIEWED), None)
        return (
            f"MON-8 asks for the review of {waits.name}: `pilothouse incident review {waits.number}`."
            if waits
            else ""
        )
    lead = recorded(
        "alert.lead",
        charter,
        now,
        command="pilothouse drill",
        n=1,
        passed=True,
        detail=f"no incident in {LEAD_WINDOW.days} days; {said}",
    )
    room.installation.ledger.add_evidence([lead])
    return ""


def _lately(room: ControlRoom, agent: str, now: datetime) -> list[Incident]:
    """Return the incidents of three months, drills left out."""
    return [
        one
        for one in room.incidents.incidents(agent=agent, limit=1_000)
        if not one.drill and one.opened_at >= now - LEAD_WINDOW
    ]


def _record_lead(room: ControlRoom, agent: str, now: datetime) -> None:
    """Count, over three months of incidents that are over, how often the alert came before the first complaint.

    Whoever reviews only those that went well, or a drill before any, shows nothing: of one that was resolved and not reviewed
    nobody knows.
    """
    over = _lately(room, agent, now)
    reviewed = [one for one in over if one.state is IncidentState.REVIEWED]
    waiting = [one for one in over if one.state is IncidentState.RESOLVED]
    charter = charter_if_any(room.installation.ledger, agent)
    if charter is None or not (reviewed or waiting):  # the one that ends now may have begun earlier
        return
    first = 0
    for one in reviewed:
        complaint = _complaint_at(dict(one.review)["complaint"])
        first += complaint is None or one.opened_at <= complaint
    n = len(reviewed) + len(waiting)
    least = LEAD_SHARE_MIN * n
    passed = True if first >= least else False if first + len(waiting) < least else None
    said = f"in {first} of {len(reviewed)} reviewed incidents the alert came before the first complaint"
    if waiting:
        said += f"; {len(waiting)} more are resolved and not reviewed, last {waiting[0].name}"
    lead = recorded(
        "alert.lead",
        charter,
        now,
        command="pilothouse incident review",
        since=min(one.opened_at for one in (*reviewed, *waiting)),
        n=n,
        passed=passed,
        detail=said,
        counts={} if passed is not None else {UNKNOWN: len(waiting), INCIDENT: waiting[0].number},
    )
    room.installation.ledger.add_evidence([lead])
