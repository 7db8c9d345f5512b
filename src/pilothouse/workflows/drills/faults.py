# SPDX-License-Identifier: Apache-2.0
"""Drills of faults: what is planted into a shadow stream, the alert it must raise, and the people it must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import Alert
from pilothouse.core.evidence.evidence import Scope, Source
from pilothouse.core.evidence.fold import Window, fold_window
from pilothouse.core.evidence.score import fold_scores
from pilothouse.core.verdict.numbers import days_long
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import ItemVerdict
from pilothouse.workflows.drills.records import DrillResult, record_drill
from pilothouse.workflows.drills.shadow_stream import SHADOW_VERSION, Fault, shadow_scores, shadow_traffic
from pilothouse.workflows.drills.waiting import REAL_TIME, Pace, rehearsed, wait_for
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.incidents.alerts import METRIC_OF_KIND, Firing, breaches
from pilothouse.workflows.incidents.incidents import record_lead_in_drill
from pilothouse.workflows.incidents.paging import CUT_OFF
from pilothouse.workflows.watch.status import watch_status

__all__ = [
    "FAULTS",
    "Rehearsal",
    "alert_people",
    "derived_delay",
    "drill_fault",
    "noticed_in",
    "raise_drill_alert",
]

FAULTS: dict[str, Fault] = {
    "completion-drop": Fault(metric="completion", failed=True),
    "cost-burst": Fault(metric="cost_per_task", cost_times=50),
    "lying-completion": Fault(metric="discrepancy", contradicted=True),
    "quality-drop": Fault(metric="quality", contradicted=True),
    CUT_OFF: Fault(metric="completion", failed=True),
}
"""What each drill plants into the shadow stream, and which alert must see it. Faults of models and tools are not planted
in results but where they happen: `workflows/drills/outages.py`."""

CUT_OFF_WITHIN_S = 30.0
"""A pager that reaches nobody must have said so on every level by then."""

_RECORDED = frozenset({"completion-drop", "cost-burst"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One drill while it goes on.

    Attributes:
        room: Opened parts.
        charter: The charter in force.
        name: The drill.
        began_s: Monotonic seconds at which the fault was planted.
        wait_s: How long people are waited for, seconds.
        to_step: Whether somebody must also say that a step of the runbook is done.
        tell: Told each step in one sentence.
        pace: How time passes.
    """

    room: ControlRoom
    charter: Charter
    name: str
    began_s: float
    wait_s: float
    to_step: bool = False
    tell: Callable[[str], None]
    pace: Pace = field(default=REAL_TIME)

    @property
    def passed_s(self) -> float:
        """Seconds since the fault was planted."""
        return self.pace.monotonic() - self.began_s


