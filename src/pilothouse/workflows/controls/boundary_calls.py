# SPDX-License-Identifier: Apache-2.0
"""Which tool calls of an agent's traces have a decision on record (traces and decisions → counts)."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from pilothouse.core.charter.tool_names import known_as
from pilothouse.core.evidence.fold import version_in_force
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.audit import AuditRecord
from pilothouse.ports.lake import Lake, TaskFilter
from pilothouse.workflows.controls.policy_use import USED_WITHIN
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.newest_tasks import every_page

__all__ = ["BoundaryCalls", "count_boundary_calls"]

RUNS_NAMED_MAX = 50
"""Runs that are named, the newest: enough to open."""

CLOCKS_APART_NS = 60 * 10**9
"""How far the clock of an agent may be from ours before a decision of ours is no longer in the time of its task."""


@dataclass(frozen=True, slots=True)
class BoundaryCalls:
    """Tool calls of the version that served last.

    Attributes:
        calls: All of them.
        past: Those that nobody decided about.
        unlinked: Those of which nobody can tell, because a decision in their time names a run that no trace has.
        runs: Traces with calls of either kind.
    """

    calls: int
    past: int
    unlinked: int
    runs: tuple[str, ...]


def count_boundary_calls(
    room: BoundaryRoom, agent: str, decided: Sequence[AuditRecord], now: datetime
) -> tuple[str | None, BoundaryCalls]:
    """Count the tool calls of the version that served last against the decisions on record for its runs.

    A task that was opened at `/mcp/tasks` without its trace has a run of its own, and its decisions name that one. A call
    in whose time its tool was decided about in such a run may be that call: neither past the boundary nor within it.

    Args:
        room: Installation with its audit log.
        agent: Agent id.
        decided: Its decisions, newest first.
        now: The present moment, aware UTC.

    Returns:
        The version, and its calls.
    """
    said = [(record.at, json.loads(record.text)["document"]) for record in decided]
    on_record: Counter[str] = Counter(document["run"] for _, document in said)
    since = now - USED_WITHIN
    if decided and len(decided) >= room.searched_max:
        since = max(since, decided[-1].at)
    window = TaskFilter(agent=agent, from_ns=unix_ns(since), to_ns=unix_ns(now), state="complete")
    lake = room.installation.lake
    version = version_in_force(lake.tasks(window, limit=1).tasks)
    served = replace(window, version_digest=version)
    calls, missing = 0, 0
    runs: list[str] = []
    for task, without in _calls_of(lake, served, on_record):
        calls += task.tool_calls
        missing += without
        if without and len(runs) < RUNS_NAMED_MAX:
            runs.append(task.trace_id)
    unlinked = 0
    if missing and on_record:
        strangers = set(on_record)
        for page in every_page(lake, replace(window, state=None)):
            strangers.difference_update(task.trace_id for task in page)
        elsewhere = sorted(
            (unix_ns(at), str(document["tool"])) for at, document in said if document["run"] in strangers
        )
        for task, without in _calls_of(lake, served, on_record) if elsewhere else ():
            unlinked += _take(elsewhere, task, without)
    return version, BoundaryCalls(calls, missing - unlinked, unlinked, tuple(runs))


def _calls_of(lake: Lake, served: TaskFilter, on_record: Counter[str]) -> Iterator[tuple[Task, int]]:
    """Yield each task, and how many of its tool calls its own decisions do not account for."""
    for task in chain.from_iterable(every_page(lake, served)):
        if task.version_digest == served.version_digest:  # of tasks that name no version the newest was one
            yield task, max(0, task.tool_calls - on_record[task.trace_id])


def _take(elsewhere: list[tuple[int, str]], task: Task, most: int) -> int:
    """Take out the decisions of other runs that may be about calls of a task, each once; return how many."""
    if not most:
        return 0
    first = bisect_left(elsewhere, (task.start_ns - CLOCKS_APART_NS, ""))
    last = bisect_left(elsewhere, (task.end_ns + CLOCKS_APART_NS, ""))
    tools = set(task.tools)
    about = [place for place in range(first, last) if not tools.isdisjoint(known_as(elsewhere[place][1]))]
    for place in reversed(about[:most]):
        del elsewhere[place]
    return min(most, len(about))
