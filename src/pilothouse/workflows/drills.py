# SPDX-License-Identifier: Apache-2.0
"""Drills: a fault that was planted, the alert it must raise, and the people whom that alert must reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.action.escalation import plan_level
from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import Alert
from pilothouse.core.charter.people import DUTIES
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Evidence, Scope, Source
from pilothouse.core.evidence.fold import Window, fold_window
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.score import fold_scores
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.errors import Denied, UsageError
from pilothouse.ports.contacts import Message
from pilothouse.ports.controls import Pause
from pilothouse.ports.incidents import IncidentChange
from pilothouse.workflows.alerts import METRIC_OF_KIND, Firing, raise_alert
from pilothouse.workflows.control_room import ControlRoom
from pilothouse.workflows.controls import ControlsCache
from pilothouse.workflows.in_force import charter_in_force
from pilothouse.workflows.paging import CUT_OFF, Pager
from pilothouse.workflows.shadow_stream import SHADOW_VERSION, Fault, shadow_scores, shadow_traffic
from pilothouse.workflows.watch_status import watch_status

__all__ = [
    "FAULTS",
    "DrillResult",
    "derived_delay",
    "drill_fault",
    "drill_owner_powers",
    "drill_page",
    "drill_runbook",
    "noticed_in",
    "record_drill",
    "seconds_until",
    "wait_for",
]

FAULTS: dict[str, Fault] = {
    "completion-drop": Fault(metric="completion", failed=True),
    "cost-burst": Fault(metric="cost_per_task", cost_times=50),
    "lying-completion": Fault(metric="discrepancy", contradicted=True),
    "quality-drop": Fault(metric="quality", contradicted=True),
    "tool-outage": Fault(metric="completion", failed=True, error="tool_unavailable"),
    "model-timeout": Fault(metric="completion", failed=True, error="timeout"),
    CUT_OFF: Fault(metric="completion", failed=True),
}
"""What each drill plants into the shadow stream, and which alert must see it."""

EFFECTIVE_WITHIN_S = 2.0
"""Within which a pause must have reached gateway and tools."""

STEP_S = 0.25
"""Between two looks while people are waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """What a drill found.

    Attributes:
        name: The drill.
        passed: Whether everything happened that had to.
        sentence: What happened, with its numbers.
        incidents: Numbers of the incidents it opened.
    """

    name: str
    passed: bool
    sentence: str
    incidents: tuple[int, ...] = ()


def drill_fault(
    room: ControlRoom, agent: str, name: str, *, wait_s: float, now: datetime, tell: Callable[[str], None]
) -> DrillResult:
    """Plant a fault into a shadow stream of an agent and see who notices.

    The tasks belong to a shadow, are folded and judged by the agent's own charter, and never count for it. The
    people who are called are the real ones; their message begins with DRILL.

    Args:
        room: Opened parts.
        agent: Agent id.
        name: One of `FAULTS`.
        wait_s: How long to wait until somebody acknowledges, seconds.
        now: The moment, aware UTC.
        tell: Told each step in one sentence.
    """
    charter, fault = charter_in_force(room.installation.ledger, agent), FAULTS[name]
    began = time.monotonic()
    item = noticed_in(charter, fault, now)
    if item is None:
        return _finish(
            room, charter, name, now, passed=False, said="planted, and no rule noticed it", incidents=()
        )
    firing = Firing(
        agent=agent,
        metric=METRIC_OF_KIND[item.kind],
        sentence=item.sentence,
        task_type=item.scope.task_type,
        traces=item.items,
        onset=now,
        drill=name,
    )
    answer = raise_alert(room, firing, now)
    incident = answer.incident
    alert_s = time.monotonic() - began
    if incident is None or answer.rule is None:
        said = f"noticed after {alert_s:.1f} s, but no alert rule of the charter watches {firing.metric}"
        return _finish(room, charter, name, now, passed=False, said=said, incidents=())
    tell(f"{incident.name}: alert {answer.rule.id} fired after {alert_s:.1f} s.")
    if name == CUT_OFF:
        return _cut_off(room, charter, incident, now)
    found = wait_for(room, incident.number, wait_s, tell, lambda one: one.state is not IncidentState.OPEN)
    reached = [one.text for one in room.incidents.events(found.number) if " was reached by " in one.text]
    said = f"alert {answer.rule.id} after {alert_s:.1f} s; " + (
        " ".join(reached) if reached else "nobody was reached."
    )
    said += (
        f" Acknowledged by {found.acknowledged_by}." if found.acknowledged_by else " Not acknowledged yet."
    )
    _record_delay(room, charter, answer.rule, alert_s, now)
    return _finish(room, charter, name, now, passed=bool(reached), said=said, incidents=(found.number,))


