# SPDX-License-Identifier: Apache-2.0
"""Sorts failed tasks by what ended them and says who answers for it: the owner of the integration, or of the duty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.failure import MODEL, TOOL, FailureKind, failure_of
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.ports.lake import Lake, TraceView
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.opened_traces import tool_outcomes, with_traces

__all__ = ["OPENED_MAX", "Responsible", "failures", "responsible_for", "triage_lines"]

OPENED_MAX = 50
"""Failed tasks whose traces are read to tell which tool failed, evenly spread over those that called several."""

LINES_MAX = 3
"""Kinds of failure that an incident names, most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsible:
    """Who answers for a kind of failure.

    Attributes:
        person: Person id, or None while the charter leaves it open.
        because: Why this person, in words.
    """

    person: str | None
    because: str

    @property
    def words(self) -> str:
        """Who and why, as a sentence ends with it.

        Example:
            >>> Responsible(person="sam", because="owner of erp").words, Responsible(person=None, because="owner of erp").words
            ('sam (owner of erp)', 'nobody yet (owner of erp is open)')
        """
        return f"{self.person} ({self.because})" if self.person else f"nobody yet ({self.because} is open)"


def responsible_for(charter: Charter, kind: FailureKind) -> Responsible:
    """Return who answers for a kind of failure."""
    if kind.place == TOOL:
        integration = _integration_of(charter, kind.tool)
        if integration is not None:
            terms = (known(charter.integrations) or {}).get(integration)
            person = None if terms is None else known(terms.owner)
            return Responsible(person=person, because=f"owner of {integration}")
        row = charter.raci.integration_maintenance
        return Responsible(person=known(row.accountable), because="accountable for integration_maintenance")
    if kind.place == MODEL:
        return Responsible(
            person=known(charter.raci.model_upgrades.accountable), because="accountable for model_upgrades"
        )
    return Responsible(
        person=known(charter.raci.incident_response.accountable), because="accountable for incident_response"
    )


def failures(lake: Lake, tasks: Iterable[Task]) -> Iterator[tuple[Task, FailureKind]]:
    """Yield each failed task with what ended it; traces are read only where a task alone does not tell the tool.

    Args:
        lake: Has the traces.
        tasks: Tasks in any order.
    """
    failed = [task for task in tasks if task.result is TaskResult.FAILED]
    unclear = [task for task in failed if task.tool_errors and len(task.tools) > 1]
    step = max(len(unclear) / OPENED_MAX, 1.0)
    chosen = [unclear[int(index * step)] for index in range(min(len(unclear), OPENED_MAX))]
    tools = {task.trace_id: _failed_tools(view) for task, view in with_traces(lake, chosen)}
    for task in failed:
        kind = failure_of(task, tools.get(task.trace_id, ()))
        if kind is not None:
            yield task, kind


def triage_lines(lake: Lake, charter: Charter, traces: Sequence[str]) -> tuple[str, ...]:
    """Return what ended the tasks of an incident and who answers for it, most frequent first; none when none failed.

    Args:
        lake: Has the traces.
        charter: The charter in force.
        traces: Traces of the incident, at most a page of them.
    """
    if not traces:
        return ()
    views = lake.traces(traces)
    tasks = [view.task for view in views.values() if view.task is not None]
    found: Counter[FailureKind] = Counter()
    example: dict[FailureKind, str] = {}
    for task, kind in failures(lake, tasks):
        found[kind] += 1
        example.setdefault(kind, task.trace_id)
    total = found.total()
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        f"{count} of {total} failed tasks: {foreign_line(f'{kind.error} in {kind.where}')}; {responsible_for(charter, kind).words} answers "
        f"for it. `pilothouse trace {example[kind]}`"
        for kind, count in ranked[:LINES_MAX]
    )


def _failed_tools(view: TraceView | None) -> list[str]:
    return [one.tool for one in tool_outcomes(view) if one.failed]


def _integration_of(charter: Charter, tool: str) -> str | None:
    for name, terms in (known(charter.tools) or {}).items():
        if tool and tool in known_as(name):
            return known(terms.integration)
    return None
