# SPDX-License-Identifier: Apache-2.0
"""Outages that happen where real ones do: the gateway hears nothing of a model, a tool's breaker is held open.

The agent's own command works meanwhile, as a shadow whose tasks count for nothing, or the live agent does. What its tasks
show is judged by its charter as any hour of traffic is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Scope, Source
from pilothouse.core.evidence.fold import Window, fold_window
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import Task, TaskResult, TaskState
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import ItemVerdict
from pilothouse.errors import Denied
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.planted import SHADOW, FaultKind, PlantedFault
from pilothouse.workflows.drills.faults import Rehearsal, alert_people, raise_drill_alert
from pilothouse.workflows.drills.records import DrillResult, record_drill
from pilothouse.workflows.drills.shadow_stream import SHADOW_VERSION
from pilothouse.workflows.drills.waiting import EFFECTIVE_WITHIN_S, Pace
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import METRIC_OF_KIND, breaches, rule_for
from pilothouse.workflows.integrations.verify_integration import declared_integration
from pilothouse.workflows.watch.untyped_failures import untyped_failures

__all__ = [
    "Observed",
    "Outage",
    "declared_fallback",
    "drill_outage",
    "observe",
    "record_fallback",
]

SEEN_WITHIN_S = 90.0
"""Within which the last span of a task is here and the task is folded."""

LOOK_EVERY_S = 1.0

QUIET_LOOKS = 12
"""Looks in a row that find nothing new, after which every task of the drill is taken to be here: a little longer than the
ten seconds for which the lake waits for late spans, since an agent's last two exports may be that far apart."""

SHOWN_BY = frozenset({"completion", "escalation", "latency", "tool_errors"})
"""What an outage does to tasks; a breach of anything else was there before it."""

REFUSED = "circuit_open"
"""How a call that met an open breaker failed, as the tool layer writes it into its span."""

