# SPDX-License-Identifier: Apache-2.0
"""Look at every recent task with tools and put on record how many went in circles, wherever the calls were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.loops import LOOP_CALLS_MIN, Step, loop_of
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import CharterError
from pilothouse.ports.lake import TraceView
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.opened_traces import tool_outcomes, with_traces
from pilothouse.workflows.integrations.tool_contracts import read_contracts

__all__ = ["measure_loops"]

WINDOW = timedelta(days=28)
"""As INT-7 asks."""

TASKS_MAX = 500
"""Traces that are opened in one look, newest first; with fewer calls than a circle needs a task is not opened at all."""


def measure_loops(
    installation: Installation, record: CharterInForce, tasks: Sequence[Task], now: datetime
) -> tuple[Evidence, ...]:
    """Return how many tasks of each version went in circles, up to the last full hour.

    Args:
        installation: Lake and ledger.
        record: The charter in force.
        tasks: Tasks with tool calls of the last 28 days and a little more.
        now: The moment, aware UTC.
    """
    charter = charter_of(record)
    end = now.replace(minute=0, second=0, microsecond=0)  # one record an hour at most, not one a look
    end_ns = unix_ns(end)
    called = sorted((task for task in tasks if task.start_ns < end_ns), key=lambda task: -task.start_ns)
    long = [task for task in called if task.tool_calls >= LOOP_CALLS_MIN]
    if len(long) > TASKS_MAX:
        # What is not opened is not counted either, or it would count as sound.
        oldest = long[TASKS_MAX - 1].start_ns
        called, long = [task for task in called if task.start_ns >= oldest], long[:TASKS_MAX]
    polling = _polling(charter, record)
    caught: dict[str, str] = {}
    for task, view in with_traces(installation.lake, long):
        pattern = loop_of(_steps(view, polling))
        if pattern is not None:
            caught[task.trace_id] = pattern
    versions: dict[str | None, list[Task]] = {}
    for task in called:
        versions.setdefault(task.version_digest, []).append(task)
    return tuple(_records(charter, versions, caught, end=end, now=now))


def _polling(charter: Charter, record: CharterInForce) -> frozenset[str]:
    """Names of tools that are asked over and over as their normal use."""
    try:
        contracts = read_contracts(charter, Path(record.path).parent)
    except CharterError:
        return frozenset()  # `pilothouse check` says what is wrong with a contract
    return frozenset(
        name for tool, (contract, _) in contracts.items() if contract.polling for name in known_as(tool)
    )


def _steps(view: TraceView | None, polling: frozenset[str]) -> list[Step]:
    """The calls of a trace as a loop sees them; calls whose arguments nobody kept are never equal."""
    return [
        Step(one.tool, one.args or f"unknown {number}", failed=one.failed, polling=one.tool in polling)
        for number, one in enumerate(tool_outcomes(view))
    ]


def _records(
    charter: Charter,
    versions: dict[str | None, list[Task]],
    caught: dict[str, str],
    *,
    end: datetime,
    now: datetime,
) -> Iterator[Evidence]:
    for version, tasks in versions.items():
        items: Sequence[str] = [task.trace_id for task in tasks if task.trace_id in caught]
        yield recorded(
            "run.loops",
            charter,
            now,
            command="pilothouse up",
            version=version,
            since=end - WINDOW,
            until=end,
            n=len(tasks),
            good=len(tasks) - len(items),
            items=tuple(items),
            detail=f"the latest: {caught[items[0]]}" if items else "",
        )
