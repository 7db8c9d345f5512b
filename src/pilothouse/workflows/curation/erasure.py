# SPDX-License-Identifier: Apache-2.0
"""Find a subject in telemetry and have it emptied there by whoever writes the lake, each step on record."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import LimitExceeded
from pilothouse.ports.lake import SAID_SPAN_MAX_NS, Lake, TaskFilter
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.upkeep import DEFAULT_RULE, LakeUpkeep
from pilothouse.workflows.ground.decision_log import every_decision
from pilothouse.workflows.traces.retention import retention_rules

__all__ = ["TRACES_MAX", "Forgotten", "Said", "ask_to_empty", "carry_out_erasures", "traces_saying"]

ASKED, DONE = "telemetry.erasure_asked", "telemetry.erased"
EVERYBODY = "pilothouse"
"""Agent under which erasures stand: a person's data lie with several."""

TRACES_AT_ONCE = 200
"""Trace ids of one decision, so that its record fits into the audit log as it is."""

TRACES_MAX = 10_000
"""Traces of one subject that one erasure empties, of the queue as of telemetry; the next one finds those that are left."""

LOOKED_BACK_DAYS_MAX = 730

LOOKED_AT_ONCE_MIN_NS = 3_600 * 1_000_000_000
"""A window that is not halved any more: who has more in an hour than a query may look through has another trouble."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_WEEK = timedelta(microseconds=SAID_SPAN_MAX_NS // 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What became of a subject's traces.

    Attributes:
        rows: Rows of telemetry that were emptied; None while a running server will do it.
        runs: Recorded runs whose key was destroyed.
        results: Results of calls, kept for their repetition, that were forgotten.
        aside: Files of requests and logs that were set aside, held the subject and are gone.
        unread: Files that were set aside and cannot be looked through: they stay.
    """

    rows: int | None
    runs: int
    results: int
    aside: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The tasks, and what belongs to none, in which a subject stands.

    Attributes:
        traces: Their trace ids, the newest first, at most `TRACES_MAX`; among them traces that are no task, and log records
            of no trace by names of their own.
        named: Those in which it is part of a name that is counted by, a tool's or a model's, which stays.
        is_cut: Whether there may be more.
    """

    traces: tuple[str, ...]
    named: tuple[str, ...]
    is_cut: bool


def traces_saying(lake: Lake, ledger: Ledger, subject: str, now: datetime) -> Said:
    """Return the tasks in whose spans a subject stands, as far back as any charter keeps them, or in whose claim or outcome.

    Args:
        lake: Telemetry.
        ledger: Where charters stand.
        subject: As it stands in the texts, or a trace id.
        now: The moment.
    """
    found: dict[str, None] = {}
    if _TRACE_ID.fullmatch(subject) and lake.trace(subject) is not None:
        found[subject] = None
    # What the sender said of itself, and names, stay as long as the spans do.
    kept = max((rule.spans_days for rule in retention_rules(ledger)), default=DEFAULT_RULE.spans_days)
    oldest = now - timedelta(days=min(max(kept, DEFAULT_RULE.spans_days), LOOKED_BACK_DAYS_MAX) + 1)
    end = now + timedelta(days=1)  # a client's clock may run ahead
    for trace in ledger.outcomes_holding(subject):
        found[trace] = None
    named: dict[str, None] = {}
    everything = TaskFilter(held=subject, anywhere=True)
    _add_found(lake, everything, found)
    _add_found(lake, replace(everything, in_names=True), named)
    while end > oldest and len(found) < TRACES_MAX:
        start = max(oldest, end - _WEEK)
        wanted = TaskFilter(said=subject, anywhere=True, from_ns=unix_ns(start), to_ns=unix_ns(end))
        _add_saying(lake, wanted, found)
        _add_saying(lake, replace(wanted, in_names=True), named)
        end = start
    found |= named
    is_cut = end > oldest or len(found) > TRACES_MAX
    return Said(traces=tuple(found)[:TRACES_MAX], named=tuple(named), is_cut=is_cut)


def _add_saying(lake: Lake, wanted: TaskFilter, found: dict[str, None]) -> None:
    """Look through a window, in halves where it has more than one query may take."""
    from_ns, to_ns = wanted.from_ns or 0, wanted.to_ns or 0
    try:
        _add_found(lake, wanted, found)
        found |= dict.fromkeys(lake.strays(wanted))
    except LimitExceeded:
        if to_ns - from_ns <= LOOKED_AT_ONCE_MIN_NS:
            raise
        middle = (from_ns + to_ns) // 2
        for half in ((middle, to_ns), (from_ns, middle)):  # the newest first
            _add_saying(lake, replace(wanted, from_ns=half[0], to_ns=half[1]), found)


def _add_found(lake: Lake, wanted: TaskFilter, found: dict[str, None]) -> None:
    cursor = None
    while len(found) < TRACES_MAX:
        page = lake.tasks(wanted, limit=500, before=cursor)
        found |= {task.trace_id: None for task in page.tasks}
        cursor = page.next_cursor
        if cursor is None:
            return


def ask_to_empty(ledger: Ledger, traces: Sequence[str], *, actor: str, now: datetime) -> None:
    """Put on record which traces are to be emptied; whoever writes the lake does so.

    Args:
        ledger: Where it stands.
        traces: Trace ids; the record never names the subject.
        actor: Who asks.
        now: The moment.
    """
    for start in range(0, len(traces), TRACES_AT_ONCE):
        ledger.record(
            kind=ASKED,
            agent=EVERYBODY,
            at=now,
            actor=actor,
            document=canonical_json({"traces": list(traces[start : start + TRACES_AT_ONCE])}),
        )


def carry_out_erasures(lake: LakeUpkeep, ledger: Ledger, now: datetime) -> int:
    """Empty what was asked and not done yet, and put that on record; return rows that were emptied."""
    asked = list(every_decision(ledger, EVERYBODY, kind=ASKED))
    if not asked:
        return 0
    done = {json.loads(one.document)["asked"] for one in every_decision(ledger, EVERYBODY, kind=DONE)}
    emptied = 0
    for one in reversed(asked):
        if one.sequence in done:
            continue
        traces = json.loads(one.document)["traces"]
        # Outcomes before tasks: what is killed in between is done again, and about which claim an outcome is can still be told.
        claims = dict.fromkeys(traces) | dict(lake.claims(traces))
        outcomes = ledger.erase_claims(claims, at=now, actor="pilothouse")
        rows = lake.erase(traces)
        document = canonical_json({"asked": one.sequence, "rows": rows, "outcomes": outcomes})
        ledger.record(kind=DONE, agent=EVERYBODY, at=now, actor="pilothouse", document=document)
        emptied += rows
    return emptied