def drill_fault(
    room: ControlRoom,
    agent: str,
    name: str,
    *,
    wait_s: float,
    now: datetime,
    tell: Callable[[str], None],
    to_step: bool = False,
    pace: Pace = REAL_TIME,
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
        to_step: Whether to wait until somebody says that a step of the runbook is done.
        pace: How time passes.
    """
    rehearsal = Rehearsal(
        room=room,
        charter=charter_in_force(room.installation.ledger, agent),
        name=name,
        began_s=pace.monotonic(),
        wait_s=wait_s,
        to_step=to_step,
        tell=tell,
        pace=pace,
    )
    done = alert_people(rehearsal, noticed_in(rehearsal.charter, FAULTS[name], now), now)
    if name in _RECORDED:
        record_drill(room, rehearsal.charter, f"drill.{name}", now, passed=done.passed, said=done.sentence)
    return done


def alert_people(rehearsal: Rehearsal, item: ItemVerdict | None, now: datetime) -> DrillResult:
    """Raise the alert about what was noticed, and see whom it reaches and who takes it.

    Args:
        rehearsal: The drill.
        item: What was noticed, or None for nothing.
        now: The moment, aware UTC.
    """
    noticed = None
    if item is not None:
        noticed = Firing(
            agent=rehearsal.charter.agent,
            metric=METRIC_OF_KIND[item.kind],
            sentence=item.sentence,
            task_type=item.scope.task_type,
            traces=item.items,
        )
    return raise_drill_alert(rehearsal, noticed, now)


def raise_drill_alert(rehearsal: Rehearsal, noticed: Firing | None, now: datetime) -> DrillResult:
    """Raise what a detector found in a drill, see whom it reaches and who takes it, and end its incident.

    Args:
        rehearsal: The drill.
        noticed: What a detector says, or None for nothing.
        now: The moment, aware UTC.
    """
    room, name = rehearsal.room, rehearsal.name
    if noticed is None:
        return DrillResult(name=name, passed=False, sentence="planted, and no rule noticed it")
    firing = replace(noticed, onset=now, drill=name)
    with rehearsed(room, firing, now) as answer:
        incident, alert_s = answer.incident, rehearsal.passed_s
        if incident is None or answer.rule is None:
            said = f"noticed after {alert_s:.1f} s, but no alert rule of the charter watches {firing.metric}"
            return DrillResult(name=name, passed=False, sentence=said)
        rehearsal.tell(f"{incident.name}: alert {answer.rule.id} fired after {alert_s:.1f} s.")
        if name == CUT_OFF:
            return _cut_off(rehearsal, incident)
        found, reached, people = _people(rehearsal, incident)
    _record_delay(room, rehearsal.charter, answer.rule, alert_s, now)
    said = f"alert {answer.rule.id} after {alert_s:.1f} s; {people}"
    if reached and (waits := record_lead_in_drill(room, rehearsal.charter, f"drill {name}: {said}", now)):
        rehearsal.tell(waits)
    return DrillResult(name=name, passed=reached, sentence=said, incidents=(found.number,))


def _people(rehearsal: Rehearsal, incident: Incident) -> tuple[Incident, bool, str]:
    """Wait for people; return the incident, whether somebody was reached, and who did what after how long."""
    taken = {IncidentState.MITIGATED, IncidentState.RESOLVED, IncidentState.REVIEWED}
    wanted = taken if rehearsal.to_step else {*taken, IncidentState.ACKNOWLEDGED}
    found = wait_for(
        rehearsal.room,
        incident.number,
        rehearsal.wait_s,
        rehearsal.tell,
        lambda one: one.state in wanted,
        pace=rehearsal.pace,
    )
    events = rehearsal.room.incidents.events(found.number)
    reached = [one for one in events if " was reached by " in one.text]
    said = " ".join(_after(one, incident) for one in reached) if reached else "nobody was reached."
    if found.acknowledged_by and found.acknowledged_at:
        took = (found.acknowledged_at - incident.opened_at).total_seconds()
        said += f" Acknowledged by {found.acknowledged_by} after {took:.1f} s."
    else:
        said += f" Nobody acknowledged it within {rehearsal.wait_s:g} s."
    if rehearsal.to_step:
        steps = [one for one in events if one.kind == "state" and one.actor in rehearsal.charter.people]
        step = steps[-1] if steps and found.state in taken else None
        runbook = incident.runbook or "a runbook"
        said += (
            f" A step of {runbook} was done: {_after(step, incident)}"
            if step
            else f" No step of {runbook} was done within {rehearsal.wait_s:g} s."
        )
    return found, bool(reached), said


def _after(event: IncidentEvent, incident: Incident) -> str:
    return f"{event.text.rstrip('.')} after {(event.at - incident.opened_at).total_seconds():.1f} s."


def noticed_in(charter: Charter, fault: Fault, now: datetime) -> ItemVerdict | None:
    """Fold and judge the shadow stream as the agent's own traffic is, and return the breach of the planted metric."""
    tasks, outcomes = shadow_traffic(charter, fault, now)
    window = Window(start=now - timedelta(hours=1), end=now)
    source = Source(command="pilothouse drill")
    records = fold_window(charter, tasks, outcomes, window, now, source=source)
    scores = fold_scores(
        charter, tasks, shadow_scores(charter, fault, tasks), dict.fromkeys(charter.task_types, window), now
    )
    verdict = decide(charter, (*records, *scores), now, version=SHADOW_VERSION)
    return next((one for one in breaches(verdict) if METRIC_OF_KIND[one.kind] == fault.metric), None)


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
        f"{'an unknown time' if derived is None else f'{days_long(derived, bound=within / timedelta(days=1))} days'}; the charter promises {within}"
    )
    record_drill(room, charter, "alert.delay", now, passed=passed, said=said, scope=Scope(part=rule.id))


def derived_delay(room: ControlRoom, charter: Charter, rule: Alert, now: datetime) -> float | None:
    """Return after how many days the detectors behind a rule notice its fall at the agent's volume; None when unknown."""
    rows = watch_status(room.watch, charter, now.date()).detectors
    delays = [row.delay_days for row in rows if row.rule == rule.id]
    known_ones = [one for one in delays if one is not None]
    return max(known_ones) if delays and len(known_ones) == len(delays) else None


def _cut_off(rehearsal: Rehearsal, incident: Incident) -> DrillResult:
    notes: list[str] = []
    room = rehearsal.room
    found = wait_for(
        room,
        incident.number,
        CUT_OFF_WITHIN_S,
        notes.append,
        lambda _one: any("any more" in note for note in notes),
        pace=rehearsal.pace,
    )
    loud = [one.text for one in room.incidents.events(found.number) if one.kind == "loud"]
    passed = any("Nobody is called any more" in text for text in loud)
    said = (
        f"the pager was cut off; {len(loud)} loud lines in {found.name} say so"
        if passed
        else "nobody was told"
    )
    return DrillResult(name=CUT_OFF, passed=passed, sentence=said, incidents=(found.number,))
