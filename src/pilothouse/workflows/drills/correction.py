# SPDX-License-Identifier: Apache-2.0
"""The drill of a correction: a finished task is flagged as a user would, a reviewer answers, and a case comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.review import ItemState, ReviewSource, item_digest
from pilothouse.core.evidence.task import Task, TaskState
from pilothouse.errors import UsageError
from pilothouse.ports.feedback import Feedback, FeedbackKind
from pilothouse.ports.lake import TaskFilter
from pilothouse.workflows.curation.curation_desk import CurationDesk
from pilothouse.workflows.drills.records import DrillResult
from pilothouse.workflows.drills.waiting import REAL_TIME, STEP_S, Pace
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.traces.feedback import Desk

__all__ = ["dataset_of_corrections", "drill_correction"]

TASKS_LOOKED_AT_MAX = 200
"""Newest tasks among which one is looked for that nobody was asked about yet."""

VIA = "drill"


def dataset_of_corrections(room: ControlRoom, charter: Charter) -> Path:
    """Return the folder of the charter's labelled dataset, where cases of corrections belong.

    Raises:
        UsageError: The charter leaves it open.
    """
    record = room.installation.ledger.charter(charter.agent)
    path = known(charter.datasets.labelled.path)
    if record is None or path is None:
        raise UsageError(
            f"the charter of {charter.agent} does not say where labelled cases lie",
            remedy="Answer `datasets.labelled.path`, or name a folder: `pilothouse drill correction --into FOLDER`.",
            subject="datasets.labelled.path",
        )
    return Path(record.path).parent / path


def drill_correction(
    room: ControlRoom,
    desk: CurationDesk,
    agent: str,
    into: Path,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    pace: Pace = REAL_TIME,
) -> DrillResult:
    """Flag one real output, wait until a reviewer says what would be right, and make the case; nothing is made up.

    The flag is a thumb of the drill, which no rate counts. The answer is a reviewer's own about a real task, so the case
    that comes of it may stay.

    Args:
        room: Opened parts.
        desk: Queue, datasets and charters.
        agent: Agent id.
        into: Folder of the dataset.
        wait_s: How long to wait for the reviewer, seconds.
        tell: Told each step in one sentence.
        pace: How time passes.

    Raises:
        UsageError: The agent has no finished task that nobody was asked about.
    """
    charter = desk.directory.charter(agent)
    task, item_id = _task_to_flag(room, desk, charter)
    said = Feedback(
        agent=agent,
        trace_id=task.trace_id,
        kind=FeedbackKind.THUMB,
        value=-1.0,
        text="DRILL: please say what would be right",
        actor=VIA,
        via=VIA,
        at=room.work.now(),
    )
    began = pace.monotonic()
    clerk = Desk("", desk.said, desk.queue, room.installation.lake, desk.directory, clock=desk.clock)
    clerk.keep(said, task, charter)
    tell(
        f"{task.trace_id} is flagged and waits in the queue; a reviewer answers it with Correct: the page /review, or "
        "`pilothouse review`."
    )
    while (state := _state(desk, item_id)).is_open and pace.monotonic() - began < wait_s:
        pace.sleep(STEP_S)
    took = f"{pace.monotonic() - began:.0f} s"
    if state.is_open:
        sentence = f"flagged and in the queue, but nobody has answered within {took}"
        return DrillResult(name="correction", passed=False, sentence=sentence)
    if state is not ItemState.CORRECTED:
        sentence = (
            f"the reviewer's answer after {took} was {state.value}, which corrects nothing; run it again"
        )
        return DrillResult(name="correction", passed=False, sentence=sentence)
    made = desk.cases(agent, into)
    if f"review:{item_id}" not in made.added:
        sentence = f"corrected after {took}, but a case has nearly the same input already; run it again"
        return DrillResult(name="correction", passed=False, sentence=sentence)
    overdue = sum(one.overdue for one in desk.queue.counts([agent], room.work.now()))
    manifest = made.dataset.manifest
    sentence = f"flagged, corrected after {took}, and a case of {manifest.name} {manifest.version}"
    if overdue:
        sentence += f"; {overdue} items of the queue are late"
    return DrillResult(name="correction", passed=not overdue, sentence=sentence)


def _task_to_flag(room: ControlRoom, desk: CurationDesk, charter: Charter) -> tuple[Task, str]:
    """Return the newest finished task that nobody was asked about, one that the system of record denies first.

    Only a task of a type that the charter lists: of another one nobody can say what would be right.
    """
    lake, ledger, agent = room.installation.lake, room.installation.ledger, charter.agent
    page = lake.tasks(TaskFilter(agent=agent, state=TaskState.COMPLETE.value), limit=TASKS_LOOKED_AT_MAX)
    outcomes = ledger.outcomes_of([task.trace_id for task in page.tasks])

    def is_right(task: Task) -> bool:
        found = outcomes.get(task.trace_id)
        return found is None or found.status is not OutcomeStatus.CONTRADICTED

    listed = [task for task in page.tasks if task.task_type in charter.task_types]
    for task in sorted(listed, key=is_right):
        item_id = item_digest(ReviewSource.FLAGGED, agent, task.trace_id, "")
        if desk.queue.record(item_id) is None:
            return task, item_id
    raise UsageError(
        f"{agent} has no finished task that could be flagged",
        remedy=f"Let it do one, and look at it: `pilothouse traces --agent {agent}`.",
        subject=agent,
    )


def _state(desk: CurationDesk, item_id: str) -> ItemState:
    record = desk.queue.record(item_id)
    return ItemState.WAITING if record is None else record.state
