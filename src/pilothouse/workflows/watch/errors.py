# SPDX-License-Identifier: Apache-2.0
"""Kinds of failure, day by day: counted, held against their own past, and told when one ends more tasks than it used to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.effective_counts import cases_of_a_day
from pilothouse.core.evidence.failure import TOOL, FailureKind
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.watched import FailureGroup
from pilothouse.core.statistics.rates import RateState, RateWatch
from pilothouse.ports.lake import Lake
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.incidents.alerts import rule_for
from pilothouse.workflows.incidents.triage import failures, responsible_for
from pilothouse.workflows.watch.rules import arl_days

__all__ = ["ERRORS", "FailureLook", "failure_groups", "failure_watch", "look_at_failures"]

ERRORS = "errors"
"""Name of the detector; its readings are about the agent as a whole, for a task may fail before it has a type."""

KINDS_WATCHED_MAX = 12
"""Kinds with a detector of their own; they share one false alarm, so more of them would be seen later."""

CASES_TO_REPLACE = 3
"""Tasks of a day that a kind must have ended before it takes the place of another: one or two are chance."""

KINDS_KEPT_MAX = 10
"""Kinds of one day that its reading names; the rest is counted together."""

NEW_DAYS = 7
"""A kind first seen in so many counted days is new."""

_NONE = ""
"""State of a kind that was never seen: every task was free of it. A new kind goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLook:
    """What the failures of one day say.

    Attributes:
        document: The reading.
        layer: `quiet`, `warning` or `verdict`.
        states: What is remembered of each kind.
    """

    document: dict[str, object]
    layer: str
    states: dict[str, RateState]


def failure_watch(charter: Charter) -> RateWatch:
    """Return the detector of one kind: its line is that kind's own first month, two points of band below."""
    return RateWatch(
        committed=None,
        uses_baseline=True,
        arl_days=arl_days(rule_for(charter, "tool_errors", None)),
        detectors=KINDS_WATCHED_MAX,
    )


def look_at_failures(
    lake: Lake, charter: Charter, tasks: Sequence[Task], before: Mapping[str, RateState], day: date
) -> FailureLook:
    """Count the failures of a finished day by kind.

    A kind is watched from the day after it was first seen: the day that brought it here was chosen for it and proves nothing.
    Where `KINDS_WATCHED_MAX` are watched, a more frequent one takes the place of the rarest.

    Args:
        lake: Has the traces of failed tasks.
        charter: The charter in force.
        tasks: All tasks of the day.
        before: What is remembered of each kind.
        day: The day.
    """
    found: Counter[FailureKind] = Counter()
    traces: dict[FailureKind, list[str]] = {}
    for task, kind in failures(lake, tasks):
        found[kind] += 1
        traces.setdefault(kind, []).append(task.trace_id)
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    watch, n = failure_watch(charter), len(tasks)
    never = before.get(_NONE, RateState())
    states = dict(before)
    states[_NONE], unseen = watch.update(never, day, *_counted(tasks, ()))
    rising: list[dict[str, Any]] = []
    for key in [one for one in before if one != _NONE]:
        kind = _read(key)
        states[key], reading = watch.update(before[key], day, *_counted(tasks, traces.get(kind, ())))
        if reading.alarm:
            rising.append({"kind": key, "line": reading.line, "risen": str(states[key].risen or day)})
    for kind, count in ranked:
        if _key(kind) in states:
            continue
        if len(states) > KINDS_WATCHED_MAX:
            rarer = _rarer(states, found, n, count)
            if rarer is None:
                break
            del states[rarer]
        states[_key(kind)] = replace(never, last=day)
    document: dict[str, object] = {
        "n": n,
        "worth": unseen.worth,
        "kinds": [[_key(kind), count, traces[kind][-1]] for kind, count in ranked[:KINDS_KEPT_MAX]],
        "others": sum(count for _, count in ranked[KINDS_KEPT_MAX:]),
        "line": unseen.line,
        "missing": "the first month is not over" if unseen.line is None else unseen.missing,
        "rising": [one["kind"] for one in rising],
    }
    if not rising:
        return FailureLook(document=document, layer="quiet", states=states)
    worst = max(rising, key=lambda one: found[_read(one["kind"])])
    kind = _read(worst["kind"])
    rule = rule_for(charter, "tool_errors", None) if kind.place == TOOL else None
    document |= {
        "sentence": f"{kind.error} in {kind.where} ended {found[kind]:,} of {n:,} tasks on {calendar_day(day)}, more than it used to since "
        f"{calendar_day(date.fromisoformat(worst['risen']))}; {responsible_for(charter, kind).words} answers for it.",
        "risen": worst["risen"],
        "traces": traces.get(kind, [])[:20],
        "metric": "tool_errors" if kind.place == TOOL else "completion",
    }
    return FailureLook(document=document, layer="verdict" if rule else "warning", states=states)


def _counted(tasks: Sequence[Task], ended: Collection[str]) -> tuple[int, int, int]:
    """What a detector counts of a day where some tasks ended so: tasks, the others among them, and what they are worth."""
    bad = set(ended)
    return cases_of_a_day([one.trace_id not in bad for one in tasks], [one.conversation for one in tasks])


def _rarer(
    states: Mapping[str, RateState], found: Mapping[FailureKind, int], n: int, count: int
) -> str | None:
    """The watched kind whose place one with so many cases today takes: the rarest, if it has less than half as many.

    A kind is as frequent as it was in its first month or is today, whichever is more, so that a quiet day takes nobody's past;
    one whose evidence has begun to rise keeps its place.
    """
    if count < CASES_TO_REPLACE:
        return None
    share = {
        key: max(1 - state.good / state.n if state.n else 0.0, found.get(_read(key), 0) / n)
        for key, state in states.items()
        if key != _NONE and state.cusum == 0
    }
    rarest = min(share, key=lambda key: (share[key], key), default=None)
    return rarest if rarest is not None and 2 * share[rarest] * n < count else None


def failure_groups(charter: Charter, readings: Iterable[WatchReading]) -> tuple[FailureGroup, ...]:
    """Return the kinds of failure of some days with who answers for them, most frequent first.

    Args:
        charter: The charter in force.
        readings: Readings of `ERRORS`, oldest first.
    """
    said = [(one.day, json.loads(one.document)) for one in readings]
    newest = said[-1][0] if said else None
    counts: Counter[str] = Counter()
    recent: Counter[str] = Counter()
    first: dict[str, date] = {}
    trace: dict[str, str] = {}
    rising: set[str] = set()
    for day, document in said:
        is_recent = newest is not None and (newest - day).days < NEW_DAYS
        rising |= set(document["rising"]) if is_recent else set()
        for key, count, example in document["kinds"]:
            counts[key] += count
            recent[key] += count * is_recent
            first.setdefault(key, day)
            trace[key] = example
    started = said[0][0] if said else None
    return tuple(
        FailureGroup(
            kind=_read(key),
            count=count,
            recent=recent[key],
            first=first[key],
            trend="rising"
            if key in rising
            else "new"
            if newest is not None and first[key] != started and (newest - first[key]).days < NEW_DAYS
            else "steady",
            answers=responsible_for(charter, _read(key)).words,
            trace=trace[key],
        )
        for key, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _key(kind: FailureKind) -> str:
    return json.dumps([kind.error, kind.place, kind.tool], ensure_ascii=False)


def _read(key: str) -> FailureKind:
    return FailureKind(*json.loads(key))
