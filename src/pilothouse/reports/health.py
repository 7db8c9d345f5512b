# SPDX-License-Identifier: Apache-2.0
"""The Health page: does everything that was acknowledged stand in the tables, and how is the road doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.lake import LakeHealth
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import duration_text
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    count_of,
    mark_of,
    page_moment,
)
from pilothouse.reports.words import plural

__all__ = ["Figure", "HealthPage", "Work", "WorkShown", "build_health"]

FRESH_S = 1.5
"""Promised time from acknowledgement until a query sees it."""

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How one piece of recurring work is doing.

    Attributes:
        name: Its name.
        runs: Runs so far.
        failures: Failures since the last success.
        last_error: What the last failure said, or empty.
    """

    name: str
    runs: int
    failures: int
    last_error: str


class Figure(Frozen):
    """One number of the page.

    Attributes:
        name: What is counted.
        value: The number.
        meaning: What it says, in one sentence.
        mark: A status where one can be given, or None.
    """

    name: str
    value: Quantity
    meaning: str
    mark: StatusMark | None = None


class WorkShown(Frozen):
    """One piece of recurring work, as the page shows it."""

    name: str
    mark: StatusMark
    runs: Quantity
    note: str


class HealthPage(Page):
    """How the installation itself is doing.

    Attributes:
        books: The counters that must add up, in the order of the sum.
        road: How fast and how full the road is.
        faults: What was refused or set aside, by reason.
        alerts: Alerts on ourselves, newest first.
        work: Recurring work.
        empty: What is missing, where this process takes no telemetry in.
    """

    books: tuple[Figure, ...] = ()
    road: tuple[Figure, ...] = ()
    faults: tuple[Figure, ...] = ()
    alerts: tuple[str, ...] = ()
    work: tuple[WorkShown, ...] = ()
    empty: Empty | None = None


def build_health(
    health: LakeHealth | None,
    work: Sequence[Work],
    alerts: Sequence[str],
    now: datetime,
    *,
    is_alert_open: bool = False,
) -> HealthPage:
    """Return the Health page.

    Args:
        health: The counters, or None where this process takes no telemetry in.
        work: Recurring work.
        alerts: Alerts on ourselves in one sentence each, newest first.
        now: The moment, aware UTC.
        is_alert_open: Whether the newest alert still is.
    """
    shown = tuple(_work(one) for one in work)
    failing = [one for one in work if one.failures]
    if health is None:
        status, sentence = (
            Status.NO_EVIDENCE,
            "This process takes no telemetry in, so it has no books to show.",
        )
    elif is_alert_open:
        status, sentence = Status.BREACHED, "Acknowledged telemetry is missing from the tables."
    elif health.busy_reason:
        status, sentence = Status.AT_RISK, f"Telemetry is refused for now: {health.busy_reason}."
    elif failing:
        names = ", ".join(one.name for one in failing)
        status, sentence = Status.AT_RISK, f"Telemetry is taken in; recurring work fails: {names}."
    else:
        status = Status.HOLDS
        kept = plural(health.count("acked") + health.count("replayed"), "acknowledged item")
        sentence = f"Nothing is missing: {kept} accounted for."
    mark = mark_of(status)
    action = _action(status, has_books=health is not None)
    return HealthPage(
        name="health",
        title=f"{mark.word}: health",
        heading="Health",
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=sentence),
        action=action,
        books=() if health is None else _books(health),
        road=() if health is None else _road(health),
        faults=() if health is None else _faults(health),
        alerts=tuple(foreign_line(alert, chars_max=400) for alert in alerts),
        work=shown,
        empty=Empty(missing="No server takes telemetry in here.", command="pilothouse up")
        if health is None
        else None,
    )


def _action(status: Status, *, has_books: bool) -> ActionOffer | None:
    if not has_books:
        return ActionOffer(label="Start the server that takes telemetry in.", command="pilothouse up")
    if status is Status.HOLDS:
        return None
    return ActionOffer(
        label="Find what stands in the way; each finding says what to do.", command="pilothouse doctor"
    )


