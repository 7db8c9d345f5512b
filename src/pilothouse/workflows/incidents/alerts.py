# SPDX-License-Identifier: Apache-2.0
"""A detector fired: an alert rule of the charter turns it into a note, a new incident, or a line in one that is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pilothouse.core.action.escalation import plan_level, start_level
from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState, Named, joins, worse
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.operations import Alert
from pilothouse.core.charter.people import SeverityName
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.errors import Conflict, PilothouseError, UsageError
from pilothouse.ports.incidents import INCIDENTS_MAX, IncidentChange
from pilothouse.ports.ledger import CharterInForce
from pilothouse.ports.work import Job, Timer, WorkChange
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of, newest_verdict
from pilothouse.workflows.incidents.ended import shows_nothing_new
from pilothouse.workflows.incidents.paging import LOUD, call_level, incident_key, page_person
from pilothouse.workflows.incidents.suspects import suspects
from pilothouse.workflows.incidents.triage import triage_lines
from pilothouse.workflows.people.directory import people_gone

__all__ = [
    "METRIC_OF_KIND",
    "AlertAnswer",
    "Firing",
    "alert_for_every_agent",
    "alert_on_verdicts",
    "breaches",
    "raise_alert",
    "rule_for",
    "said_as",
]

SEVERITY_DEFAULT: SeverityName = "sev2"
"""Of what no alert rule of the charter foresaw: somebody must look, nobody is woken by a clock of hours."""

AGAIN_EVERY = timedelta(hours=1)
"""An alert that goes on firing adds a line to its incident this often."""

LASTS_CALLED_EVERY = timedelta(days=1)
"""What only goes on calls the path of an incident that was given up anew this often: others are on duty by then."""

SENTENCE_CHARS_MAX = 1_000
"""Of a sentence with foreign text in it as much as a pager shows and a person reads."""

TRACES_MAX = 50
"""Traces linked to one incident, worst first; the Tasks page has the rest."""

SUSPECTS_TOLD_MAX = 2
"""Changes that a page names; the incident has them all."""

ATTEMPTS_MAX = 10
"""An incident that changes under our hands this often is a bug, not bad luck."""

METRIC_OF_KIND = {
    "completion": "completion",
    "quality": "quality",
    "quality_drop": "quality",
    "cost_per_task": "cost_per_task",
    "escalation": "escalation",
    "override": "override",
    "discrepancy": "discrepancy",
    "served_model": "served_model",
    "latency": "latency",
    "tool_error.confident": "tool_errors",
    "tool_error.hard": "tool_errors",
    "run.loops": "tool_errors",
    "truncation": "truncation",
    "volume": "volume",
    "drift.looked": "drift",
    "review.queue": "review_queue",
}
"""Kind of evidence → what an alert rule of the charter watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """What a detector has to say.

    Attributes:
        agent: Agent id with a charter in force.
        metric: What it watches, in the words of the charter's `alerts`, or a requirement id.
        sentence: What it found, one sentence with its numbers; it becomes the title of the incident.
        task_type: Task type, or None for all.
        layer: `warning` buys labels and opens nothing; `verdict` opens an incident.
        traces: Traces that show it, worst first.
        onset: When it began, as far as is known; None for now.
        drill: Name of the drill that made it happen, or empty.
        level: Escalation level to call first, for drills; None for what the charter says.
        once: Whether it is said once, of what happened, and not at each look while it lasts.
    """

    agent: str
    metric: str
    sentence: str
    task_type: str | None = None
    layer: Literal["warning", "verdict"] = "verdict"
    traces: tuple[str, ...] = ()
    onset: datetime | None = None
    drill: str = ""
    level: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAnswer:
    """What became of it.

    Attributes:
        incident: The incident it belongs to; None for a warning.
        opened: Whether it was opened by this.
        rule: The alert rule of the charter, or None when none foresaw it.
    """

    incident: Incident | None
    opened: bool
    rule: Alert | None


def rule_for(charter: Charter, metric: str, task_type: str | None) -> Alert | None:
    """Return the alert rule that watches a metric of a task type, or None.

    Args:
        charter: The charter in force.
        metric: What is watched.
        task_type: Task type, or None for all.
    """
    for alert in known(charter.alerts) or ():
        types = alert.task_types
        if alert.on == metric and (task_type is None or types == "all" or task_type in types):
            return alert
    return None


def said_as(sentence: str) -> str:
    """Return what a detector says as pages, timelines and lists have it: one line without anything that hides.

    Names of tools, types and errors come from telemetry: a line break in one must not begin a line of a page.
    """
    return foreign_line(sentence, chars_max=SENTENCE_CHARS_MAX)


