# SPDX-License-Identifier: Apache-2.0
"""Watches what no verdict says: new task types, failures without one, a phase that lasts too long, a stall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, Task
from pilothouse.core.verdict.phases import fold_phase, overdue_since
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.stall import StallLevel
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.reports.executive import stall_words
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_of, newest_verdict
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.phase_log import phase_events
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent
from pilothouse.workflows.reports.report import read_stall
from pilothouse.workflows.watch.untyped_failures import untyped_failures

__all__ = ["OVERDUE", "STALLED", "UNDECLARED", "WATCH_EVERY_S", "watch_rollout"]

WATCH_EVERY_S = 900.0
"""A new task type is told within a quarter of an hour; phases and stalls are matters of days."""

LOOK_BACK = timedelta(days=1)
"""Traffic that is looked through for new task types: what was told an hour ago joins its incident."""

UNDECLARED, OVERDUE, STALLED = "task_type", "phase_overdue", "stalled"
"""Metrics by which alert rules of a charter, and incidents, name these."""

NAME_CHARS_MAX = 80
TYPES_TOLD_MAX = 10
"""Types told by their names; a program that writes a new name for each task is one finding, not a thousand."""


def watch_rollout(room: ControlRoom, now: datetime) -> int:
    """Raise an alert for everything that is found; what was told already joins its incident.

    Returns:
        How many incidents were opened.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """
    return alert_for_every_agent(room, lambda record: _firings(room, record, now), now)


def _firings(room: ControlRoom, record: CharterInForce, now: datetime) -> Iterator[Firing]:
    charter = charter_of(record)
    tasks = tasks_between(room.installation.lake, charter.agent, now - LOOK_BACK, now)
    failing = untyped_failures(charter, tasks, now)
    if failing is not None:
        yield failing
    yield from _new_types(room.installation.ledger, record, charter, tasks)
    state = fold_phase(phase_events(room.installation.ledger, charter.agent))
    since = overdue_since(charter, state, now)
    if since is not None:
        yield Firing(
            agent=charter.agent,
            metric=OVERDUE,
            sentence=f"Phase {state.phase} should have ended by {day(since)} and goes on: promote, go back, or change the charter.",
            onset=since,
        )
    yield from _stall(room, charter)


def _new_types(
    ledger: Ledger, record: CharterInForce, charter: Charter, tasks: Sequence[Task]
) -> Iterator[Firing]:
    found: dict[str, list[Task]] = {}
    for task in tasks:
        if task.task_type and task.task_type not in charter.task_types:
            found.setdefault(task.task_type, []).append(task)
    if len(found) > TYPES_TOLD_MAX:
        # Without names, which are others at each look: each would be an alert of its own, and page people every hour.
        newest = sorted((task for seen in found.values() for task in seen), key=lambda one: -one.start_ns)
        yield Firing(
            agent=charter.agent,
            metric=UNDECLARED,
            sentence=f"More than {TYPES_TOLD_MAX} task types are in traffic and not in the charter.",
            traces=tuple(task.trace_id for task in newest[:10]),
        )
        return
    for name, seen in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        if _was_declared(ledger, record, name, max(task.start_ns for task in seen)):
            continue
        yield Firing(
            agent=charter.agent,
            metric=UNDECLARED,
            sentence=f"Task type {foreign_line(name, chars_max=NAME_CHARS_MAX)!r} is in traffic and not in the charter."
            if name != UNDECLARED_TASK_TYPE
            else "Tasks name no type, so nothing that the charter says of a type is held against them.",
            task_type=name,
            traces=tuple(task.trace_id for task in seen[:10]),
        )


def _was_declared(ledger: Ledger, record: CharterInForce, name: str, newest_ns: int) -> bool:
    """Whether all tasks of a type came under an earlier charter that declared it, as those that a draft had counted."""
    at = datetime.fromtimestamp(newest_ns / 1e9, UTC)
    then = ledger.charter(record.agent, at=at) if at < record.accepted_at else None
    try:
        return then is not None and name in charter_of(then).task_types
    except CharterError:
        return False  # this program cannot read it, so nobody knows what it declared


def _stall(room: ControlRoom, charter: Charter) -> Iterator[Firing]:
    ledger = room.installation.ledger
    verdict = newest_verdict(ledger, charter.agent)
    stall = None if verdict is None else read_stall(ledger, verdict)
    if stall is not None and stall.level in {StallLevel.FINDING, StallLevel.QUESTION}:
        # Without its days, so that the same stall is one incident however long it lasts.
        words = stall_words(stall, person_names(charter)).partition(" for ")
        _, _, blocked = words[2].partition("; ")
        yield Firing(
            agent=charter.agent,
            metric=STALLED,
            sentence=f"The agent has stalled: {blocked}",
            onset=stall.since,
        )
