# SPDX-License-Identifier: Apache-2.0
"""Reads the writer's own tables, to fold a trace again and to resume after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pilothouse.errors import UsageError
from pilothouse.lake.columns import COST_UNPRICED, CoreSpan, TaskRow
from pilothouse.lake.data_files import EPOCH, TIME_MAX, DataFile
from pilothouse.lake.prices import PriceSource
from pilothouse.lake.records import pico_of
from pilothouse.lake.revisions import current
from pilothouse.lake.view import Database, View

__all__ = ["ROWS_AT_ONCE", "TRACE_IDS_MAX", "StoredRows"]

TRACE_IDS_MAX = 10_000
"""Trace ids in one look-up."""

ROWS_AT_ONCE = 4_000_000
"""Rows that one question of a look through everything reads: a second or two of its ten."""

CLOCKS_APART_NS = 86_400 * 1_000_000_000
"""So far a clock may have been set back since a file was written; older files hold no row that was closed lately."""

TRACE_NS_MAX = 30 * 86_400 * 1_000_000_000
"""How far apart the spans of one trace may start, for files whose traces are not noted: a conversation of a month."""

UNPRICED = """
 SELECT trace_id, day, coalesce(provider, '') AS provider, coalesce(nullif(response_model, ''), request_model) AS model,
   coalesce(nullif(end_ns, 0), start_ns) AS at_ns
 FROM spans WHERE cost_state = $UNPRICED AND tokens_basis IS NOT NULL AND model IS NOT NULL AND start_ns >= ?
