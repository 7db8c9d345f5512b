# SPDX-License-Identifier: Apache-2.0
"""CPU of the questions that pages ask, on a generated lake: newest tasks, one trace, a month of cost.

The lake is written by the product's own decoder, folder of tasks and segment writer; only ids and times are
replaced, so that two million spans take seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from spans import SPANS_PER_TRACE, build_request

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.batches import span_batch, to_batch
from pilothouse.lake.columns import SPANS, TASKS, CoreSpan
from pilothouse.lake.fold import fold_trace
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.prices import no_prices
from pilothouse.lake.queries import LakeQueries
from pilothouse.lake.rows import Arrival
from pilothouse.lake.segments import SegmentTable
from pilothouse.lake.span_block import SpanBlock
from pilothouse.lake.trace_index import TraceIndex
from pilothouse.lake.view import Database, View
from pilothouse.lake.writer import SEGMENT_ROWS
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter

DAYS = 30
DAY_NS = 86_400 * 1_000_000_000
REPEATS = 20


def rows_of_a_segment() -> tuple[list[SpanBlock], list[tuple]]:
    """One segment of spans in order of arrival, and its tasks."""
    spans: list[SpanBlock] = []
    traces: dict[str, list[CoreSpan]] = defaultdict(list)
    arrival = Arrival(received_ns=time.time_ns(), node="bench", seq=0, source="bench")
    while sum(map(len, spans)) < SEGMENT_ROWS:
        request = parse_request(Signal.TRACES, Encoding.PROTOBUF, build_request())
        cores, blocks = decode_rows(request, arrival, no_prices)
        spans += blocks
        for core in cores:
            traces[core.trace_id].append(core)
    tasks = [
        fold_trace(one, state=TaskState.COMPLETE, reason="root_ended", closed_ns=arrival.received_ns)
        for one in traces.values()
    ]
    return spans, tasks


def moved(batch: pa.RecordBatch, by_ns: int, traces: dict[str, str], day: int) -> pa.Table:
    """The same rows with other trace ids, at another time."""
    table = pa.Table.from_batches([batch])
    for name in ("start_ns", "end_ns", "received_ns", "first_received_ns", "last_received_ns", "closed_ns"):
        if name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(
                place, table.field(place), pa.array(table.column(name).to_numpy() + by_ns)
            )
    ids = pa.array([traces[ident] for ident in table.column("trace_id").to_pylist()])
    table = table.set_column(0, table.field(0), ids)
    days = pa.array(np.full(table.num_rows, day, dtype="i4")).cast(pa.date32())
    return table.set_column(table.num_columns - 1, table.field(table.num_columns - 1), days)


def build(folder: Path, spans_wanted: int, traces: TraceIndex) -> tuple[View, str]:
    """Write the lake, oldest first over `DAYS` days; return its view and a trace of the middle."""
    spans_table, tasks_table = (
        SegmentTable(folder / "spans", SPANS, on_file=traces.add_rows),
        SegmentTable(folder / "tasks", TASKS, on_file=traces.add_rows),
    )
    spans_table.create()
    tasks_table.create()
    spans, tasks = rows_of_a_segment()
    span_rows, task_rows = span_batch(spans), to_batch(tasks, TASKS)
    segments = max(1, round(spans_wanted / span_rows.num_rows))
    now, chosen = time.time_ns(), ""
    for number in range(segments):
        by_ns = -int((segments - 1 - number) / segments * DAYS * DAY_NS)
        ids = {row[0]: os.urandom(16).hex() for row in tasks}
        day = (now + by_ns) // DAY_NS
        spans_table.append(moved(span_rows, by_ns, ids, day), {"bench": number})
        tasks_table.append(moved(task_rows, by_ns, ids, day), {"bench": number})
        if number == segments // 2:
            chosen = next(iter(ids.values()))
    return View(span_files=spans_table.files(), task_files=tasks_table.files()), chosen


def measure(name: str, budget_ms: float, ask) -> None:
    ask()
    cpu, wall = [], []
    for _ in range(REPEATS):
        began, used = time.perf_counter(), time.process_time()
        ask()
        cpu.append((time.process_time() - used) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
    print(
        f"  {name:<34}{min(cpu):>8.1f} ms CPU at best {statistics.median(cpu):>8.1f} median"
        f" {statistics.median(wall):>8.1f} ms wall"
        f"   budget {budget_ms:g} ms CPU",
        flush=True,
    )


def ask_all(database: Database, view: View, trace_id: str, list_ms: float) -> None:
    """Every question of the page, with its budget."""
    queries = LakeQueries(lambda: view, database)
    one_agent = TaskFilter(agent="invoice-triage")
    measure("newest 100 tasks", list_ms, lambda: queries.tasks(TaskFilter()))
    measure("newest 100 of one agent", list_ms, lambda: queries.tasks(one_agent))
    measure("one trace by its id", 20, lambda: queries.trace(trace_id))
    sql = (
        "SELECT task_type, count(*), sum(cost_usd), quantile_cont(cost_known_usd::DOUBLE, 0.95) "
        "FROM tasks WHERE start_ns >= ? GROUP BY task_type"
    )
    since = time.time_ns() - DAYS * DAY_NS
    measure("cost by task type, 30 days", 150, lambda: database.run(view, sql, [since]))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--spans", type=int, nargs="+", default=[200_000, 2_000_000])
    for wanted in options.parse_args().spans:
        folder = Path(tempfile.mkdtemp(prefix="bench-queries-"))
        database = Database()
        try:
            view, trace_id = build(folder, wanted, database.traces)
            rows = sum(file.rows for file in view.span_files)
            print(f"{rows:,} spans, {rows // SPANS_PER_TRACE:,} tasks, {len(view.span_files)} files of spans")
            ask_all(database, view, trace_id, 20 if wanted <= 200_000 else 50)
        finally:
            database.close()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
