# SPDX-License-Identifier: Apache-2.0
"""The Incidents page and the page of one incident: what needs somebody now, and everything that happened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pilothouse.core.action.incident import (
    CALLED_UNTIL,
    ROUNDS_MAX,
    STEPS,
    Incident,
    IncidentEvent,
    IncidentState,
)
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.pictures import Timeline, timeline
from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Link,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.waiting_work import alone_first
from pilothouse.reports.words import plural

__all__ = [
    "HAND_OVER",
    "EventShown",
    "IncidentPage",
    "Step",
    "build_incident",
    "build_incidents",
]

_STATUS = {
    IncidentState.OPEN: Status.BREACHED,
    IncidentState.ACKNOWLEDGED: Status.AT_RISK,
    IncidentState.MITIGATED: Status.AT_RISK,
    IncidentState.RESOLVED: Status.HOLDS,
    IncidentState.REVIEWED: Status.HOLDS,
}
_BUTTONS = {
    IncidentState.ACKNOWLEDGED: "I have it in hand",
    IncidentState.MITIGATED: "The harm has stopped",
    IncidentState.RESOLVED: "It has ended",
}
_RELAPSE = "It has come back, and I have it in hand"
_ASKS = {
    IncidentState.ACKNOWLEDGED: "Somebody takes it in hand; until then the next level is called.",
    IncidentState.MITIGATED: "Stop the harm, and say so.",
    IncidentState.RESOLVED: "Find the cause, end it, and say so.",
}
HAND_OVER = "hand-over"
"""What the form that gives an incident to somebody else posts in the place of a state."""

_CUT = "Every open incident is here, and the newest of the others; `pilothouse incident list --all` has older ones."

TRACES_SHOWN_MAX = 10
"""Worst first; the rest stands in the JSON of `pilothouse incident show --json`."""


class EventShown(Frozen):
    """One line of the timeline; `loud` ones stand out."""

    when: Moment
    text: str
    loud: bool


class Step(Frozen):
    """A step that is possible now: the state it leads from and to, and what its button says."""

    seen: str
    to: str
    label: str


class IncidentPage(Page):
    """One incident.

    Attributes:
        number: Its number.
        facts: Name and text of each fact.
        events: The timeline, oldest first.
        picture: The same, to scale; None for a single event.
        traces: Worst first.
        commands: What can be typed now.
        steps: What the visitor can do here; empty when nobody is signed in.
        hand_to: Person id and reason of each to whom the visitor can give it; empty while nobody has it in hand.
        visitor: Name of who looks at it, or empty.
    """

    number: int
    facts: tuple[tuple[str, str], ...]
    events: tuple[EventShown, ...]
    picture: Timeline | None
    traces: tuple[Link, ...]
    commands: tuple[str, ...]
    steps: tuple[Step, ...]
    hand_to: tuple[tuple[str, str], ...]
    visitor: str


def _mark(incident: Incident) -> StatusMark:
    status = _STATUS[incident.state]
    return mark_of(status, word=incident.state.value.capitalize())


def _button(incident: Incident, to: IncidentState) -> str:
    """Say what a step says; back to acknowledged is a relapse."""
    is_relapse = to is IncidentState.ACKNOWLEDGED and incident.state is not IncidentState.OPEN
    return _RELAPSE if is_relapse else _BUTTONS[to]


def _who(incident: Incident, names: Mapping[str, str]) -> str:
    person = incident.acknowledged_by
    return names.get(person, person) if person else incident.called


def _clock(incident: Incident, events: Sequence[IncidentEvent], names: Mapping[str, str]) -> tuple[str, ...]:
    """Say who is called, and until when, while nobody has it in hand."""
    if incident.state is not IncidentState.OPEN or incident.round_of_turn == ROUNDS_MAX:
        return ()
    called = next(
        (one.told(names) for one in reversed(events) if one.kind == "page" and CALLED_UNTIL in one.text), ""
    )
    return (shown_text(called),) if called else ()


_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
"""A version in a sentence."""


def _told(event: IncidentEvent, names: Mapping[str, str]) -> str:
    """Return what happened as it is read: people by name, versions by the digits that every page shows."""
    return shown_text(_DIGEST.sub(lambda found: short_digest(found[0]), event.told(names)))


def build_incidents(
    incidents: Sequence[Incident],
    now: datetime,
    *,
    names: Mapping[str, Mapping[str, str]] | None = None,
    is_cut: bool = False,
) -> SectionsPage:
    """Build the list.

    Args:
        incidents: Every active one, and the newest of the others.
        now: The moment.
        names: Agent id → person id → name; a person without one is shown by the id.
        is_cut: Whether older ones that are over may be left out.
    """
    ordered = alone_first(incidents)
    active = [one for one in ordered if one.is_active]
    alone = [one for one in active if one.state is IncidentState.OPEN]
    plain = (
        f"{plural(len(active), 'incident')} open, "
        + (f"{len(alone)} of them in nobody's hands." if alone else "each in somebody's hands.")
        if active
        else "No incident is open."
    )
    named = names or {}
    first = next(iter(active), None)
    action = first and ActionOffer(
        label=f"{'Take' if first.state is IncidentState.OPEN else 'See to'} {first.name} of {first.agent}: "
        f"{shown_text(first.title)}",
        href=f"/incidents/{first.number}",
        who=(_who(first, named.get(first.agent, {})),) if first.acknowledged_by else (),
    )
    rows = tuple(
        row(
            _mark(one),
            Cell(text=one.name, href=f"/incidents/{one.number}"),
            one.severity,
            one.agent,
            shown_text(one.title),
            moment(one.opened_at, now),
            _who(one, named.get(one.agent, {})),
        )
        for one in ordered
    )
    listed = Section(
        anchor="incidents",
        title="What needs somebody first" if active else "What happened before",
        columns=columns("State", "Incident", "Severity", "Agent", "What", "Opened", "Who"),
        rows=rows,
        empty=Empty(
            missing="No incident yet: a breach or a drill opens one.", command="pilothouse drill page"
        ),
    )
    return SectionsPage(
        name="incidents",
        title=f"{plural(len(active), 'open incident')} · Incidents",
        heading="Incidents",
        as_of=page_moment(now),
        sentence=Sentence(plain=plain),
        action=action,
        notices=(_CUT,) if is_cut else (),
        sections=(listed,),
    )


def build_incident(
    incident: Incident,
    events: Sequence[IncidentEvent],
    handlers: Mapping[str, str],
    now: datetime,
    *,
    person: str = "",
    names: Mapping[str, str] | None = None,
    nobody: str = "nobody",
) -> IncidentPage:
    """Build the page of one incident.

    Args:
        incident: As it stands.
        events: Its timeline, oldest first.
        handlers: Who may take steps, with the reason.
        now: The moment.
        person: Person id of the visitor, or empty.
        names: Person id → name; a person without one is shown by the id.
        nobody: What is said when nobody may act, with the reason.
    """
    named = names or {}
    is_over = incident.drill and not incident.is_active  # then every step is refused
    possible = [] if is_over else [state for state in STEPS[incident.state] if state in _BUTTONS]
    verbs = {"acknowledged": "acknowledge", "mitigated": "mitigate", "resolved": "resolve"}
    commands = [f"pilothouse incident {verbs[one.value]} {incident.number} --as PERSON" for one in possible]
    learns = incident.state is IncidentState.RESOLVED and not is_over
    if learns:
        commands.insert(
            0,
            f"pilothouse incident review {incident.number} --cause … --impact … --action … --complaint none --case …",
        )
    if incident.traces and not incident.drill:
        commands.append(f"pilothouse trace {incident.traces[0]}")
    facts = [
        ("Severity", incident.severity),
        ("Rule", incident.rule + (f" · {incident.task_type}" if incident.task_type else "")),
        ("In hand", _who(incident, named)),
        ("Runbook", incident.runbook or "none: no alert rule foresaw it"),
        (
            "May act",
            ", ".join(f"{named.get(who, who)} ({why})" for who, why in handlers.items())
            or shown_text(nobody),
        ),
        *((name.capitalize(), shown_text(text)) for name, text in incident.review),
    ]
    traces = tuple(
        Link(text=trace, href="" if incident.drill else f"/agents/{incident.agent}/tasks/{trace}")
        for trace in incident.traces[:TRACES_SHOWN_MAX]
    )
    action = None
    if learns:
        action = ActionOffer(label="Write down what was learnt; that closes it.", command=commands[0])
    elif possible:
        action = ActionOffer(
            label=_ASKS[possible[0]], command=commands[0], who=tuple(named.get(who, who) for who in handlers)
        )
    steps = [
        Step(seen=incident.state.value, to=one.value, label=_button(incident, one))
        for one in possible
        if person in handlers
    ]
    others = {who: why for who, why in handlers.items() if who != incident.acknowledged_by}
    may_hand = person in handlers and IncidentState.MITIGATED in (*possible, incident.state)
    return IncidentPage(
        name="incident",
        title=f"{incident.state.value.capitalize()} · {incident.name}",
        heading=f"{incident.name} · {incident.agent}",
        agent=incident.agent,
        as_of=page_moment(now),
        mark=_mark(incident),
        sentence=Sentence(plain=shown_text(incident.title)),
        action=action,
        notices=_clock(incident, events, named),
        number=incident.number,
        facts=tuple(facts),
        events=tuple(
            EventShown(when=moment(one.at, now), text=_told(one, named), loud=one.kind == "loud")
            for one in events
        ),
        picture=timeline(
            [(one.at, _told(one, named), one.kind == "loud") for one in events],
            "What happened, to scale",
        ),
        traces=traces,
        commands=tuple(commands),
        steps=tuple(steps),
        hand_to=tuple((who, f"{named.get(who, who)}, {why}") for who, why in others.items())
        if may_hand
        else (),
        visitor=person,
    )
