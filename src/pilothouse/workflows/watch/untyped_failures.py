# SPDX-License-Identifier: Apache-2.0
"""Tasks that failed before they said what they were: no detector of a task type counts them, so the agent as a whole does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.evidence.unix_time import moment_of, unix_ns
from pilothouse.core.statistics.intervals import failure_upper_bound
from pilothouse.core.statistics.results import Estimate
from pilothouse.workflows.incidents.alerts import Firing

__all__ = ["LOOKS_PER_YEAR", "WITHIN", "untyped_failures"]

WITHIN = timedelta(hours=1)
"""Tasks that are looked at: an agent that cannot reach its model fails within minutes."""

LOOKS_PER_YEAR = 365 * 24 * 4
"""One every quarter of an hour; each has its share of one false alarm a year (Bonferroni), even right at the floor."""


def untyped_failures(charter: Charter, tasks: Sequence[Task], now: datetime) -> Firing | None:
    """Return the alert about an agent whose failing tasks have no declared type; None while it keeps its floor.

    Completion of all tasks is held against the lowest floor of the task types: below it, one of them is broken whatever
    the failed tasks would have been.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent, those of the last hour among them.
        now: The moment, aware UTC.
    """
    since = unix_ns(now - WITHIN)
    ended = [
        one
        for one in tasks
        if one.start_ns >= since and one.result in {TaskResult.COMPLETED, TaskResult.FAILED}
    ]
    failed = [one for one in ended if one.result is TaskResult.FAILED]
    untyped = [one for one in failed if one.task_type not in charter.task_types]
    floors = [
        float(floor)
        for terms in charter.task_types.values()
        if (floor := known(terms.completion.min)) is not None
    ]
    if not untyped or not floors:
        return None
    # The bound of a rate of failures, of completed tasks: it bounds any rate from above.
    done = failure_upper_bound(len(ended) - len(failed), len(ended), 1 - 1 / LOOKS_PER_YEAR)
    if not isinstance(done, Estimate) or done.high >= min(floors):
        return None
    return Firing(
        agent=charter.agent,
        metric="completion",
        # Without counts, which change with every look: the same trouble is one line of its incident in an hour.
        sentence="Tasks fail before they say their type; completion of all tasks of an hour is below "
        f"{100 * min(floors):g} %, which is said wrongly once a year at most.",
        traces=tuple(one.trace_id for one in untyped[:10]),
        onset=moment_of(min(one.start_ns for one in untyped)),
    )
