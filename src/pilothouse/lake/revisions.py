# SPDX-License-Identifier: Apache-2.0
"""The current row of a task, the one with the highest revision, in SQL."""

from __future__ import annotations

from pilothouse.lake.view import View

__all__ = ["current", "last_corrected"]

CURRENT = """
 current AS (
   SELECT t.* FROM $SEEN t
   LEFT JOIN (SELECT trace_id, max(revision) AS top FROM $SEEN WHERE revision > 0 GROUP BY trace_id) c USING (trace_id)
   WHERE c.top IS NULL OR t.revision = c.top
 )
"""
"""The highest revision of each task; only the few corrected ones are grouped."""

UNCORRECTED = " current AS (SELECT * FROM tasks) "
"""The same when no task of the view was ever corrected, which the table's statistics say."""


def current(view: View, *, corrected_ns: int | None = None) -> str:
    """Return the definition of `current`, for a query over `tasks`, that a view needs.

    Args:
        view: What is read.
        corrected_ns: Moment after which no correction is seen, Unix nanoseconds; None to see all.
    """
    if not _is_corrected(view):
        return UNCORRECTED
    if corrected_ns is None:
        return CURRENT.replace("$SEEN", "tasks")
    seen = f" seen AS (SELECT * FROM tasks WHERE revision = 0 OR closed_ns <= {int(corrected_ns)}), "  # noqa: S608 - a number
    return seen + CURRENT.replace("$SEEN", "seen")


def last_corrected(view: View) -> str:
    """Return the expression for the moment of the last correction that a view holds; 0 where it holds none."""
    if not _is_corrected(view):
        return "0"
    return "(SELECT coalesce(max(closed_ns), 0) FROM tasks WHERE revision > 0)"


def _is_corrected(view: View) -> bool:
    return any(file.revision_max for file in view.task_files) or any(
        any(batch.column("revision").to_pylist()) for batch in view.task_tail
    )