""".replace("$UNPRICED", str(COST_UNPRICED))
"""Calls that had no price when they came: those that `repricing.priced_now` asks for one."""


class StoredRows:
    """Rows as they are stored, by trace.

    Args:
        view: Returns what can be seen now.
        database: Where the queries run.
    """

    def __init__(self, view: Callable[[], View], database: Database) -> None:
        self._view = view
        self._database = database

    def task_rows(self, trace_ids: Sequence[str], *, view: View | None = None) -> dict[str, TaskRow]:
        """Return the current task row of some traces, by trace id.

        Args:
            trace_ids: At most `TRACE_IDS_MAX` ids.
            view: What to read; the present one when None.
        """
        if len(trace_ids) > TRACE_IDS_MAX:
            raise UsageError(f"more than {TRACE_IDS_MAX} trace ids", remedy="Ask for fewer at once.")
        table = self._task_table(trace_ids, view or self._view())
        rows = (
            TaskRow(**row)._replace(
                cost_usd=pico_of(row["cost_usd"]),
                cost_known_usd=pico_of(row["cost_known_usd"]),
                day=(row["day"] - EPOCH).days,
            )
            for row in table.to_pylist()
        )
        return {row.trace_id: row for row in rows}

    def _task_table(self, trace_ids: Sequence[str], view: View) -> pa.Table:
        """Return the current rows of `tasks` of some traces; those corrected meanwhile stand last."""
        if len(trace_ids) == 1:
            few = self._database.task_rows(view, trace_ids[0])
            if few is not None:  # sorting fifty columns takes longer than reading them
                if few.num_rows < 2:
                    return few
                return few.sort_by([("revision", "ascending"), ("closed_ns", "ascending")])
        fields = ", ".join(TaskRow._fields)
        newest = "ORDER BY revision DESC, closed_ns DESC"
        if len(trace_ids) == 1:  # a plain comparison is pushed into the files, a list is not
            which, values = f"trace_id = ? {newest} LIMIT 1", list[Any](trace_ids)
        else:
            which = (
                "trace_id IN (SELECT unnest(?::VARCHAR[])) "
                f"QUALIFY row_number() OVER (PARTITION BY trace_id {newest}) = 1"
            )
            values = [list(trace_ids)]
        return self._database.run(
            view,
            f"SELECT {fields} FROM tasks WHERE {which}",  # noqa: S608 - constants
            values,
        )

    def near(self, trace_ids: Sequence[str], starts: Sequence[int]) -> View:
        """Return the present view without files that hold no row of some traces.

        Files whose traces are noted say so; of the others those are left out in which everything starts elsewhere.

        Args:
            trace_ids: The traces.
            starts: Starts of some of their spans, Unix nanoseconds; none to leave out nothing by time.
        """
        view = self._view()
        low = min(starts, default=0) - TRACE_NS_MAX
        high = max(starts) + TRACE_NS_MAX if starts else TIME_MAX

        def kept(files: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
            holding, unknown = map(set, self._database.traces.split([one.path for one in files], *trace_ids))
            return tuple(
                one
                for one in files
                if one.path in holding
                or (one.path in unknown and one.start_max >= low and one.start_min <= high)
            )

        return replace(view, span_files=kept(view.span_files), task_files=kept(view.task_files))

    def core_spans(self, trace_ids: Sequence[str], *, view: View | None = None) -> list[CoreSpan]:
        """Return the core columns of every stored span of some traces, in the order they were received.

        Args:
            trace_ids: The traces.
            view: What to read; the present one when None.
        """
        return self._core("trace_id IN (SELECT unnest(?::VARCHAR[]))", [list(trace_ids)], view)

    def core_spans_touched_after(self, node: str, seq: int) -> list[CoreSpan]:
        """Return every stored span of the traces that a node's log touched after a number, as received."""
        return self._core(
            "trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE node = ? AND seq > ?)", [node, seq]
        )

    def trace_ids_closed_after(self, closed_ns: int) -> Iterator[str]:
        """Yield the ids of the traces whose row was written after a moment: an hour may hold a million."""
        view = self._view()
        written = tuple(
            file for file in view.task_files if not file.is_from_before(closed_ns - CLOCKS_APART_NS)
        )
        table = self._database.run(
            replace(view, task_files=written),
            "SELECT DISTINCT trace_id FROM tasks WHERE closed_ns >= ?",
            [closed_ns],
        )
        ids = table.column("trace_id")
        for start in range(0, len(ids), TRACE_IDS_MAX):
            yield from map(str, ids.slice(start, TRACE_IDS_MAX).to_pylist())

    def trace_ids_to_price(self, since_ns: int, prices: PriceSource) -> list[str]:
        """Return the ids of tasks since a moment whose cost is unknown and that have a call with a known price now.

        Args:
            since_ns: Start of the tasks, Unix nanoseconds.
            prices: Where the price of a call is asked: for each model at its first and last call of a day.
        """
        view = _since(self._view(), since_ns)
        calls = self._database.run(
            view,
            f"SELECT provider, model, day, min(at_ns) AS low, max(at_ns) AS high FROM ({UNPRICED}) GROUP BY ALL",  # noqa: S608 - constants
            [since_ns],
        ).to_pylist()
        priced = [
            call
            for call in calls
            if any(prices(call["provider"], call["model"], call[end]) for end in ("low", "high"))
        ]
        if not priced:
            return []
        of_priced = " OR ".join(["(provider = ? AND model = ? AND day = ?)"] * len(priced))
        table = self._database.run(
            view,
            f", {current(view)} SELECT trace_id FROM current "  # noqa: S608 - constants
            "WHERE cost_state IN ('partial', 'unknown') AND start_ns >= ? "
            f"AND trace_id IN (SELECT trace_id FROM ({UNPRICED}) WHERE {of_priced})",
            [since_ns, since_ns, *(call[name] for call in priced for name in ("provider", "model", "day"))],
        )
        return [str(ident) for ident in table.column("trace_id").to_pylist()]

    def late_tasks(self, sealed_ns: int) -> list[str]:
        """Return the ids of tasks with more stored spans than their row was folded from, sorted.

        Each question reads `ROWS_AT_ONCE` rows or one file: a lake may hold more than can be looked through in the time of one.

        Args:
            sealed_ns: Only tasks whose row was written before, Unix nanoseconds.
        """
        view = self._view()
        stored = self._span_counts(view)
        maybe: set[str] = set()
        for part in _task_parts(view):
            folded = self._database.run(
                part, "SELECT trace_id, spans FROM tasks WHERE closed_ns < ?", [sealed_ns]
            )
            both = folded.join(stored, "trace_id", join_type="inner")
            more = both.filter(pc.greater(both.column("stored"), both.column("spans")))
            maybe.update(map(str, more.column("trace_id").to_pylist()))
        ids, late = sorted(maybe), list[str]()
        for start in range(0, len(ids), TRACE_IDS_MAX):
            late += self._late_of(ids[start : start + TRACE_IDS_MAX], sealed_ns)
        return late

    def _span_counts(self, view: View) -> pa.Table:
        """Return how many spans are stored of each trace; a span in two files counts twice."""
        counts = [
            self._database.run(
                part,
                "SELECT trace_id, count(DISTINCT (span_id, record_id)) AS stored FROM spans "
                "WHERE record = 'span' GROUP BY trace_id",
            )
            for part in _span_parts(view)
        ]
        added = pa.concat_tables(counts).group_by("trace_id").aggregate([("stored", "sum")])
        return added.rename_columns(["trace_id", "stored"])

    def _late_of(self, trace_ids: list[str], sealed_ns: int) -> list[str]:
        """Return those of some tasks, by id, of which more spans are stored than their current row was folded from."""
        view = self.near(trace_ids, ())
        table = self._database.run(
            view,
            f", {current(view)} SELECT trace_id FROM current JOIN (SELECT trace_id, "  # noqa: S608 - constants
            "count(DISTINCT (span_id, record_id)) AS stored FROM spans "
            "WHERE record = 'span' AND trace_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY trace_id) "
            "USING (trace_id) WHERE stored > spans AND closed_ns < ? ORDER BY trace_id",
            [trace_ids, sealed_ns],
        )
        return [str(ident) for ident in table.column("trace_id").to_pylist()]

    def _core(self, where: str, parameters: list[Any], view: View | None = None) -> list[CoreSpan]:
        fields = ", ".join(CoreSpan._fields)
        table = self._database.run(
            view or self._view(),
            f"SELECT {fields} FROM spans WHERE {where} ORDER BY received_ns, seq",  # noqa: S608 - constants
            parameters,
            is_long=True,
        )
        columns = [table.column(name).to_pylist() for name in CoreSpan._fields]
        cost = CoreSpan._fields.index("cost_usd")
        columns[cost] = [pico_of(value) for value in columns[cost]]
        return [CoreSpan(*values) for values in zip(*columns, strict=True)]


def _since(view: View, since_ns: int) -> View:
    """Return a view without files whose spans all start before a moment."""
    return replace(
        view,
        span_files=tuple(file for file in view.span_files if file.start_max >= since_ns),
        task_files=tuple(file for file in view.task_files if file.start_max >= since_ns),
    )


def _span_parts(view: View) -> Iterator[View]:
    """Yield a view in parts with some of its spans each, the last with those in memory."""
    for files in _grouped(view.span_files):
        yield View(span_files=files)
    yield View(span_tail=view.span_tail)


def _task_parts(view: View) -> Iterator[View]:
    """Yield a view in parts with some of its tasks each, the last with those in memory."""
    for files in _grouped(view.task_files):
        yield View(task_files=files)
    yield View(task_tail=view.task_tail)


def _grouped(files: tuple[DataFile, ...]) -> Iterator[tuple[DataFile, ...]]:
    group: list[DataFile] = []
    rows = 0
    for file in files:
        if group and rows + file.rows > ROWS_AT_ONCE:
            yield tuple(group)
            group, rows = [], 0
        group.append(file)
        rows += file.rows
    if group:
        yield tuple(group)