def raise_alert(room: ControlRoom, firing: Firing, now: datetime) -> AlertAnswer:
    """Let an alert have its effect; the same alert again changes at most a line of the timeline.

    Raises:
        UsageError: No charter is in force for the agent.
    """
    record = room.installation.ledger.charter(firing.agent)
    if record is None:
        raise UsageError(
            f"an alert about {firing.agent!r} has no charter that says who is called",
            remedy="Put one into force: `pilothouse verdict --charter PATH/charter.yaml`.",
            subject=firing.agent,
        )
    firing, charter = replace(firing, sentence=said_as(firing.sentence)), charter_of(record)
    rule = rule_for(charter, firing.metric, firing.task_type)
    if firing.layer == "warning":
        document = {"metric": firing.metric, "task_type": firing.task_type, "sentence": firing.sentence}
        room.installation.ledger.record(
            kind="alert.warning",
            agent=firing.agent,
            at=now,
            actor="watch",
            document=canonical_json(document),
        )
        return AlertAnswer(incident=None, opened=False, rule=rule)
    group = "|".join(
        (rule.id if rule else firing.metric, firing.task_type or "all", firing.drill, str(firing.level or ""))
    )

    def find(active: Sequence[Incident]) -> Incident | None:
        fitting = [
            one for one in active if joins(one, agent=firing.agent, group=group, drill=firing.drill, at=now)
        ]
        same = [one for one in fitting if one.group == group]
        near = same or ([] if firing.level is not None else fitting)
        return near[0] if near else None

    # Before the ledger is held for the number: the lake may take its time, and nobody else could write meanwhile.
    there = room.incidents.incidents(agent=firing.agent, active=True, limit=INCIDENTS_MAX)
    known_of_it = _looked_up(room, charter, firing, now) if find(there[::-1]) is None else None

    def build(number: int) -> IncidentChange:
        looked_up = known_of_it or _looked_up(room, charter, firing, now)  # it was ended at this very moment
        return _opening(room, charter, rule, firing, looked_up, number=number, group=group, now=now)

    incident, opened = room.incidents.open(find, build)
    if not opened:
        incident = _append(
            room, incident, firing, now, charter=charter, rule=rule, same=incident.group == group
        )
        if not incident.is_active:  # somebody ended it at this very moment, and the alert goes on
            return raise_alert(room, firing, now)
    return AlertAnswer(incident=incident, opened=opened, rule=rule)


