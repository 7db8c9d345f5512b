# SPDX-License-Identifier: Apache-2.0
"""Files that a question does not open never change its answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.batches import to_batch
from pilothouse.lake.columns import TASKS, CoreSpan, TaskRow
from pilothouse.lake.fold import fold_trace
from pilothouse.lake.queries import NEWEST_FILES, LakeQueries
from pilothouse.lake.segments import SegmentTable
from pilothouse.lake.view import Database, View
from pilothouse.ports.lake import TaskFilter

FILES = 3 * NEWEST_FILES
PER_FILE = 3
HOUR_NS = 3_600 * 1_000_000_000
FIRST_NS = 500_000 * HOUR_NS


def span(number: int, agent: str = "triage") -> CoreSpan:
    numbers = {"received_ns", "time_flags", "status", "cost_state", "seq"}
    values = {name: 0 if name in numbers else None for name in CoreSpan._fields}
    start = FIRST_NS + number * HOUR_NS
    return CoreSpan(
        **{
            **values,
            "trace_id": f"{number:032x}",
            "span_id": f"{number:016x}",
            "record": "span",
            "record_id": "",
            "start_ns": start,
            "end_ns": start + 1,
            "duration_ns": 1,
            "agent": agent,
            "operation": "invoke_agent",
            "name": "run",
            "source": "s",
        }
    )


def task(number: int, agent: str = "triage") -> TaskRow:
    return fold_trace(
        [span(number, agent)], state=TaskState.COMPLETE, reason="root_ended", closed_ns=FIRST_NS
    )


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    yield made
    made.close()


def tasks_view(folder: Path, *more: list[TaskRow]) -> View:
    """Files of three tasks an hour apart, the oldest file first; the first task of all is another agent's."""
    table = SegmentTable(folder / "tasks", TASKS)
    table.create()
    groups = [
        [task(number, "other" if number == 0 else "triage") for number in range(at, at + PER_FILE)]
        for at in range(0, FILES * PER_FILE, PER_FILE)
    ]
    for number, rows in enumerate([*groups, *more]):
        table.append(pa.Table.from_batches([to_batch(rows, TASKS)], schema=TASKS), {"w": number})
    return View(task_files=table.files())


def test_the_newest_tasks_are_the_same_with_and_without_the_old_files(
    tmp_path: Path, database: Database
) -> None:
    view = tasks_view(tmp_path)
    queries = LakeQueries(lambda: view, database)
    last = FILES * PER_FILE - 1
    page = queries.tasks(TaskFilter(), limit=4)
    assert [one.trace_id for one in page.tasks] == [f"{last - back:032x}" for back in range(4)]
    everything = queries.tasks(TaskFilter(), limit=1_000)
    assert len(everything.tasks) == FILES * PER_FILE


def test_a_match_that_stands_only_in_the_oldest_file_is_found(tmp_path: Path, database: Database) -> None:
    view = tasks_view(tmp_path)
    queries = LakeQueries(lambda: view, database)
    assert [one.trace_id for one in queries.tasks(TaskFilter(agent="other"), limit=1).tasks] == [f"{0:032x}"]


def test_a_correction_that_moved_a_task_far_back_hides_its_newer_row(
    tmp_path: Path, database: Database
) -> None:
    last = FILES * PER_FILE - 1
    corrected = task(last)._replace(revision=1, start_ns=FIRST_NS - HOUR_NS)
    view = tasks_view(tmp_path, [corrected])
    queries = LakeQueries(lambda: view, database)
    page = queries.tasks(TaskFilter(), limit=2)
    assert [one.trace_id for one in page.tasks] == [f"{last - 1:032x}", f"{last - 2:032x}"]


def test_only_the_files_that_hold_a_trace_are_opened_for_it(tmp_path: Path, database: Database) -> None:
    table = SegmentTable(tmp_path / "tasks", TASKS)
    table.create()
    for number in range(4):
        rows = [task(number), task(5)] if number % 2 else [task(number)]
        table.append(pa.Table.from_batches([to_batch(rows, TASKS)], schema=TASKS), {"w": number})
    files = table.files()
    found = database.files_of_trace(files, f"{5:032x}")
    assert sorted(file.rows for file in found) == [2, 2]
    assert database.files_of_trace(files, "f" * 32) == ()
