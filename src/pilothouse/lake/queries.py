# SPDX-License-Identifier: Apache-2.0
"""Every query that people and verdicts need, one function each: bound parameters in, typed records out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any

import msgspec
import pyarrow as pa

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.lake.columns import TaskRow
from pilothouse.lake.records import (
    SPAN_FIELDS,
    TASK_FIELDS,
    task_of_row,
    task_of_values,
    with_log_content,
)
from pilothouse.lake.revisions import current, last_corrected
from pilothouse.lake.scores import EVALUATION_EVENT, read_score
from pilothouse.lake.stored_rows import StoredRows
from pilothouse.lake.task_filter import SPAN_AFTER_NS, SPAN_BEFORE_NS, condition, narrowed, said_in_spans
from pilothouse.lake.view import Database, View
from pilothouse.ports.lake import (
    CANARY_AGENT,
    STRAY_LOG,
    STRAYS_MAX,
    AgentSeen,
    Assigned,
    TaskCursor,
    TaskFilter,
    TaskPage,
    TraceView,
)

__all__ = ["LakeQueries"]

LIST_MAX = 10_000
"""Tasks in one page."""

WINDOW_MAX = 1_000_000
"""Tasks in one window."""

NEWEST_FILES = 4
"""Files that a list of the newest tasks looks at first; opening one costs about a millisecond."""

SCORES_MAX = 200_000
"""External scores in one window."""

TRACES_MAX = 1_000
"""Whole traces read at once; with all that was said in them they are some tens of megabytes."""

SPANS_MAX = 2_000
"""Spans of a trace that are read unless more are asked for."""

SPAN_ORDER = "start_ns, span_id, record_id, received_ns, seq"
"""Of the spans of a trace; of two copies the one received first stands first."""

JUDGED_WITHIN_NS = 7 * 86_400 * 1_000_000_000
"""So long before the window of its scores a response may lie that is judged by its id alone."""

ONE_SCORE = "PARTITION BY trace_id, span_id, record_id, source ORDER BY received_ns, seq"
"""Of an event that was sent again the first copy: one without a time has the moment of its receipt, which differs."""

VERSIONS_MAX = 20
"""Versions named for one agent."""


class LakeQueries:
    """Implements `Lake` over a view.

    Args:
        view: Returns what can be seen now.
        database: Where the queries run.
    """

    def __init__(self, view: Callable[[], View], database: Database) -> None:
        self._view = view
        self._database = database
        self._stored = StoredRows(view, database)

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        if not 1 <= limit <= LIST_MAX:
            raise UsageError(f"limit {limit} is not in 1..{LIST_MAX}", remedy="Use --limit 100.")
        where, parameters = condition(wanted)
        if before is not None:
            where += " AND (start_ns, trace_id) < (?, ?)"
            parameters += [before.start_ns, before.trace_id]
        view = narrowed(self._view(), wanted)
        if wanted.said is not None and _is_silent(view):
            return TaskPage(tasks=(), next_cursor=None)
        corrected_ns = None if before is None else before.corrected_ns
        keys = self._newest_keys(view, where, parameters, limit + 1, corrected_ns)
        page = self._tasks_by_key(view, keys.slice(0, limit))
        if keys.num_rows <= limit:
            return TaskPage(tasks=page, next_cursor=None)
        if corrected_ns is None:
            corrected_ns = int(keys.column("corrected_ns")[0].as_py())
        last = page[-1]
        cursor = TaskCursor(start_ns=last.start_ns, trace_id=last.trace_id, corrected_ns=corrected_ns)
        return TaskPage(tasks=page, next_cursor=cursor)

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what contains `said` within the window and belongs to no task: trace ids, and log records without a trace.

        Args:
            wanted: Only what it says about `said`, `anywhere`, `in_names` and the window is looked at.

        Returns:
            At most `STRAYS_MAX` and one more; a log record of no trace is `STRAY_LOG` and its own id.
        """
        where, parameters = said_in_spans(wanted)
        view = narrowed(self._view(), wanted)
        if _is_silent(view):
            return ()
        found = self._database.run(
            view,
            f"SELECT DISTINCT CASE WHEN trace_id = '' THEN '{STRAY_LOG}' || record_id ELSE trace_id END AS ident FROM spans "  # noqa: S608 - columns are constants, values are bound
            f"WHERE {where} AND trace_id NOT IN (SELECT trace_id FROM tasks) ORDER BY ident LIMIT {STRAYS_MAX + 1}",
            parameters,
        )
        return tuple(map(str, found.column("ident").to_pylist()))

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding, at most 1,000,000."""
        if wanted.from_ns is None or wanted.to_ns is None:
            raise UsageError("a window needs both ends", remedy="Give from_ns and to_ns.")
        where, parameters = condition(wanted)
        view = narrowed(self._view(), wanted)
        found = self._tasks(f"{where} ORDER BY start_ns, trace_id LIMIT {WINDOW_MAX + 1}", parameters, view)
        if len(found) > WINDOW_MAX:
            raise LimitExceeded(
                f"the window holds more than {WINDOW_MAX} tasks", remedy="Ask for a shorter window."
            )
        return tuple(found)

    def trace(self, trace_id: str, *, limit: int = SPANS_MAX) -> TraceView | None:
        """Return one trace by its full id, or None when nothing has it."""
        view = self._view()
        view = replace(view, span_files=self._database.files_of_trace(view.span_files, trace_id))
        table = self._database.run(
            view,
            f"SELECT {SPAN_FIELDS} FROM spans WHERE trace_id = ? ORDER BY {SPAN_ORDER} LIMIT {int(limit)}",  # noqa: S608 - columns are constants
            [trace_id],
        )
        if not table.num_rows:
            return None
        rows = _distinct(table.to_pylist())
        total = len(rows)
        if table.num_rows == limit:
            counted = self._database.run(
                view,
                "SELECT count(DISTINCT (span_id, record, record_id)) AS n FROM spans WHERE trace_id = ?",
                [trace_id],
            )
            total = int(counted.column("n")[0].as_py())
        starts: list[Any] = table.column("start_ns").to_pylist()
        low = min(starts) - SPAN_AFTER_NS  # days expire one by one, so earlier spans may be gone
        high = max(starts) + SPAN_BEFORE_NS if table.num_rows < limit else None
        view = _tasks_between(view, low, high)
        view = replace(view, task_files=self._database.without_strangers(view.task_files, trace_id))
        return _trace_view(rows, total, self._stored.task_rows([trace_id], view=view).get(trace_id))

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return those of at most 1,000 traces that are stored, by id, each with at most 2,000 spans."""
        if len(trace_ids) > TRACES_MAX:
            raise UsageError(f"more than {TRACES_MAX} traces", remedy="Ask for fewer at once.")
        view = self._view()
        table = self._database.run(
            view,
            f"SELECT trace_id, {SPAN_FIELDS} FROM spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[])) "  # noqa: S608 - columns are constants
            f"QUALIFY row_number() OVER (PARTITION BY trace_id ORDER BY {SPAN_ORDER}) <= {SPANS_MAX} "
            f"ORDER BY {SPAN_ORDER}",
            [list(trace_ids)],
            is_long=True,
        )
        rows_of: dict[str, list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            rows_of.setdefault(row.pop("trace_id"), []).append(row)
        tasks = self._stored.task_rows(trace_ids, view=view) if rows_of else {}
        found = {}
        for trace_id, rows in rows_of.items():
            whole = self.trace(trace_id) if len(rows) == SPANS_MAX else None  # it counts what was left out
            distinct = _distinct(rows)
            found[trace_id] = whole or _trace_view(distinct, len(distinct), tasks.get(trace_id))
        return found

    def claims(self, traces: Sequence[str]) -> Mapping[str, str | None]:
        """Return the present claims of some tasks, by trace; traces that are not stored are absent."""
        return {ident: row.claim for ident, row in self._stored.task_rows(traces).items()}

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        view = self._view()
        table = self._database.run(
            view,
            f", {current(view)} SELECT agent, version_digest, count(*) FILTER (state = 'complete') AS n, "  # noqa: S608 - constants
            "min(start_ns) AS first_ns, max(start_ns) AS last_ns FROM current WHERE agent <> ? "
            "GROUP BY agent, version_digest ORDER BY agent, last_ns DESC",
            [CANARY_AGENT],
        )
        seen: dict[str, list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            seen.setdefault(row["agent"], []).append(row)
        return tuple(
            AgentSeen(
                agent=agent,
                tasks=sum(row["n"] for row in rows),
                first_ns=min(row["first_ns"] for row in rows),
                last_ns=max(row["last_ns"] for row in rows),
                versions=tuple(row["version_digest"] for row in rows if row["version_digest"])[:VERSIONS_MAX],
            )
            for agent, rows in seen.items()
        )

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return the tasks of an experiment with the arms that their spans name."""
        view = self._view()
        files = tuple(
            file for file in view.span_files if file.start_min < to_ns and file.start_max >= from_ns
        )
        # The text search first: most spans carry no experiment, and reading JSON is what costs.
        table = self._database.run(
            replace(view, span_files=files),
            "SELECT DISTINCT trace_id, attributes FROM spans WHERE record = 'span' AND start_ns >= ? AND start_ns < ? "
            "AND contains(attributes, 'pilothouse.experiment.id') AND contains(attributes, ?) LIMIT ?",
            [from_ns, to_ns, experiment, SCORES_MAX + 1],
            is_long=True,
        )
        if table.num_rows > SCORES_MAX:
            raise LimitExceeded(
                f"the window holds more than {SCORES_MAX} assigned tasks",
                remedy="Ask for a shorter window.",
            )
        found: dict[str, Assigned] = {}
        for row in table.to_pylist():
            said = msgspec.json.decode(row["attributes"])
            unit, arm = said.get("pilothouse.experiment.unit"), said.get("pilothouse.experiment.arm")
            if (
                said.get("pilothouse.experiment.id") == experiment
                and isinstance(unit, str)
                and isinstance(arm, str)
            ):
                found[row["trace_id"]] = Assigned(trace_id=row["trace_id"], unit=unit, arm=arm)
        return tuple(found.values())

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return external evaluators' scores of a half-open window, deduplicated."""
        view = self._view()
        files = tuple(
            file
            for file in view.span_files
            if file.may_hold_logs and file.start_min < to_ns and file.start_max >= from_ns
        )
        table = self._database.run(
            replace(view, span_files=files),
            "SELECT trace_id, span_id, start_ns, source, attributes, record_id, response_id FROM spans "  # noqa: S608 - columns are constants, values are bound
            "WHERE record = 'log' AND event_name = ? AND (trace_id <> '' OR response_id IS NOT NULL) AND start_ns >= ? AND start_ns < ? "
            f"QUALIFY row_number() OVER ({ONE_SCORE}) = 1 LIMIT ?",
            [EVALUATION_EVENT, from_ns, to_ns, SCORES_MAX + 1],
            is_long=True,
        )
        if table.num_rows > SCORES_MAX:
            raise LimitExceeded(
                f"the window holds more than {SCORES_MAX} scores", remedy="Ask for a shorter window."
            )
        rows = table.to_pylist()
        apart = {row["response_id"] for row in rows if not row["trace_id"]}
        spans = self._spans_of_responses(sorted(apart), from_ns=from_ns, to_ns=to_ns) if apart else {}
        for row in rows:
            if not row["trace_id"]:
                row["trace_id"], row["span_id"] = spans.get(row["response_id"], ("", ""))
        return tuple(score for row in rows if row["trace_id"] and (score := read_score(row)) is not None)

    def _spans_of_responses(
        self, response_ids: Sequence[str], *, from_ns: int, to_ns: int
    ) -> dict[str, tuple[str, str]]:
        """Return the trace and the first span of each response that one trace alone names: some servers give all the same id."""
        low = from_ns - JUDGED_WITHIN_NS
        view = self._view()
        files = tuple(file for file in view.span_files if file.start_min < to_ns and file.start_max >= low)
        table = self._database.run(
            replace(view, span_files=files),
            "SELECT response_id, min(trace_id) AS trace_id, arg_min(span_id, start_ns) AS span_id FROM spans "
            "WHERE record = 'span' AND start_ns >= ? AND start_ns < ? AND response_id IN (SELECT unnest(?::VARCHAR[])) "
            "GROUP BY response_id HAVING count(DISTINCT trace_id) = 1",
            [low, to_ns, list(response_ids)],
        )
        return {row["response_id"]: (row["trace_id"], row["span_id"]) for row in table.to_pylist()}

    def _newest_keys(
        self, view: View, where: str, parameters: list[Any], count: int, corrected_ns: int | None
    ) -> pa.Table:
        """Return the keys of the newest tasks that match: first from the newest files, then from all.

        A look at few files is an answer when it is full and every file left out is older than all of it.
        Files with corrections are always read, so that a row which was corrected is never taken for current.
        """
        newest = sorted(view.task_files, key=lambda file: file.start_max, reverse=True)
        size, rows = 0, 0
        while size < len(newest) and (rows < count or size < NEWEST_FILES):
            rows += newest[size].rows
            size += 1
        left_out = [file for file in newest[size:] if not file.revision_max]
        for skipped in (left_out, ()) if left_out else ((),):
            paths = {file.path for file in skipped}
            part = replace(view, task_files=tuple(file for file in view.task_files if file.path not in paths))
            keys = self._database.run(
                part,
                f", {current(part, corrected_ns=corrected_ns)} "  # noqa: S608 - columns are constants, values are bound
                f"SELECT trace_id, start_ns, revision, {last_corrected(part)} AS corrected_ns FROM current WHERE {where} "
                f"ORDER BY start_ns DESC, trace_id DESC LIMIT {count}",
                parameters,
            )
            bound = max((file.start_max for file in skipped), default=-1)
            if keys.num_rows == count and int(keys.column("start_ns")[count - 1].as_py()) > bound:
                break
        return keys

    def _tasks_by_key(self, view: View, keys: pa.Table) -> tuple[Task, ...]:
        """Return the tasks of some keys in their order, read only from the files that can hold them."""
        if not keys.num_rows:
            return ()
        starts: list[Any] = keys.column("start_ns").to_pylist()
        ids: list[Any] = keys.column("trace_id").to_pylist()
        low, high = min(starts), max(starts)
        narrow = View(
            task_files=tuple(
                file for file in view.task_files if file.start_min <= high and file.start_max >= low
            ),
            task_tail=view.task_tail,
        )
        table = self._database.run(
            narrow,
            f"SELECT {TASK_FIELDS} FROM tasks WHERE start_ns BETWEEN ? AND ? "  # noqa: S608 - columns are constants
            "AND trace_id IN (SELECT unnest(?::VARCHAR[]))",
            [low, high, ids],
        )
        columns = [table.column(name).to_pylist() for name in table.column_names]
        found = {
            (task.trace_id, task.revision): task
            for task in starmap(task_of_values, zip(*columns, strict=True))
        }
        revisions: list[Any] = keys.column("revision").to_pylist()
        return tuple(found[key] for key in zip(ids, revisions, strict=True))

    def _tasks(self, rest: str, parameters: list[Any], view: View) -> list[Task]:
        table = self._database.run(
            view,
            f", {current(view)} SELECT {TASK_FIELDS} FROM current WHERE {rest}",  # noqa: S608 - columns are constants, values are bound
            parameters,
            is_long=True,
        )
        columns = [table.column(name).to_pylist() for name in table.column_names]
        return [task_of_values(*values) for values in zip(*columns, strict=True)]


def _is_silent(view: View) -> bool:
    """Return whether no span can match: an erasure searches week by week, and most weeks are empty."""
    return not view.span_files and not view.span_tail


def _distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a trace without duplicates, keeping the row received first."""
    return list({(row["span_id"], row["record_id"]): row for row in reversed(rows)}.values())[::-1]


def _trace_view(rows: list[dict[str, Any]], total: int, task: TaskRow | None) -> TraceView:
    return TraceView(
        task=None if task is None else task_of_row(task), spans=with_log_content(rows), spans_total=total
    )


def _tasks_between(view: View, low_ns: int, high_ns: int | None) -> View:
    """Return the view without files of tasks that all start elsewhere; a task starts when one of its spans does."""
    files = tuple(
        file
        for file in view.task_files
        if file.start_max >= low_ns and (high_ns is None or file.start_min <= high_ns)
    )
    return replace(view, task_files=files)
