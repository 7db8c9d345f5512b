# SPDX-License-Identifier: Apache-2.0
"""What happened to an agent lately: what was seen first, the worst tasks, and its versions (tasks, outcomes → rows)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.task import Task
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import interval, percent, short_digest
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import Moment, at_ns, moment
from pilothouse.reports.view_models import Frozen, Link, Quantity, StatusMark, count_of, outcome_mark
from pilothouse.reports.words import plural

__all__ = [
    "AgentTraffic",
    "ChangeRow",
    "VersionRow",
    "WorstRow",
    "change_rows",
    "stood_in_words",
    "version_rows",
    "worst_rows",
]

CHANGES_MAX = 20
"""Changes listed, newest first."""

WORST_MAX = 10
"""Tasks listed as the worst: a person opens a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTraffic:
    """What the lake and the verifiers know about one agent lately.

    Attributes:
        tasks: Tasks of the window, any order.
        outcomes: Their outcomes by trace id.
        window_from: Start of the window, aware UTC.
        window_to: End, aware UTC.
    """

    tasks: Sequence[Task]
    outcomes: Mapping[str, Outcome]
    window_from: datetime
    window_to: datetime


class ChangeRow(Frozen):
    """Something that was seen for the first time: a version, a model, a charter; `number` is its mark in the chart."""

    at: Moment
    number: str = ""
    kind: str
    what: str


class WorstRow(Frozen):
    """A task whose claim the system of record contradicts."""

    link: Link
    at: Moment
    task_type: str
    claim: str
    found: str
    mark: StatusMark


class VersionRow(Frozen):
    """One version of the agent."""

    digest: str
    judged: bool
    first: Moment
    last: Moment
    tasks: Quantity
    agreement: Quantity | None


def _first_seen(tasks: Iterable[Task]) -> dict[tuple[str, str], int]:
    first: dict[tuple[str, str], int] = {}
    for task in tasks:
        keys = [("Version", task.version_digest)] if task.version_digest else []
        keys += [("Model", model) for model in task.models]
        for key in keys:
            if task.start_ns < first.get(key, task.start_ns + 1):
                first[key] = task.start_ns
    return first


def change_rows(traffic: AgentTraffic, in_force: CharterInForce, now: datetime) -> tuple[ChangeRow, ...]:
    """Return what was seen first inside the window, newest first, and the charter in force."""
    rows = [
        ChangeRow(
            at=moment(at_ns(first), now),
            kind=kind,
            what=f"{kind} {short_digest(name) if kind == 'Version' else foreign_line(name)} first seen",
        )
        for (kind, name), first in _first_seen(traffic.tasks).items()
    ]
    rows.append(
        ChangeRow(
            at=moment(in_force.accepted_at, now), kind="Charter", what=f"Charter {in_force.number} accepted"
        )
    )
    return tuple(sorted(rows, key=lambda row: (row.at.at, row.what), reverse=True)[:CHANGES_MAX])


def worst_rows(traffic: AgentTraffic, agent: str, now: datetime) -> tuple[WorstRow, ...]:
    """Return contradicted claims: critical ones first, then the newest."""
    wrong = [one for one in traffic.outcomes.values() if one.status is OutcomeStatus.CONTRADICTED]
    wrong.sort(key=lambda one: (one.critical is None, -one.task_start_ns, one.trace_id))
    return tuple(
        WorstRow(
            link=Link(text=one.trace_id[:8], href=f"/agents/{quote(agent, safe='')}/tasks/{one.trace_id}"),
            at=moment(at_ns(one.task_start_ns), now),
            task_type=foreign_line(one.task_type),
            claim=foreign_line(one.claim or ""),
            found=foreign_line(f"critical: {one.critical}; {one.found}" if one.critical else one.found),
            mark=outcome_mark(one.status),
        )
        for one in wrong[:WORST_MAX]
    )


def _rate(good: int, n: int) -> Quantity | None:
    found = jeffreys_interval(good, n)
    if isinstance(found, NotEnoughEvidence):
        return None
    return Quantity(
        value=found.value,
        unit="rate",
        low=found.low,
        high=found.high,
        n=n,
        shown=percent(found.value, n),
        shown_interval=interval(found.low, found.high, "rate", n=n, currency=""),
    )


def version_rows(
    traffic: AgentTraffic, charter: Charter, judged: str | None, now: datetime
) -> tuple[VersionRow, ...]:
    """Return the versions of the window with the agreement of their own work, the latest first.

    Args:
        traffic: Tasks and outcomes of the window.
        charter: The charter that is judged: what its stand-ins answered is no version's.
        judged: Digest of the version that is judged, or None.
        now: The moment, aware UTC.
    """
    groups: dict[str | None, list[Task]] = {}
    for task in own_work(charter, traffic.tasks):
        groups.setdefault(task.version_digest, []).append(task)
    rows = []
    for digest, tasks in groups.items():
        found = [
            traffic.outcomes[task.trace_id].status for task in tasks if task.trace_id in traffic.outcomes
        ]
        good = found.count(OutcomeStatus.VERIFIED)
        rows.append(
            VersionRow(
                digest=short_digest(digest),
                judged=digest == judged,
                first=moment(at_ns(min(task.start_ns for task in tasks)), now),
                last=moment(at_ns(max(task.start_ns for task in tasks)), now),
                tasks=count_of(len(tasks)),
                agreement=_rate(good, good + found.count(OutcomeStatus.CONTRADICTED)),
            )
        )
    return tuple(sorted(rows, key=lambda row: row.last.at, reverse=True)[:CHANGES_MAX])


def stood_in_words(traffic: AgentTraffic, charter: Charter) -> str:
    """Return how many tasks of the window a stand-in answered, which are of no version; empty when there is none.

    Args:
        traffic: Tasks of the window.
        charter: The charter that is judged.
    """
    left_out = len(traffic.tasks) - len(own_work(charter, traffic.tasks))
    if not left_out:
        return ""
    return f"{plural(left_out, 'more task')} of the {len(traffic.tasks):,}: a stand-in of the pinned model answered, so no version did"
