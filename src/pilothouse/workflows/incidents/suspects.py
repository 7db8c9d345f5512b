# SPDX-License-Identifier: Apache-2.0
"""What changed around the moment at which something went wrong: charter, version, model, tools; nearest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pilothouse.core.dates import minute
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import TaskFilter
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.installation import Installation

__all__ = ["SUSPECTS_MAX", "suspects"]

LOOK_BACK = timedelta(days=14)
"""A slide of the sources' kind takes two weeks; what is older has been lived with."""

SUSPECTS_MAX = 5
"""More is no suspicion but a list of everything."""

NAME_CHARS_MAX = 80
"""Of a name that telemetry gave, as much as tells it from another one."""

DECISIONS_READ_MAX = 200
"""Decisions of one kind that are looked through, the newest first."""

PAGE = 10_000
"""Tasks looked at: the newest ones before the onset, the largest page of the lake."""

_DECISIONS = {
    "charter.accepted": "charter {number} came into force",
    "agent.rolled_back": "it was rolled back to {to_version}",
    "agent.rollback_ended": "every version was let serve again",
    "agent.resumed": "it was resumed after a pause",
    "tool.contract_changed": "a tool contract changed",
    "model.fingerprint": "{model} answered with fingerprint {fingerprint} for the first time",
}


def suspects(installation: Installation, agent: str, onset: datetime) -> tuple[str, ...]:
    """Return what changed before an onset, as sentences, the nearest change first.

    A coincidence in time is shown as one: nothing here says that it is the cause.

    Args:
        installation: Lake and ledger.
        agent: Agent id.
        onset: When it began, aware UTC.
    """
    found: list[tuple[datetime, str]] = []
    end = onset + timedelta(hours=1)
    for kind, pattern in _DECISIONS.items():  # each by itself: a busy agent's reviews are hundreds a day
        for decision in installation.ledger.decisions(agent, kind=kind, limit=DECISIONS_READ_MAX):
            if onset - LOOK_BACK <= decision.at <= end:
                document = {"number": "?", "to_version": "?", **json.loads(decision.document)}
                found.append((decision.at, pattern.format(**document)))
    page = installation.lake.tasks(TaskFilter(agent=agent, to_ns=unix_ns(end)), limit=PAGE)
    floor = unix_ns(onset - LOOK_BACK)
    tasks = sorted((task for task in page.tasks if task.start_ns >= floor), key=lambda task: task.start_ns)
    for word, read in _TRAITS:
        found += _first_seen(word, read, tasks)
    near = sorted(found, key=lambda one: abs((onset - one[0]).total_seconds()))
    return tuple(f"{minute(at)}: {text}" for at, text in near[:SUSPECTS_MAX])


def _first_seen(
    word: str, read: Callable[[Task], Iterable[str]], tasks: Sequence[Task]
) -> list[tuple[datetime, str]]:
    """Return when each value was first seen, unless it was there from the first task looked at; names are foreign text."""
    first: dict[str, int] = {}
    for task in tasks:
        for value in read(task):
            first.setdefault(value, task.start_ns)
    start = tasks[0].start_ns if tasks else 0
    # A busy agent's tasks fill the page long before the fortnight is over: what is older than it was not looked at.
    since = f"(looked at since {minute(_moment(start))})"
    return [
        (_moment(at), f"{word} {foreign_line(value, chars_max=NAME_CHARS_MAX)} was first seen {since}")
        for value, at in first.items()
        if at > start
    ]


_TRAITS: tuple[tuple[str, Callable[[Task], Iterable[str]]], ...] = (
    ("version", lambda task: [task.version_digest] if task.version_digest else []),
    ("model", lambda task: task.models),
    ("tool", lambda task: task.tools),
    ("task type", lambda task: [task.task_type]),
)


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
