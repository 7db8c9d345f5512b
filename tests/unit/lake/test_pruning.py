# SPDX-License-Identifier: Apache-2.0
"""Files that a question does not open never change its answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake import parquet_files, segments
from pilothouse.lake.batches import to_batch
from pilothouse.lake.columns import SPANS, TASKS, CoreSpan, TaskRow
from pilothouse.lake.data_files import DataFile
from pilothouse.lake.fold import fold_trace
from pilothouse.lake.parquet_files import STATISTICS
from pilothouse.lake.queries import NEWEST_FILES, LakeQueries
from pilothouse.lake.scores import EVALUATION_EVENT
from pilothouse.lake.segments import SegmentTable
from pilothouse.lake.view import Database, View
from pilothouse.ports.lake import TaskFilter

FILES = 3 * NEWEST_FILES
PER_FILE = 3
HOUR_NS = 3_600 * 1_000_000_000
FIRST_NS = 500_000 * HOUR_NS
FIRST_DAY = 500_000 // 24
SAID = '{"gen_ai.evaluation.name":"tone","gen_ai.evaluation.score.value":1}'


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


def spans_table(folder: Path, *files: list[CoreSpan]) -> SegmentTable:
    """One file for each list of spans and log records."""
    table = SegmentTable(folder / "spans", SPANS)
    table.create()
    rest = dict.fromkeys(SPANS.names[len(CoreSpan._fields) :])
    for number, spans in enumerate(files):
        rows = [(*one, *{**rest, "attributes": SAID, "day": FIRST_DAY}.values()) for one in spans]
        table.append(pa.Table.from_batches([to_batch(rows, SPANS)], schema=SPANS), {"w": number})
    return table


def score(number: int) -> CoreSpan:
    """A log record in which an evaluator outside of Pilothouse says something."""
    return span(number)._replace(record="log", record_id="a", event_name=EVALUATION_EVENT)


def test_files_without_log_records_are_not_opened_to_look_for_scores(
    tmp_path: Path, database: Database
) -> None:
    written = spans_table(tmp_path, [span(1)], [span(2), score(2)], [score(3)], [span(4)], [span(5)])
    read = SegmentTable(tmp_path / "spans", SPANS)
    read.refresh()
    for file in written.files():
        if file.start_min not in {span(2).start_ns, span(3).start_ns}:
            Path(file.path).rename(f"{file.path}.away")
    for table in (written, read):
        view = View(span_files=table.files())
        found = LakeQueries(lambda view=view: view, database).scores(from_ns=0, to_ns=FIRST_NS * 2)
        assert {one.trace_id for one in found} == {span(2).trace_id, span(3).trace_id}


def test_a_window_without_spans_says_nothing_and_no_database_is_asked(
    tmp_path: Path, database: Database
) -> None:
    spans = spans_table(tmp_path, [span(1)]).files()
    view = View(span_files=spans, task_files=tasks_view(tmp_path).task_files)
    queries = LakeQueries(lambda: view, database)
    said = TaskFilter(said="tone", anywhere=True, from_ns=FIRST_NS, to_ns=FIRST_NS + 3 * HOUR_NS)
    assert [one.trace_id for one in queries.tasks(said).tasks] == [f"{1:032x}"]
    month_ns = 30 * 24 * HOUR_NS
    empty = replace(said, from_ns=FIRST_NS + month_ns, to_ns=FIRST_NS + month_ns + HOUR_NS)
    database.close()
    assert queries.tasks(empty).tasks == ()
    assert queries.strays(empty) == ()


def test_merged_files_say_whether_log_records_stand_in_them(tmp_path: Path) -> None:
    of_both, of_spans = (tmp_path / name for name in ("both", "spans"))
    for folder, last, holds in ((of_both, score(9), True), (of_spans, span(9), False)):
        table = spans_table(folder, [span(1)], [span(2)], [last])
        assert table.merge(files_min=2) == 3
        assert [file.may_hold_logs for file in table.files()] == [holds]


def test_a_file_that_does_not_say_what_stands_in_it_is_opened(tmp_path: Path, database: Database) -> None:
    (file,) = spans_table(tmp_path, [score(1)]).files()
    unsaid = DataFile(
        path=file.path, rows=1, size=file.size, day=file.day, start_min=0, start_max=FIRST_NS * 2
    )
    view = View(span_files=(unsaid,))
    assert len(LakeQueries(lambda: view, database).scores(from_ns=0, to_ns=FIRST_NS * 2)) == 1


def test_a_table_of_an_earlier_release_says_of_its_next_files_whether_log_records_stand_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(segments, "STATISTICS", STATISTICS[:-1])
        earlier.setattr(parquet_files, "STATISTICS", STATISTICS[:-1])
        spans_table(tmp_path, [span(1)])
    for number, known in ((2, 1), (3, 2)):
        spans_table(tmp_path, [span(number)])
        read = SegmentTable(tmp_path / "spans", SPANS)
        read.refresh()
        assert [file.may_hold_logs for file in read.files()].count(False) == known
        assert read.committed("w") == 0
    assert read.version == 4, "the statistics are asked for once"


def test_a_task_whose_start_moves_between_two_pages_stands_on_one_of_them(
    tmp_path: Path, database: Database
) -> None:
    last = FILES * PER_FILE - 1
    earlier = task(3)._replace(revision=1, closed_ns=5)
    views = [
        tasks_view(tmp_path / "before", [earlier]),
        tasks_view(
            tmp_path / "after",
            [
                earlier,
                task(last)._replace(revision=1, start_ns=FIRST_NS - HOUR_NS, closed_ns=7),
                task(1)._replace(revision=1, start_ns=task(last).start_ns + HOUR_NS, closed_ns=7),
            ],
        ),
    ]
    queries = LakeQueries(lambda: views[0], database)
    page = queries.tasks(TaskFilter(), limit=4)
    listed = [one.trace_id for one in page.tasks]
    views.pop(0)
    while page.next_cursor is not None:
        page = queries.tasks(TaskFilter(), limit=4, before=page.next_cursor)
        listed += [one.trace_id for one in page.tasks]
    assert sorted(listed) == [f"{number:032x}" for number in range(FILES * PER_FILE)]