def drill_page(room: ControlRoom, agent: str, *, wait_s: float, tell: Callable[[str], None]) -> DrillResult:
    """Call every level of the escalation path and wait for each to answer within its own time.

    Everybody with a duty gets a test message too: evidence for OWN-2, as the answers are for OWN-3 and OWN-7.

    Args:
        room: Opened parts.
        agent: Agent id.
        wait_s: How long to wait for each level at most, seconds.
        tell: Told each step in one sentence.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    levels = sorted(level.level for level in known(charter.escalation) or ())
    numbers, silent = [], []
    for level in levels:
        firing = Firing(
            agent=agent, metric="page", sentence=f"Test of level {level}.", drill="page", level=level
        )
        opened = raise_alert(room, firing, room.work.now()).incident
        if opened is None:
            continue
        plan = plan_level(charter, level)
        tell(
            f"{opened.name}: level {level} is called; waiting for `pilothouse incident acknowledge {opened.number} --as "
            f"{plan.calls[0].person if plan and plan.calls else 'PERSON'}`."
        )
        found = wait_for(room, opened.number, wait_s, tell, _answered_or_late(room))
        numbers.append(found.number)
        if found.acknowledged_at is None or any(_is_late(one) for one in room.incidents.events(found.number)):
            silent.append(str(level))
        _close(room, found)
    unreached = _reach_duties(room, charter, room.work.now())
    passed = bool(levels) and not silent
    said = (
        f"{len(levels)} levels answered in time."
        if passed
        else f"No answer in time from level {', '.join(silent) or '(none is named)'}."
    )
    if unreached:
        said += f" Not reached: {', '.join(unreached)}."
    done = room.work.now()
    team = known(charter.operations.team) or ()
    staffed = bool(team) and (known(charter.operations.minutes_per_day) or 0) > 0
    record_drill(room, charter, "roster", done, passed=staffed and "1" not in silent and passed, said=said)
    return _finish(room, charter, "page", done, passed=passed, said=said, incidents=tuple(numbers))


def drill_runbook(
    room: ControlRoom, agent: str, runbook: str, *, person: str, wait_s: float, tell: Callable[[str], None]
) -> DrillResult:
    """Open a rehearsal in which somebody follows a runbook and says at its end how it went.

    Args:
        room: Opened parts.
        agent: Agent id.
        runbook: Path of the runbook, as an alert rule names it.
        person: Ignored but for the text: who was asked.
        wait_s: How long to wait for the end, seconds.
        tell: Told each step in one sentence.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    rule = next((one for one in known(charter.alerts) or () if one.runbook == runbook), None)
    if rule is None:
        names = sorted({str(one.runbook) for one in known(charter.alerts) or ()})
        raise UsageError(
            f"no alert rule of {agent} names the runbook {runbook!r}",
            remedy=f"One of: {', '.join(names)}. `pilothouse drill runbook {names[0] if names else 'PATH'}`",
            subject=runbook,
        )
    sentence = f"Follow {runbook} step by step, then resolve this with what you found."
    firing = Firing(agent=agent, metric=str(rule.on), sentence=sentence, drill=f"runbook {runbook}"[:64])
    opened = raise_alert(room, firing, room.work.now()).incident
    if opened is None:
        raise UsageError(
            "the rehearsal could not be opened", remedy="Run `pilothouse doctor`.", subject=runbook
        )
    tell(
        f"{opened.name} is open{f' for {person}' if person else ''}: acknowledge it, follow {runbook}, resolve it."
    )
    found = wait_for(room, opened.number, wait_s, tell, lambda one: not one.is_active)
    passed = not found.is_active
    said = (
        f"{found.acknowledged_by} followed {runbook}"
        if passed
        else f"nobody has followed {runbook} to its end yet"
    )
    if passed:
        record_drill(
            room, charter, "drill.runbook", room.work.now(), passed=True, said=said, scope=Scope(part=runbook)
        )
    return DrillResult(name="runbook", passed=passed, sentence=said, incidents=(found.number,))


