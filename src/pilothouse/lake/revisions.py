# SPDX-License-Identifier: Apache-2.0
"""Which row of a task is the current one: the one of the highest revision, in SQL."""

from __future__ import annotations

from pilothouse.lake.view import View

__all__ = ["current"]

CURRENT = """
 current AS (
   SELECT t.* FROM tasks t
   LEFT JOIN (SELECT trace_id, max(revision) AS top FROM tasks WHERE revision > 0 GROUP BY trace_id) c USING (trace_id)
   WHERE c.top IS NULL OR t.revision = c.top
 )
"""
"""The highest revision of each task; only the few corrected ones are grouped."""

UNCORRECTED = " current AS (SELECT * FROM tasks) "
"""The same when no task of the view was ever corrected, which the table's statistics say."""


def current(view: View) -> str:
    """Return the definition of `current`, for a query over `tasks`, that a view needs.

    Args:
        view: What is read.
    """
    is_corrected = any(file.revision_max for file in view.task_files) or any(
        any(batch.column("revision").to_pylist()) for batch in view.task_tail
    )
    return CURRENT if is_corrected else UNCORRECTED
