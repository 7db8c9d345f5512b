# SPDX-License-Identifier: Apache-2.0
"""Gather what the 30-day plan shows: first day, verdicts, days of scoring, signatures, the three numbers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta

from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.kinds import SIGNING_KINDS
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.signing import asked_signatures
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger
from pilothouse.reports.moments import at_ns
from pilothouse.reports.sprint import SPRINT_DAYS, SprintFacts, SprintPage, build_sprint
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.report import WRITTEN
from pilothouse.workflows.reports.value import count_numbers
from pilothouse.workflows.verdict.accept import ACCEPTED
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["parse_start", "show_sprint"]

START_AWAY_MAX = timedelta(days=3_653)
"""How far from now a plan may begin: ten years; a mistyped century has no weeks that can be counted."""


def parse_start(text: str) -> date:
    """Return a day that somebody typed.

    Args:
        text: For example `2026-11-02`.

    Raises:
        UsageError: It is no day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no day",
            remedy="Write year, month and day: `pilothouse report sprint --start 2026-11-02`.",
        ) from error


def show_sprint(installation: Installation, found: Assessment, start: date | None = None) -> SprintPage:
    """Return the 30-day plan of an assessment.

    Args:
        installation: Lake and ledger.
        found: The assessment.
        start: First day, UTC; None for the day on which the first charter came into force.

    Raises:
        UsageError: The first day is more than ten years away.
    """
    ledger, agent, now = installation.ledger, found.charter.agent, found.verdict.as_of
    if start is not None and abs(start - now.date()) > START_AWAY_MAX:
        raise UsageError(
            f"no plan of {SPRINT_DAYS} days begins on {calendar_day(start)}, more than ten years from now",
            remedy="Write a day nearer to this one: `pilothouse report sprint --start 2026-11-02`.",
        )
    begun = start or _first_day(ledger, agent) or now.date()
    scored_from = max(begun, now.date() - timedelta(days=SPRINT_DAYS))
    kept = ledger.latest_verdict(agent, at=now)
    kept_at = None if kept is None else datetime.fromisoformat(json.loads(kept)["as_of"])
    written = [
        one.at.date()
        for one in ledger.decisions(agent, kind=WRITTEN, limit=DECISIONS_MAX)
        if json.loads(one.document)["report"] == "executive"
    ]
    return build_sprint(
        SprintFacts(
            charter=found.charter,
            verdict=found.verdict,
            signatures=asked_signatures(
                found.charter,
                ledger.evidence(agent, kinds=SIGNING_KINDS),
                now,
                phase=found.verdict.phase,
            ),
            numbers=count_numbers(installation, found),
            start=begun,
            scored_from=scored_from,
            verdict_kept_on=None if kept_at is None else kept_at.date(),
            scored_on=_scored_on(installation, found, scored_from),
            sheet_written_on=max(written, default=None),
        )
    )


def _first_day(ledger: Ledger, agent: str) -> date | None:
    accepted = ledger.decisions(agent, kind=ACCEPTED, limit=DECISIONS_MAX)
    return accepted[-1].at.date() if accepted else None


def _scored_on(installation: Installation, found: Assessment, start: date) -> frozenset[date]:
    """Return days whose tasks the system of record answered, or about which somebody's scores went on record."""
    now = found.verdict.as_of
    from_ns, to_ns = unix_ns(datetime.combine(start, time(), UTC)), unix_ns(now)
    if to_ns <= from_ns:
        return frozenset()
    outcomes = installation.ledger.outcomes(found.charter.agent, from_ns=from_ns, to_ns=to_ns)
    days = {at_ns(one.task_start_ns).date() for one in outcomes if one.status is not OutcomeStatus.PENDING}
    stored = installation.ledger.evidence(found.charter.agent, kinds=["quality"])
    scored = {one.window_to.date() for one in (*found.folded, *stored) if one.kind == "quality"}
    return frozenset(days | {one for one in scored if start <= one <= now.date()})