def drill_owner_powers(room: ControlRoom, agent: str, *, person: str, now: datetime) -> DrillResult:
    """Let the owner pause and resume a shadow of the agent, and see that both are obeyed within 2 seconds.

    Args:
        room: Opened parts.
        agent: Agent id.
        person: Who uses the powers; must be the owner.
        now: The moment, aware UTC.

    Raises:
        Denied: Somebody else than the owner asks.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    owner = charter.owner.person
    if person != owner:
        raise Denied(
            f"{person or 'nobody'} is not the owner of {agent}",
            remedy=f"The owner does it: `pilothouse drill owner-powers --as {owner}`.",
            subject=agent,
        )
    shadow = f"{agent}~drill"
    cache = ControlsCache(room.controls)
    cache.start()
    try:
        room.controls.pause(Pause(agent=shadow, tool=None, reason="drill owner-powers", actor=person, at=now))
        paused_s = seconds_until(lambda: cache.state().pause_of(shadow) is not None)
        room.controls.resume(shadow, None, reason="drill owner-powers", actor=person, at=now)
        resumed_s = seconds_until(lambda: cache.state().pause_of(shadow) is None)
    finally:
        cache.stop()
    passed = paused_s is not None and resumed_s is not None
    said = (
        f"{owner} paused and resumed a shadow; obeyed after {paused_s:.1f} s and {resumed_s:.1f} s"
        if paused_s is not None and resumed_s is not None
        else f"a pause by {owner} was not obeyed within {EFFECTIVE_WITHIN_S:.0f} s"
    )
    record_drill(room, charter, "drill.owner-powers", now, passed=passed, said=said, person=owner)
    return DrillResult(name="owner-powers", passed=passed, sentence=said)


def noticed_in(charter: Charter, fault: Fault, now: datetime) -> ItemVerdict | None:
    """Fold and judge the shadow stream as the agent's own traffic is, and return the breach of the planted metric."""
    tasks, outcomes = shadow_traffic(charter, fault, now)
    window = Window(start=now - timedelta(hours=1), end=now)
    source = Source(command="pilothouse drill")
    records = fold_window(charter, tasks, outcomes, window, now, source=source, released=frozenset())
    scores = fold_scores(
        charter, tasks, shadow_scores(charter, fault, tasks), dict.fromkeys(charter.task_types, window), now
    )
    verdict = decide(charter, (*records, *scores), now, version=SHADOW_VERSION)
    for requirement in verdict.requirements:
        for item in requirement.items:
            if item.status is Status.BREACHED and METRIC_OF_KIND.get(item.kind) == fault.metric:
                return item
    return None


def _record_delay(room: ControlRoom, charter: Charter, rule: Alert, alert_s: float, now: datetime) -> None:
    """Hold the time to the alert, and the days its detector needs at the agent's volume, against the promise.

    Without a promise nothing can be kept or broken, and a delay that nobody knows is never a kept one.
    """
    within = known(rule.detect_within)
    if within is None:
        return
    measured, derived = timedelta(seconds=alert_s), derived_delay(room, charter, rule, now)
    if derived is None and measured <= within:
        return
    whole = measured + timedelta(days=derived or 0.0)
    passed = derived is not None and whole <= within
    said = (
        f"alert {rule.id} fired {alert_s:.1f} s after the fault was planted; at the agent's volume its detector needs "
        f"{'an unknown time' if derived is None else f'{derived:.1f} days'}; the charter promises {within}"
    )
    record_drill(room, charter, "alert.delay", now, passed=passed, said=said, scope=Scope(part=rule.id))


def derived_delay(room: ControlRoom, charter: Charter, rule: Alert, now: datetime) -> float | None:
    """Return after how many days the detectors behind a rule notice its fall at the agent's volume; None when unknown."""
    rows = watch_status(room.watch, charter, now.date()).detectors
    delays = [row.delay_days for row in rows if row.rule == rule.id]
    known_ones = [one for one in delays if one is not None]
    return max(known_ones) if delays and len(known_ones) == len(delays) else None


def _cut_off(room: ControlRoom, charter: Charter, incident: Incident, now: datetime) -> DrillResult:
    notes: list[str] = []
    found = wait_for(
        room, incident.number, 30.0, notes.append, lambda _one: any("any more" in note for note in notes)
    )
    loud = [one.text for one in room.incidents.events(found.number) if one.kind == "loud"]
    passed = any("Nobody is called any more" in text for text in loud)
    said = (
        f"the pager was cut off; {len(loud)} loud lines in {found.name} say so"
        if passed
        else "nobody was told"
    )
    _close(room, found)
    return _finish(room, charter, CUT_OFF, now, passed=passed, said=said, incidents=(found.number,))


