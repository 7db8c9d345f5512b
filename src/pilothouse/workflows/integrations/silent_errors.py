# SPDX-License-Identifier: Apache-2.0
"""Look at every recent task with a tool error and put on record how many were answered as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.silent_error import SilentError, classify_answer
from pilothouse.core.evidence.task import Task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.opened_traces import tool_outcomes, with_traces

__all__ = ["measure_tool_errors"]

WINDOW = timedelta(days=28)
"""As INT-7 asks."""

TASKS_MAX = 500
"""Tasks that are opened in one look, newest first: a few megabytes of texts, and far more than the rule needs."""


def measure_tool_errors(
    installation: Installation, charter: Charter, tasks: Sequence[Task], now: datetime
) -> tuple[Evidence, ...]:
    """Return the two records about tool errors for each version that had any.

    Args:
        installation: Lake and ledger.
        charter: The charter in force.
        tasks: Tasks with tool calls of the last 28 days.
        now: The moment, aware UTC.
    """
    # A failure that only the result tells of is seen among all tasks with tools, those with known errors first.
    called = sorted(tasks, key=lambda task: (task.tool_errors == 0, -task.start_ns))[:TASKS_MAX]
    outcomes = installation.ledger.outcomes_of([task.trace_id for task in called])
    effects = {
        name: str(tool.effect)
        for called, tool in (known(charter.tools) or {}).items()
        for name in known_as(called)
    }
    found: dict[str | None, list[tuple[Task, SilentError]]] = {}
    for task, view in with_traces(installation.lake, called):
        outcome = outcomes.get(task.trace_id)
        contradicted = outcome is not None and outcome.status is OutcomeStatus.CONTRADICTED
        calls = tool_outcomes(view)
        verdict = classify_answer(task, calls, effects=effects, contradicted=contradicted)
        if verdict is not SilentError.NONE:
            found.setdefault(task.version_digest, []).append((task, verdict))
    return tuple(
        record for version, pairs in found.items() for record in _records(charter, version, pairs, now)
    )


def _records(
    charter: Charter, version: str | None, pairs: Sequence[tuple[Task, SilentError]], now: datetime
) -> Iterator[Evidence]:
    bad = {
        "tool_error.confident": (SilentError.SILENT, SilentError.HARD, SilentError.UNCLEAR),
        "tool_error.hard": (SilentError.HARD,),
    }
    # The record ends with its last task, so that a look that finds nothing new writes nothing new.
    last_us = max(task.end_ns for task, _ in pairs) // 1_000
    end = datetime.fromtimestamp(last_us / 1e6, now.tzinfo)
    for name, classes in bad.items():
        items = [task.trace_id for task, verdict in pairs if verdict in classes]
        unclear = sum(verdict is SilentError.UNCLEAR for _, verdict in pairs)
        yield recorded(
            name,
            charter,
            now,
            command="pilothouse up",
            version=version,
            since=end - WINDOW,
            until=end,
            n=len(pairs),
            good=len(pairs) - len(items),
            items=tuple(items),
            counts={"unclear": unclear},
        )
