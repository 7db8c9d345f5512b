# SPDX-License-Identifier: Apache-2.0
"""Looks at recent tasks with tools: how many answered after an error as if nothing had happened, and how many ran in a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.loops import LOOP_CALLS_MIN, Step, loop_of
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.silent_error import SilentError, classify_answer
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import work_of
from pilothouse.errors import CharterError
from pilothouse.ports.lake import TraceView
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.opened_traces import tool_outcomes, with_traces
from pilothouse.workflows.integrations.tool_contracts import read_contracts

__all__ = ["TOOL_RUNS_EVERY_S", "look_at_tool_runs", "measure_loops"]

TOOL_RUNS_EVERY_S = 600.0

WINDOW = timedelta(days=28)
"""As INT-7 asks."""

TASKS_MAX = 500
"""Traces that one look opens for each question: a few megabytes of texts, and far more than the rule needs."""

_CLASSES = {
    "tool_error.confident": (SilentError.SILENT, SilentError.HARD, SilentError.UNCLEAR),
    "tool_error.hard": (SilentError.HARD,),
}
"""Which answers after an error are bad, by kind of record."""


def look_at_tool_runs(installation: Installation, now: datetime) -> int:
    """Measure every agent with a charter; return how many records were new.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def measure(record: CharterInForce) -> int:
        charter = charter_of(record)
        tasks = tasks_between(installation.lake, record.agent, now - WINDOW, now)
        called = [task for task in own_work(charter, work_of(charter, tasks)) if task.tool_calls]
        if not called:
            return 0
        errors = _tool_errors(installation, charter, called, now)
        loops = measure_loops(installation, charter, Path(record.path).parent, called, now)
        return installation.ledger.add_evidence((*errors, *loops))

    return for_every_agent(installation.ledger, measure)


def _tool_errors(
    installation: Installation, charter: Charter, tasks: Sequence[Task], now: datetime
) -> Iterator[Evidence]:
    """Yield the two records about tool errors for each version that had any."""
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
        verdict = classify_answer(task, tool_outcomes(view), effects=effects, contradicted=contradicted)
        if verdict is not SilentError.NONE:
            found.setdefault(task.version_digest, []).append((task, verdict))
    for version, pairs in found.items():
        # The record ends with its last task, so that a look that finds nothing new writes nothing new.
        last_us = max(task.end_ns for task, _ in pairs) // 1_000
        end = datetime.fromtimestamp(last_us / 1e6, now.tzinfo)
        unclear = sum(verdict is SilentError.UNCLEAR for _, verdict in pairs)
        for kind, classes in _CLASSES.items():
            bad = [task.trace_id for task, verdict in pairs if verdict in classes]
            yield _record(kind, charter, version, n=len(pairs), bad=bad, end=end, now=now, unclear=unclear)


def measure_loops(
    installation: Installation, charter: Charter, folder: Path, tasks: Sequence[Task], now: datetime
) -> Iterator[Evidence]:
    """Yield how many tasks of each version ran in a loop, up to the last full hour.

    Args:
        installation: Lake and ledger.
        charter: The charter in force.
        folder: Where its contracts are.
        tasks: Tasks in which a tool was called.
        now: The moment, aware UTC.
    """
    end = now.replace(minute=0, second=0, microsecond=0)  # one record an hour at most, not one a look
    end_ns = unix_ns(end)
    called = sorted((task for task in tasks if task.start_ns < end_ns), key=lambda task: -task.start_ns)
    long = [task for task in called if task.tool_calls >= LOOP_CALLS_MIN]
    if len(long) > TASKS_MAX:
        # What is not opened is not counted either, or it would count as sound.
        oldest = long[TASKS_MAX - 1].start_ns
        called, long = [task for task in called if task.start_ns >= oldest], long[:TASKS_MAX]
    polling = _polling(charter, folder)
    caught: dict[str, str] = {}
    for task, view in with_traces(installation.lake, long):
        pattern = loop_of(_steps(view, polling))
        if pattern is not None:
            caught[task.trace_id] = pattern
    versions: dict[str | None, list[str]] = {}
    for task in called:
        versions.setdefault(task.version_digest, []).append(task.trace_id)
    for version, traces in versions.items():
        bad = [one for one in traces if one in caught]
        detail = f"the latest: {caught[bad[0]]}" if bad else ""
        yield _record("run.loops", charter, version, n=len(traces), bad=bad, end=end, now=now, detail=detail)


def _polling(charter: Charter, folder: Path) -> frozenset[str]:
    """Names of tools that are asked over and over as their normal use."""
    try:
        contracts = read_contracts(charter, folder)
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


def _record(
    kind: str,
    charter: Charter,
    version: str | None,
    *,
    n: int,
    bad: Sequence[str],
    end: datetime,
    now: datetime,
    detail: str = "",
    unclear: int | None = None,
) -> Evidence:
    return recorded(
        kind,
        charter,
        now,
        command="pilothouse up",
        version=version,
        since=end - WINDOW,
        until=end,
        n=n,
        good=n - len(bad),
        items=tuple(bad),
        detail=detail,
        counts={} if unclear is None else {"unclear": unclear},
    )
