# SPDX-License-Identifier: Apache-2.0
"""The Health page: does everything that was acknowledged stand in the tables, and how is the road doing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.lake import LakeHealth
from pilothouse.ports.work import TickState
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import duration_text
from pilothouse.reports.sections import Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import ActionOffer, Empty, Sentence, mark_of, page_moment
from pilothouse.reports.words import plural

__all__ = ["build_health"]

FRESH_S = 1.5
"""Promised time from acknowledgement until a query sees it."""

GIB = 1 << 30
MIB = 1 << 20


def build_health(
    health: LakeHealth | None,
    work: Sequence[TickState],
    alerts: Sequence[str],
    now: datetime,
    *,
    is_alert_open: bool = False,
) -> SectionsPage:
    """Return the Health page.

    Args:
        health: The counters, or None where this process takes no telemetry in.
        work: Recurring work.
        alerts: Alerts on ourselves in one sentence each, newest first.
        now: The moment, aware UTC.
        is_alert_open: Whether the newest alert still is.
    """
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
    said = [row(foreign_line(alert, chars_max=400)) for alert in alerts]
    sections = (
        Section(anchor="alerts", title="Alerts", columns=columns("What is missing"), rows=tuple(said)),
        _books(health),
        *([] if health is None else [_road(health), _faults(health)]),
        _work(work),
    )
    return SectionsPage(
        name="health",
        title=f"{mark.word}: health",
        heading="Health",
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=sentence),
        action=_action(status, has_books=health is not None),
        sections=tuple(one for one in sections if one.rows or one.empty),
    )


def _action(status: Status, *, has_books: bool) -> ActionOffer | None:
    if not has_books:
        return ActionOffer(label="Start the server that takes telemetry in.", command="pilothouse up")
    if status is Status.HOLDS:
        return None
    return ActionOffer(
        label="Find what stands in the way; each finding says what to do.", command="pilothouse doctor"
    )


def _figures(anchor: str, title: str, rows: Iterable[Row], empty: Empty | None = None) -> Section:
    heads = columns("What", "#Now", "State", "What it says")
    return Section(anchor=anchor, title=title, columns=heads, rows=tuple(rows), empty=empty)


def _count(name: str, value: int, meaning: str, status: Status | None = None) -> Row:
    return row(name, f"{value:,}", None if status is None else mark_of(status), meaning)


def _books(health: LakeHealth | None) -> Section:
    """The counters that must add up, in the order of the sum."""
    none_here = Empty(missing="No server takes telemetry in here.", command="pilothouse up")
    return _figures(
        "books", "Telemetry, accounted for", () if health is None else _counters(health), none_here
    )


def _counters(health: LakeHealth) -> Iterator[Row]:
    for name, counter, meaning in (
        ("received", "received", "Items in requests that could be read."),
        ("rejected", "rejected", "Items that are broken; their sender was told."),
        ("acknowledged", "acked", "Items on the disk before their sender was told so."),
        ("replayed", "replayed", "Items read back from the log at the start."),
        ("deduplicated", "deduplicated", "Items that were sent twice and count once."),
        ("set aside", "quarantined", "Items our own defect could not read; kept as files."),
        (
            "late",
            "late_after_seal",
            "Spans that came two days after their task was written: stored, and not counted in it.",
        ),
        (
            "under no name",
            "over_agent_names",
            "Items of a key that named more than 1,000 agents in a day: stored under __overflow__.",
        ),
    ):
        yield _count(name, health.count(counter), meaning)
    yield _count(
        "refused",
        health.refused_for_good,
        "Requests that nobody could read or that were over a limit: not sent again, so lost. Their exporter's log says why.",
        Status.AT_RISK if health.refused_for_good else None,
    )
    secrets = health.count("secrets_removed")
    yield _count(
        "secrets",
        secrets,
        "Requests with a secret in a text, stored without it. Some agent prints a key that it should not hold.",
        Status.AT_RISK if secrets else None,
    )
    yield _count("metrics", health.count("metrics_not_stored"), "Metrics that came; they are not stored.")
    yield _count("pending", health.pending, "Acknowledged items that no query sees yet.")
    yield _count("queryable", health.rows, "Rows counted in the tables and in memory.")
    yield _count(
        "gap",
        health.gap,
        "Acknowledged items that are nowhere; anything but 0 for more than a minute is an alert.",
        Status.HOLDS if not health.gap else Status.BREACHED,
    )


def _road(health: LakeHealth) -> Section:
    fresh = Status.HOLDS if health.freshness_s <= FRESH_S else Status.AT_RISK
    rows = (
        row(
            "freshness",
            duration_text(health.freshness_s),
            mark_of(fresh),
            "Longest time of the last minute from receipt until a query saw it; promised: 1.5 s.",
        ),
        row(
            "oldest in memory",
            duration_text(health.uncommitted_s),
            None,
            "Age of the oldest row that is in the log and in no table yet.",
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
    return _figures("road", "Speed and space of telemetry", rows)


def _faults(health: LakeHealth) -> Section:
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
    rows = (
        _count(name.replace("refused_", "refused: ").replace("_", " "), health.count(name), meaning)
        for name, meaning in kinds
        if health.count(name)
    )
    return _figures("faults", "Refused and set aside", rows)


def _bytes(name: str, count: int, meaning: str) -> Row:
    shown = f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / MIB:,.1f} MiB"
    return row(name, shown, None, meaning)


def _work(work: Sequence[TickState]) -> Section:
    return Section(
        anchor="work",
        title="Recurring work",
        columns=columns("State", "Work", "#Runs", "Last failure"),
        rows=tuple(
            row(
                mark_of(Status.AT_RISK if one.failures else Status.HOLDS if one.runs else Status.NO_EVIDENCE),
                one.name,
                f"{one.runs:,}",
                foreign_line(one.last_error, chars_max=400) or "none",
            )
            for one in work
        ),
    )