def _looked_up(
    room: ControlRoom, charter: Charter, firing: Firing, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what ended the tasks of an alert, and what changed before it."""
    traces, onset = firing.traces[:TRACES_MAX], firing.onset or now
    return (
        _or_unknown("ended the tasks", lambda: triage_lines(room.installation.lake, charter, traces)),
        _or_unknown("changed before", lambda: suspects(room.installation, firing.agent, onset)),
    )


def _opening(
    room: ControlRoom,
    charter: Charter,
    rule: Alert | None,
    firing: Firing,
    looked_up: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    number: int,
    group: str,
    now: datetime,
) -> IncidentChange:
    severity = _severity(rule)
    level = firing.level or start_level(charter, severity, foreseen=rule is not None)
    incident = Incident(
        number=number,
        agent=firing.agent,
        group=group,
        rule=rule.id if rule else firing.metric,
        task_type=firing.task_type,
        severity=severity,
        state=IncidentState.OPEN,
        title=("DRILL: " if firing.drill else "") + firing.sentence,
        opened_at=now,
        level=level,
        runbook=_runbook(rule),
        traces=firing.traces[:TRACES_MAX],
        drill=firing.drill,
    )
    foreseen = f"alert rule {rule.id}" if rule else f"{firing.metric}, which no alert rule foresaw"
    opened = IncidentEvent(
        at=now, kind="state", actor="watch", text=f"Opened as {severity} by {foreseen}. {firing.sentence}"
    )
    triaged, found = looked_up
    lines = [
        *(IncidentEvent(at=now, kind="triage", actor="watch", text=text) for text in triaged),
        *(IncidentEvent(at=now, kind="suspect", actor="watch", text=text) for text in found),
    ]
    why = (*triaged[:1], *(f"Changed before: {text}" for text in found[:SUSPECTS_TOLD_MAX]))
    called = call_level(room, charter, incident, level, now, why=why)
    return IncidentChange(
        incident=called.stands(incident),
        events=(opened, *lines, *called.events),
        work=WorkChange(
            timers=(*called.timers, *_time_to_resolve(charter, incident, now)),
            jobs=(*called.jobs, *_pauses(charter, incident, firing.sentence, now)),
        ),
    )


def _or_unknown(what: str, read: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """Return what is read for an incident, or that it is not known: a trace that cannot be read must not keep a page back."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - whatever the lake raises, somebody is called
        why = error.message if isinstance(error, PilothouseError) else type(error).__name__
        return (said_as(f"What {what} is not known: {why}."),)


def _time_to_resolve(charter: Charter, incident: Incident, now: datetime) -> tuple[Timer, ...]:
    """Return the clock that the severity of an incident sets; it runs on when the incident ends, for that may come back."""
    terms = (known(charter.severities) or {}).get(incident.severity)
    resolve = known(terms.resolve) if terms is not None and not incident.drill else None
    if not isinstance(resolve, timedelta):
        return ()
    key = incident_key(incident, "resolve", incident.severity)
    return (Timer(key=key, due_at=now + resolve, kind="incident.resolve", subject=incident.name),)


def _pauses(charter: Charter, incident: Incident, sentence: str, now: datetime) -> tuple[Job, ...]:
    """Return the pause that the severity of an incident asks for; its key makes it happen once for each incident."""
    terms = (known(charter.severities) or {}).get(incident.severity)
    if terms is None or terms.pause is not True or incident.drill:
        return ()
    document = {
        "agent": incident.agent,
        "incident": incident.number,
        "reason": f"{incident.name}: {sentence}",
    }
    return (
        Job(
            key=incident_key(incident, "pause"),
            action="pause",
            subject=incident.name,
            document=canonical_json(document),
            run_after=now,
        ),
    )


def _append(
    room: ControlRoom,
    incident: Incident,
    firing: Firing,
    now: datetime,
    *,
    charter: Charter,
    rule: Alert | None,
    same: bool,
) -> Incident:
    for _ in range(ATTEMPTS_MAX):
        if not incident.is_active:
            return incident
        lines = room.incidents.events(incident.number)
        said = [one.at for one in lines if one.kind in {"alert", "state"} and firing.sentence in one.text]
        if said and now - said[-1] < AGAIN_EVERY:
            return incident
        if _is_left_alone(room, incident):
            # Nobody has it in hand any more: it stands as if the path had been given up.
            incident = replace(incident, state=IncidentState.OPEN, acknowledged_by=None).given_up()
        anew = _calls_anew(incident, firing, lines, now)
        kept = tuple(dict.fromkeys((*incident.traces, *firing.traces)))[:TRACES_MAX]
        severity = incident.severity if same else worse(incident.severity, _severity(rule))
        text = firing.sentence if same else f"Also, within the same hour: {firing.sentence}"
        if severity != incident.severity:
            text += f" It was {incident.severity}, and is {severity} now."
        event = IncidentEvent(at=now, kind="alert", actor="watch", text=text)
        change = IncidentChange(incident=replace(incident, traces=kept), events=(event,))
        if severity != incident.severity:
            worse_one = replace(change.incident, severity=severity)
            follows = _worsened(room, charter, worse_one, firing, now, foreseen=rule is not None, anew=anew)
            cancelled = (incident_key(incident, "resolve", incident.severity), *follows.work.cancelled)
            change = replace(
                follows, events=(event, *follows.events), work=replace(follows.work, cancelled=cancelled)
            )
        elif anew:
            level = start_level(charter, severity, foreseen=rule is not None)
            follows = _called(room, charter, change.incident, level, firing.sentence, now, anew=True)
            change = replace(follows, events=(event, *follows.events))
        try:
            return room.incidents.change(change)
        except Conflict:
            found = room.incidents.incident(incident.number)
            if found is None:
                raise
            incident = found
    return incident


def _is_left_alone(room: ControlRoom, incident: Incident) -> bool:
    """Whether the person who had an incident in hand is gone, as the directory says."""
    person = incident.acknowledged_by
    is_in_hand = incident.is_active and incident.state is not IncidentState.OPEN and person is not None
    return is_in_hand and person in people_gone(room.installation.ledger, incident.agent)


def _calls_anew(incident: Incident, firing: Firing, lines: Sequence[IncidentEvent], now: datetime) -> bool:
    """Whether an alert calls the path of an incident that was given up: what happened does at once, what lasts once a day."""
    if not incident.is_given_up or incident.drill:
        return False
    called = [one.at for one in lines if one.kind in {LOUD, "page"}]
    return firing.once or not called or now - called[-1] >= LASTS_CALLED_EVERY


def _called(  # noqa: PLR0917 - one level, and why it is called
    room: ControlRoom,
    charter: Charter,
    incident: Incident,
    level: int,
    why: str,
    now: datetime,
    *,
    anew: bool,
) -> IncidentChange:
    """Return an open incident with a level called for what is new about it; `anew` begins another turn of the path."""
    cancelled = (incident_key(incident, f"r{incident.round}", f"L{incident.level}", "ack"),)
    step = replace(incident, level=level, round=incident.round + anew)
    called = call_level(room, charter, step, level, now, why=(why,))
    begun = IncidentEvent(
        at=now, kind="page", actor="pager", text="Nobody was called any more: the path is called anew."
    )
    return IncidentChange(
        incident=called.stands(step),
        events=(*((begun,) if anew else ()), *called.events),
        work=WorkChange(timers=called.timers, jobs=called.jobs, cancelled=cancelled),
    )


def _worsened(
    room: ControlRoom,
    charter: Charter,
    incident: Incident,
    firing: Firing,
    now: datetime,
    *,
    foreseen: bool,
    anew: bool,
) -> IncidentChange:
    """Return what follows on an incident that became worse: what would have, had it opened so; who has it in hand is told."""
    jobs = _pauses(charter, incident, firing.sentence, now)
    timers = _time_to_resolve(charter, incident, now)
    change = IncidentChange(incident=incident)
    level = start_level(charter, incident.severity, foreseen=foreseen)
    why = f"It became a {incident.severity}: {firing.sentence}"
    if incident.state is IncidentState.OPEN and (anew or level > incident.level):
        change = _called(room, charter, incident, level, why, now, anew=anew)
    elif incident.state is not IncidentState.OPEN and incident.acknowledged_by is not None:
        person, plan = incident.acknowledged_by, plan_level(charter, incident.level)
        via = plan.via if plan else ()
        page = page_person(room, incident, person, now, level=incident.level, via=via, why=(why,))
        said = (Named(person), f" is told that it became a {incident.severity}.")
        event = IncidentEvent.telling(*said, at=now, kind="page", actor="pager")
        change = replace(change, events=(event,), work=WorkChange(jobs=(page,)))
    work = replace(change.work, jobs=(*jobs, *change.work.jobs), timers=(*timers, *change.work.timers))
    return replace(change, work=work)


def alert_for_every_agent(
    room: ControlRoom, look: Callable[[CharterInForce], Iterable[Firing]], now: datetime
) -> int:
    """Look at every agent with a charter and raise what is found; return how many incidents were opened.

    Args:
        room: Opened parts.
        look: Yields what is to be said about one agent.
        now: The moment, aware UTC.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """
    return for_every_agent(
        room.installation.ledger,
        lambda record: sum(raise_alert(room, firing, now).opened for firing in look(record)),
    )


def alert_on_verdicts(room: ControlRoom, now: datetime) -> int:
    """Open or continue an incident for every breach in the newest verdict of each agent.

    A breach of the declared kind (something the charter lacks) is work for the plan, not for the pager: only
    what was measured counts here. What shows only tasks of incidents that were resolved opens no other one. Running it
    again changes nothing.

    Returns:
        How many incidents were opened.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """
    return alert_for_every_agent(room, lambda record: _breached(room, record), now)


def _breached(room: ControlRoom, record: CharterInForce) -> Iterator[Firing]:
    verdict = newest_verdict(room.installation.ledger, record.agent)
    for item in () if verdict is None else breaches(verdict):
        if shows_nothing_new(room, record.agent, item):
            continue
        yield Firing(
            agent=record.agent,
            metric=METRIC_OF_KIND.get(item.kind, item.requirement),
            sentence=item.sentence,
            task_type=item.scope.task_type,
            traces=item.items,
            onset=item.window_from,
        )


def breaches(verdict: AgentVerdict) -> list[ItemVerdict]:
    """Return what was measured and is breached, one item for each kind and task type."""
    found = [
        item
        for requirement in verdict.requirements
        for item in requirement.items
        if item.status is Status.BREACHED and item.basis == "measured" and item.kind in METRIC_OF_KIND
    ]
    seen: dict[tuple[str, str], ItemVerdict] = {}
    for item in found:
        seen.setdefault((item.kind, item.scope.task_type or ""), item)
    return list(seen.values())


def _severity(rule: Alert | None) -> SeverityName:
    return SEVERITY_DEFAULT if rule is None or is_open(rule.severity) else rule.severity


def _runbook(rule: Alert | None) -> str:
    return (known(rule.runbook) or "") if rule else ""
