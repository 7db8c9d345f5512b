# SPDX-License-Identifier: Apache-2.0
"""The calendar of reviews: which of them are due, and the minutes of one that took place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import REVIEWS
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.errors import Denied, UnknownName, UsageError
from pilothouse.ports.ledger import Ledger

__all__ = ["MINUTES_CHARS_MIN", "ReviewDue", "hold_review", "review_calendar"]

MINUTES_CHARS_MIN = 40
"""Minutes shorter than a sentence say nothing of what was seen and decided."""

MINUTES_CHARS_MAX = 1_900


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDue:
    """One kind of review.

    Attributes:
        kind: One of `REVIEWS`.
        cadence: How often, or None while the charter leaves it open.
        held_at: When it took place last, or None.
        due_at: When the next one is due, or None while nothing says so.
        minutes: What the last one said, or empty.
    """

    kind: str
    cadence: timedelta | None
    held_at: datetime | None
    due_at: datetime | None
    minutes: str


def hold_review(
    ledger: Ledger, charter: Charter, kind: str, *, person: str, minutes: str, now: datetime
) -> Evidence:
    """Keep the minutes of a review that took place: evidence for OWN-9.

    Args:
        ledger: Where evidence stands.
        charter: The charter in force.
        kind: One of `REVIEWS`.
        person: Who held it: the sponsor for `sponsor`, somebody accountable or the owner for the others.
        minutes: What was seen and decided.
        now: The moment, aware UTC.

    Raises:
        UnknownName: No review is called that.
        Denied: The person may not hold it.
        UsageError: The minutes say nothing, or more than fits.
    """
    if kind not in REVIEWS:
        raise UnknownName.among("review", kind, REVIEWS, remedy="`pilothouse minutes list` shows them.")
    if person not in _holders(charter, kind):
        whom = ", ".join(_holders(charter, kind)) or "nobody"
        raise Denied(
            (f"{person} does not hold" if person else "nobody said who held")
            + f" the {kind} review of {charter.agent}: that is for {whom}",
            remedy=f"One of them writes it: `pilothouse minutes {kind} --as {whom.partition(',')[0]} --text …`.",
            subject=kind,
        )
    text = minutes.strip()
    if not MINUTES_CHARS_MIN <= len(text) <= MINUTES_CHARS_MAX:
        raise UsageError(
            f"minutes of {len(text)} characters; {MINUTES_CHARS_MIN} to {MINUTES_CHARS_MAX:,} say what was seen and decided",
            remedy=f"`pilothouse minutes {kind} --text 'Quality of all types held; decided to …'`",
            subject=kind,
        )
    record = recorded(
        "review.held",
        charter,
        now,
        command="pilothouse minutes",
        scope=Scope(part=kind),
        n=1,
        passed=True,
        detail=f"{person}: {text}",
    )
    ledger.add_evidence([record])
    return record


def review_calendar(ledger: Ledger, charter: Charter) -> Sequence[ReviewDue]:
    """Return every kind of review with its last minutes and when it is due."""
    last: dict[str, Evidence] = {}
    for record in ledger.evidence(charter.agent, kinds=["review.held"]):
        if record.scope.part:
            last[record.scope.part] = record
    found = []
    for kind in REVIEWS:
        cadence = known(getattr(charter.reviews, kind))
        held = last.get(kind)
        found.append(
            ReviewDue(
                kind=kind,
                cadence=cadence,
                held_at=held.window_to if held else None,
                due_at=held.window_to + cadence if held and cadence else None,
                minutes=held.detail if held else "",
            )
        )
    return tuple(found)


def _holders(charter: Charter, kind: str) -> tuple[str, ...]:
    if kind == "sponsor":
        return (str(charter.sponsor.person),)
    raci = charter.raci
    rows = {
        "quality": raci.quality_metrics,
        "permissions": raci.integration_maintenance,
        "runbooks": raci.incident_response,
    }
    people = [str(charter.owner.person)]
    if kind in rows:
        people.append(str(rows[kind].accountable))
    substitutes = [charter.substitute_of(one) for one in people]
    named = [one for one in (*people, *substitutes) if one is not None and one in charter.people]
    return tuple(dict.fromkeys(named))