def wait_for(
    room: ControlRoom,
    number: int,
    wait_s: float,
    tell: Callable[[str], None],
    done: Callable[[Incident], bool],
) -> Incident:
    """Work as the server does until something is so, or the time is over; a running server does its part too."""
    worker = Pager(room, tell).worker()
    end = time.monotonic() + wait_s
    try:
        while True:
            worker.beat()
            worker.tick()
            worker.settle_all()
            found = room.incidents.incident(number)
            if found is None:
                raise UsageError(
                    f"INC-{number} is gone", remedy="`pilothouse incident list --all`", subject="drill"
                )
            if done(found) or time.monotonic() >= end:
                return found
            time.sleep(STEP_S)
    finally:
        worker.stop()


def _answered_or_late(room: ControlRoom) -> Callable[[Incident], bool]:
    def done(incident: Incident) -> bool:
        return incident.state is not IncidentState.OPEN or any(
            _is_late(one) for one in room.incidents.events(incident.number)
        )

    return done


def _is_late(event: IncidentEvent) -> bool:
    return event.kind == "loud" and ("did not answer in time" in event.text or "can be reached" in event.text)


def _close(room: ControlRoom, incident: Incident) -> None:
    found = room.incidents.incident(incident.number) or incident
    event = IncidentEvent(at=room.work.now(), kind="state", actor="drill", text="The drill is over.")
    closed = replace(found, state=IncidentState.RESOLVED, resolved_at=event.at)
    room.incidents.change(IncidentChange(incident=closed, events=(event,)))


def _reach_duties(room: ControlRoom, charter: Charter, now: datetime) -> Sequence[str]:
    """Send a test message to everybody who is accountable or responsible; write down each duty; return who was not reached."""
    reached: dict[str, bool] = {}
    for duty in DUTIES:
        row = charter.raci.row(duty)
        people = [one for one in (row.accountable, *(known(row.responsible) or ())) if one in charter.people]
        for person in people:
            if person not in reached:
                reached[person] = _reach(room, charter, person, now)
        missing = [person for person in people if not reached[person]]
        said = f"not reached: {', '.join(missing)}" if missing else f"reached: {', '.join(people)}"
        record_drill(
            room,
            charter,
            "duty.reached",
            now,
            passed=bool(people) and not missing,
            said=said,
            scope=Scope(duty=duty),
        )
    return [person for person, ok in reached.items() if not ok]


def _reach(room: ControlRoom, charter: Charter, person: str, now: datetime) -> bool:
    identity = known(charter.people[person].identity) or ""
    message = Message(
        key=f"drill/{charter.agent}/{person}/{now:%Y%m%dT%H%M%S}",
        title=f"DRILL: test message for {person} about {charter.agent}",
        body="Nothing is wrong. It proves that you can be reached for your duties; nothing has to be done.",
    )
    return any(not room.notifier.send(one.url, message) for one in room.contacts.of(identity))


def seconds_until(true: Callable[[], bool]) -> float | None:
    """Return after how many seconds something became so, or None when it did not within `EFFECTIVE_WITHIN_S`."""
    began = time.monotonic()
    while time.monotonic() - began <= EFFECTIVE_WITHIN_S:
        if true():
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def _finish(
    room: ControlRoom,
    charter: Charter,
    name: str,
    now: datetime,
    *,
    passed: bool,
    said: str,
    incidents: tuple[int, ...],
) -> DrillResult:
    kind = f"drill.{name}"
    if kind in {"drill.completion-drop", "drill.cost-burst", "drill.page"}:
        record_drill(room, charter, kind, now, passed=passed, said=said)
    return DrillResult(name=name, passed=passed, sentence=said, incidents=incidents)


def record_drill(
    room: ControlRoom,
    charter: Charter,
    name: str,
    now: datetime,
    *,
    passed: bool,
    said: str,
    **where: Any,
) -> None:
    """Put what a drill found on record.

    Args:
        room: Opened parts.
        charter: The charter in force.
        name: Kind of evidence.
        now: The moment, aware UTC.
        passed: Whether everything happened that had to.
        said: What happened, with its numbers.
        **where: `scope` or `person`, for kinds that are about a part.
    """
    kind = kind_named(name)
    scope: Scope = where.get("scope", Scope())
    person: str | None = where.get("person")
    section = kind.section
    room.installation.ledger.add_evidence(
        [
            Evidence(
                kind=name,
                agent=charter.agent,
                binds=binding_in_force(kind, charter, scope, InForce(), section=section, person=person),
                scope=scope,
                window_from=now,
                window_to=now,
                n=1,
                passed=passed,
                detail=said[:2_000],
                source=Source(command="pilothouse drill"),
                recorded_at=now,
            )
        ]
    )