MODEL_STEPS = frozenset({"chat", "text_completion", "generate_content"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is planted.

    Attributes:
        kind: What fails.
        integration: Integration whose tools fail; empty for a model.
        environment: Deployment environment of the calls that fail; None for the live agent.
        hang_s: How long a model says nothing, seconds.
        life: After which the fault ends by itself.
        actor: Who planted it.
        drive: Lets the agent work until it is done.
    """

    kind: FaultKind
    integration: str = ""
    environment: str | None = SHADOW
    hang_s: float = 1.0
    life: timedelta
    actor: str
    drive: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the agent did while something was down.

    Attributes:
        tasks: Its tasks, oldest first.
        met: Those of them that met the outage.
        contradicted: Those that met it and claim what the system of record denies.
    """

    tasks: tuple[Task, ...]
    met: tuple[Task, ...]
    contradicted: tuple[Task, ...]

    @property
    def sentence(self) -> str:
        """What became of the tasks, with their numbers."""
        ends = {result: sum(one.result is result for one in self.met) for result in TaskResult}
        said = ", ".join(f"{count} {result.value}" for result, count in ends.items() if count)
        return f"{len(self.met)} of {len(self.tasks)} tasks met it" + (f": {said}" if said else "")


def drill_outage(rehearsal: Rehearsal, outage: Outage) -> DrillResult:
    """Let an agent work while a model or a tool is down, and see who notices."""
    seen = observe(rehearsal, outage)
    now = rehearsal.room.work.now()
    if not seen.met:
        return DrillResult(name=rehearsal.name, passed=False, sentence=_unmet(seen, outage))
    rehearsal.tell(f"{seen.sentence}.")
    item = _noticed_among(rehearsal.charter, seen.tasks, now)
    done = (
        # An agent without its model fails before it says what the task is: the look at the whole agent is there for it.
        raise_drill_alert(rehearsal, untyped_failures(rehearsal.charter, seen.tasks, now), now)
        if item is None
        else alert_people(rehearsal, item, now)
    )
    return replace(done, sentence=f"{seen.sentence}; {done.sentence}")


def observe(rehearsal: Rehearsal, outage: Outage) -> Observed:
    """Let an agent work while something is down, and return what it did."""
    room, agent, pace = rehearsal.room, rehearsal.charter.agent, rehearsal.pace
    began = room.work.now()
    with _planted(room, agent, outage, pace):
        rehearsal.tell(f"{outage.integration or 'the model'} is down for {agent}; it works now.")
        outage.drive()
        tasks = _folded(room, agent, outage, began, pace)
    met = tuple(one for one in tasks if _has_met(room, one, outage.kind))
    outcomes = room.installation.ledger.outcomes_of([one.trace_id for one in met])
    return Observed(
        tasks=tasks,
        met=met,
        contradicted=tuple(
            one
            for one in met
            if (found := outcomes.get(one.trace_id)) and found.status is OutcomeStatus.CONTRADICTED
        ),
    )


def declared_fallback(charter: Charter, name: str, person: str) -> str:
    """Return what the charter says must happen when an integration is down.

    Args:
        charter: The charter in force.
        name: Integration.
        person: Who says whether it happened.

    Raises:
        UnknownName: The charter declares no such integration.
        Denied: The person answers neither for the integration nor for incidents.
    """
    found = declared_integration(charter, name)
    may = {known(found.owner), charter.raci.row("incident_response").accountable, charter.owner.person} - {
        None
    }
    if person not in may:
        raise Denied(
            f"{person} does not answer for {name}"
            if person
            else f"nobody said who saw what became of the tasks without {name}",
            remedy=f"Its owner says what happened: `pilothouse drill fallback {name} --as {known(found.owner)}`.",
            subject=name,
        )
    return known(found.fallback) or ""


def record_fallback(
    rehearsal: Rehearsal, outage: Outage, seen: Observed, *, person: str, as_declared: bool
) -> DrillResult:
    """Put on record whether the declared fallback happened: measured where it can be, and said by who answers for it.

    Args:
        rehearsal: The drill.
        outage: What was down.
        seen: What the agent did.
        person: Who says it.
        as_declared: Whether what happened is what the charter declares.
    """
    declared = declared_fallback(rehearsal.charter, outage.integration, person)
    passed = bool(seen.met) and not seen.contradicted and as_declared
    if not seen.met:
        said = _unmet(seen, outage)
    else:
        said = f"{outage.integration} was down; {seen.sentence}"
        if seen.contradicted:
            said += f"; {len(seen.contradicted)} of them claim what the system of record denies"
        said += f"; {person} says that {'this is' if as_declared else 'this is not'} the declared fallback: {declared}"
    record_drill(
        rehearsal.room,
        rehearsal.charter,
        "drill.fallback",
        rehearsal.room.work.now(),
        passed=passed,
        said=said,
        scope=Scope(integration=outage.integration),
    )
    return DrillResult(name="fallback", passed=passed, sentence=said)


@contextmanager
def _planted(room: ControlRoom, agent: str, outage: Outage, pace: Pace) -> Iterator[None]:
    now = room.work.now()
    fault = PlantedFault(
        agent=agent,
        kind=outage.kind,
        integration=outage.integration,
        environment=outage.environment,
        hang_s=outage.hang_s,
        actor=outage.actor,
        at=now,
        until=now + outage.life,
    )
    try:
        room.controls.inject_fault(fault)
        pace.sleep(EFFECTIVE_WITHIN_S)
        yield
    finally:
        room.controls.clear_fault(
            agent, outage.kind, outage.integration, actor=outage.actor, at=room.work.now()
        )


def _folded(room: ControlRoom, agent: str, outage: Outage, began: datetime, pace: Pace) -> tuple[Task, ...]:
    """Wait until the tasks of the drill are here."""
    tasks: Sequence[Task] = ()
    quiet, end = 0, pace.monotonic() + SEEN_WITHIN_S
    while quiet < QUIET_LOOKS and pace.monotonic() < end:
        wanted = TaskFilter(
            agent=agent,
            environment=outage.environment,
            state=TaskState.COMPLETE.value,
            from_ns=unix_ns(began),
            to_ns=unix_ns(room.work.now() + timedelta(seconds=1)),
        )
        found = room.installation.lake.window(wanted)
        quiet = quiet + 1 if found and len(found) == len(tasks) else 0
        tasks = found
        pace.sleep(LOOK_EVERY_S)
    return tuple(sorted(tasks, key=lambda one: one.start_ns))


def _has_met(room: ControlRoom, task: Task, kind: FaultKind) -> bool:
    """Whether a step of a task failed as the outage makes it fail; every model call of the agent fails in its kind."""
    view = room.installation.lake.trace(task.trace_id)
    spans = view.spans if view is not None else ()
    if kind is FaultKind.TOOL_OUTAGE:
        return REFUSED in {task.error_type, *(span.error_type for span in spans)}
    failed = any(span.operation in MODEL_STEPS and span.status == "error" for span in spans)
    return failed or task.result is TaskResult.FAILED


def _noticed_among(charter: Charter, tasks: Sequence[Task], now: datetime) -> ItemVerdict | None:
    """Judge the tasks of a drill by the charter, and return the breach that a rule of it foresees, or any."""
    shadow = [replace(task, version_digest=SHADOW_VERSION) for task in tasks]
    window = Window(start=now - timedelta(hours=1), end=now)
    source = Source(command="pilothouse drill")
    records = fold_window(charter, shadow, (), window, now, source=source)
    verdict = decide(charter, records, now, version=SHADOW_VERSION)
    found = [one for one in breaches(verdict) if METRIC_OF_KIND[one.kind] in SHOWN_BY]
    foreseen = [one for one in found if rule_for(charter, METRIC_OF_KIND[one.kind], one.scope.task_type)]
    return next(iter(foreseen or found), None)


def _unmet(seen: Observed, outage: Outage) -> str:
    if not seen.tasks:
        return (
            "the agent did no task while it was down: does its command end by itself, and does a server run?"
        )
    what = (
        f"a tool of {outage.integration} through Pilothouse"
        if outage.integration
        else "a model through the gateway"
    )
    return f"none of {len(seen.tasks)} tasks asked {what}, so the outage was met by nobody"
