# SPDX-License-Identifier: Apache-2.0
"""Reads the tasks with tools of every agent once, and hands them to what looks for answers after errors and for circles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.work import work_of
from pilothouse.ports.lake import Lake
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.integrations.run_loops import measure_loops
from pilothouse.workflows.integrations.silent_errors import measure_tool_errors

__all__ = ["TOOL_RUNS_EVERY_S", "look_at_tool_runs", "tasks_with_tools"]

TOOL_RUNS_EVERY_S = 600.0

WINDOW = timedelta(days=28)
"""As INT-7 asks."""


def look_at_tool_runs(installation: Installation, now: datetime) -> int:
    """Measure every agent with a charter; return how many records were new.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def measure(record: CharterInForce) -> int:
        charter = charter_of(record)
        called = work_of(charter, tasks_with_tools(installation.lake, record.agent, now))
        if not called:
            return 0
        found = measure_tool_errors(installation, charter, called, now)
        return installation.ledger.add_evidence((*found, *measure_loops(installation, record, called, now)))

    return for_every_agent(installation.ledger, measure)


def tasks_with_tools(lake: Lake, agent: str, now: datetime) -> Sequence[Task]:
    """Return the tasks of the window in which a tool was called."""
    return [task for task in tasks_between(lake, agent, now - WINDOW, now) if task.tool_calls]