def _count(name: str, value: int, meaning: str, status: Status | None = None) -> Figure:
    return Figure(
        name=name, value=count_of(value), meaning=meaning, mark=None if status is None else mark_of(status)
    )


def _books(health: LakeHealth) -> tuple[Figure, ...]:
    return (
        _count("received", health.count("received"), "Items in requests that could be read."),
        _count("rejected", health.count("rejected"), "Items that are broken; their sender was told."),
        _count("acknowledged", health.count("acked"), "Items on the disk before their sender was told so."),
        _count("replayed", health.count("replayed"), "Items read back from the log at the start."),
        _count("deduplicated", health.count("deduplicated"), "Items that were sent twice and count once."),
        _count(
            "set aside", health.count("quarantined"), "Items our own defect could not read; kept as files."
        ),
        _count(
            "late",
            health.count("late_after_seal"),
            "Spans that came two days after their task was written: stored, and not counted in it.",
        ),
        _count(
            "under no name",
            health.count("over_agent_names"),
            "Items of a key that named more than 1,000 agents in a day: stored under __overflow__.",
        ),
        _count("pending", health.pending, "Acknowledged items that no query sees yet."),
        _count("queryable", health.rows, "Rows counted in the tables and in memory."),
        _count(
            "gap",
            health.gap,
            "Acknowledged items that are nowhere; anything but 0 for more than a minute is an alert.",
            Status.HOLDS if not health.gap else Status.BREACHED,
        ),
    )


def _road(health: LakeHealth) -> tuple[Figure, ...]:
    fresh = Status.HOLDS if health.freshness_s <= FRESH_S else Status.AT_RISK
    return (
        Figure(
            name="freshness",
            value=_seconds(health.freshness_s),
            meaning="Longest time of the last minute from receipt until a query saw it; promised: 1.5 s.",
            mark=mark_of(fresh),
        ),
        Figure(
            name="oldest in memory",
            value=_seconds(health.uncommitted_s),
            meaning="Age of the oldest row that is in the log and in no table yet.",
        ),
        _count("open traces", health.open_traces, "Traces that are still gathered."),
        _bytes("waiting", health.waiting_bytes, "Acknowledged bytes that wait to be read."),
        _bytes("write-ahead log", health.wal_bytes, "What a start after a kill would look through."),
        _bytes(
            "free on the disk",
            health.disk_free_bytes,
            "Below its floor telemetry is refused, and comes again.",
        ),
    )


def _faults(health: LakeHealth) -> tuple[Figure, ...]:
    kinds = (
        ("conflicting", "Items sent twice with different content; the first counts."),
        ("refused_malformed", "Requests that could not be read."),
        ("refused_too_large", "Requests over a limit."),
        ("refused_unsupported", "Requests of another content type."),
        ("refused_over_quota", "Requests over the quota of their key; they come again."),
        ("refused_busy", "Requests that were told to come again."),
        ("commit_failures", "Times the tables could not be written; rows stayed in log and memory."),
        ("wal_corrupt", "Damaged files of the log, kept as they are."),
        ("defects", "Errors in our own code that the intake survived."),
    )
    return tuple(
        _count(name.replace("refused_", "refused: ").replace("_", " "), health.count(name), meaning)
        for name, meaning in kinds
        if health.count(name)
    )


def _seconds(seconds: float) -> Quantity:
    return Quantity(value=seconds, unit="seconds", shown=duration_text(seconds))


def _bytes(name: str, count: int, meaning: str) -> Figure:
    shown = f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / MIB:,.1f} MiB"
    return Figure(name=name, value=Quantity(value=count, unit="", shown=shown), meaning=meaning)


def _work(one: Work) -> WorkShown:
    return WorkShown(
        name=one.name,
        mark=mark_of(Status.AT_RISK if one.failures else Status.HOLDS if one.runs else Status.NO_EVIDENCE),
        runs=count_of(one.runs),
        note=foreign_line(one.last_error, chars_max=400),
    )
