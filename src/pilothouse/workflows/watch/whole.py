# SPDX-License-Identifier: Apache-2.0
"""Looks at an agent as a whole, after its days are counted: cost each day, drift each week."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.errors import Conflict
from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.incidents.alerts import rule_for
from pilothouse.workflows.watch.book import WatchBook
from pilothouse.workflows.watch.cost import CostRise, cost_document, look_at_cost
from pilothouse.workflows.watch.days import TASKS_AHEAD_MAX
from pilothouse.workflows.watch.drift import WeekSample, drift_traces, look_at_drift
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.rules import TRAFFIC

__all__ = ["look_at_whole"]

COST, DRIFT = "cost_per_task", "drift"
DEAREST_MAX = 10
"""Tasks that an alert on cost names."""

WEEK = timedelta(days=7)


def look_at_whole(watch: WatchRoom, now: datetime) -> None:
    """Look at cost and drift of every agent whose days moved on; running it again changes nothing.

    Raises:
        Exception: The first fault, after the other agents were looked at.
    """
    whole, faults = watch.room.watch.whole(), Faults()
    for agent, charter in watch.directory.charters().items():
        states = whole.get(agent, {})
        kept = states.get(TRAFFIC)
        if kept is None:
            continue
        # In a conflict another process looked.
        with faults.apart(), suppress(Conflict):
            day = date.fromisoformat(json.loads(kept.document)["last"])
            book = WatchBook(watch.room.watch, agent, now, {("", name): one for name, one in states.items()})
            _cost(watch, charter, book, day)
            _drift(watch, charter, book, day)
    faults.raise_first()


def _cost(watch: WatchRoom, charter: Charter, book: WatchBook, day: date) -> None:
    kept = book.kept("", COST)
    known = {} if kept is None else json.loads(kept.document)
    before = None if kept is None else date.fromisoformat(known["last"])
    if before is not None and before >= day:
        return
    since = None if before is None else before + timedelta(days=1)
    first = known.get("first")
    look = look_at_cost(
        watch.room.watch,
        charter,
        day,
        since=since,
        first=None if first is None else date.fromisoformat(first),
    )
    if look is None:
        return
    book.remember("", COST, {"last": day.isoformat(), "first": look.next_first.isoformat()})
    loud = "warning" if rule_for(charter, COST, None) is None else "verdict"
    said: dict[date, tuple[Mapping[str, Any], str]] = {day: (cost_document(look), "quiet")}
    # Of two alerts of a day, the worse one is its reading.
    for alert in sorted(look.alerts, key=lambda one: one.alert.score):
        dear = {"traces": _dearest(watch, charter, alert)}
        said[alert.until] = (cost_document(look, alert) | dear, loud)
    for at, (document, layer) in said.items():
        book.say("", COST, at, document, layer)
    book.store(COST)


def _dearest(watch: WatchRoom, charter: Charter, rise: CostRise) -> list[str]:
    """Traces of the tasks that cost most in the days of an alert, the dearest first."""
    start, end = midnight(rise.begins), midnight(rise.until + timedelta(days=1))
    tasks = tasks_between(watch.room.installation.lake, charter.agent, start, end)
    costs = [
        (one.cost_usd, one.trace_id)
        for one in tasks
        if one.cost_usd is not None and one.task_type in charter.task_types
    ]
    return [trace for _, trace in sorted(costs, reverse=True)[:DEAREST_MAX]]


def _drift(watch: WatchRoom, charter: Charter, book: WatchBook, day: date) -> None:
    kept = book.kept("", DRIFT)
    state: dict[str, Any] = json.loads(kept.document) if kept else {}
    if not state:
        first = watch.room.watch.readings(
            charter.agent, since=date(2000, 1, 1), detector="traffic", limit=1_000
        )
        used = [one.day for one in first if json.loads(one.document)["tasks"]]
        if not used:
            return
        state = {"last": (min(used) + WEEK - timedelta(days=1)).isoformat(), "from": min(used).isoformat()}
        book.remember("", DRIFT, state)
        book.store(DRIFT)
        return
    due = date.fromisoformat(state["last"]) + WEEK
    if due > day:
        return
    # Of several weeks that are due, the newest counts: the older ones are history nobody can act on.
    due += WEEK * ((day - due) // WEEK)
    reference = _week(watch, charter, date.fromisoformat(state["from"]))
    current = _week(watch, charter, due + timedelta(days=1) - WEEK)
    book.remember("", DRIFT, {**state, "last": due.isoformat()})
    if not current.n or not reference.n:
        book.store(DRIFT)
        return
    look = look_at_drift(watch.room.installation.lake, reference.kept, current.kept)
    document: dict[str, Any] = {
        "n": current.n,
        "compared": look.compared,
        "p": look.p_values,
        "detail": look.detail,
        "changed": list(look.changed),
    }
    if look.changed:
        document["sentence"] = (
            f"{' and '.join(look.changed).capitalize()} of {charter.agent} differ from the week of {state['from']}: {look.detail}."
        )
        document["traces"] = list(drift_traces(current.kept))
    book.say("", DRIFT, due, document, "warning" if look.changed else "quiet")
    book.store(DRIFT)


def _week(watch: WatchRoom, charter: Charter, first: date) -> WeekSample:
    """Read the tasks of a week, as many at once as lie well in memory; their days were counted, so how many they are is known."""
    counted = watch.room.watch.readings(charter.agent, since=first, detector="traffic")
    days = {first + timedelta(days=number) for number in range(WEEK.days)}
    expected = sum(json.loads(one.document)["tasks"] for one in counted if one.day in days)
    parts = max(WEEK.days, math.ceil(expected / TASKS_AHEAD_MAX))
    sample, begin = WeekSample(), midnight(first)
    for number in range(parts):
        start, end = begin + WEEK * number / parts, begin + WEEK * (number + 1) / parts
        sample.add(tasks_between(watch.room.installation.lake, charter.agent, start, end))
    return sample
