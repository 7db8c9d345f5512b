# SPDX-License-Identifier: Apache-2.0
"""Whether people can keep up with a review queue, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.statistics.judging import Agreement, agreement
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.ports.review import ItemRecord, ReviewQueue

__all__ = ["ReviewLoad", "load_in_words", "review_load", "reviews_per_day"]

WINDOW = timedelta(days=7)
PAIRS_FROM = timedelta(days=90)
"""Age of double answers that say how people agree: some dozens come together in it."""

_DECIDED = (ItemState.ACCEPTED, ItemState.CORRECTED, ItemState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLoad:
    """What arrives, what there is time for, and what two answers to the same item say.

    Attributes:
        agent: Agent id.
        arrived_per_day: Items of the last seven days, a day.
        capacity_per_day: Items that the charter's minutes allow, a day; None when it says none.
        waiting: Items that nobody answered yet.
        agreement: How far two people agree on accept or not, or how many double answers are missing.
    """

    agent: str
    arrived_per_day: float
    capacity_per_day: float | None
    waiting: int
    agreement: Agreement | NotEnoughEvidence

    @property
    def days_to_clear(self) -> float | None:
        """Days until nothing waits at this pace; None when the queue only grows."""
        if self.capacity_per_day is None or self.capacity_per_day <= self.arrived_per_day:
            return 0.0 if not self.waiting and self.capacity_per_day is not None else None
        return self.waiting / (self.capacity_per_day - self.arrived_per_day)


def review_load(queue: ReviewQueue, charter: Charter, now: datetime) -> ReviewLoad:
    """Return the load of an agent's queue."""
    records = queue.items(charter.agent, since=now - PAIRS_FROM)
    arrived = sum(record.item.created_at > now - WINDOW for record in records)
    return ReviewLoad(
        agent=charter.agent,
        arrived_per_day=arrived / (WINDOW / timedelta(days=1)),
        capacity_per_day=reviews_per_day(charter),
        waiting=sum(record.state.is_open for record in records),
        agreement=_agreement(records),
    )


def reviews_per_day(charter: Charter) -> float | None:
    """Return how many items people have time for in a day, or None where the charter does not say."""
    minutes, each = known(charter.reviewers.minutes_per_day), known(charter.reviewers.minutes_per_item)
    return float(minutes) / float(each) if minutes is not None and each else None


def load_in_words(load: ReviewLoad) -> tuple[str, ...]:
    """Return the load as sentences.

    Args:
        load: The load.
    """
    if load.capacity_per_day is None:
        time = "the charter does not say how much time reviewers have."
    else:
        time = f"there is time for {load.capacity_per_day:,.0f}"
        if load.days_to_clear is None:
            time += ": the queue grows, so reviewers are missing."
        else:
            soon = "within a day" if load.days_to_clear <= 1 else f"in {load.days_to_clear:,.1f} days"
            time += f", so it is empty {soon}." if load.waiting else "."
    found = load.agreement
    if isinstance(found, NotEnoughEvidence):
        agreed = f"Agreement of two people: {found.reason}."
    else:
        agreed = (
            f"Two people agree on {percentage(found.observed.value, decimals=0)} of {found.n:,} items "
            f"{percent_range(found.observed.low, found.observed.high, decimals=0)}; beyond chance (kappa) "
            f"{found.kappa.value:.2f} [{found.kappa.low:.2f}, {found.kappa.high:.2f}]."
        )
    return (f"{load.arrived_per_day:,.1f} items arrive a day, {time}", agreed)


def _agreement(records: Sequence[ItemRecord]) -> Agreement | NotEnoughEvidence:
    by_id = {record.item.item_id: record for record in records}
    table = [[0, 0], [0, 0]]
    for second in records:
        first = by_id.get(second.item.pair_of or "")
        is_second = second.item.source is ReviewSource.SAMPLED and second.state in _DECIDED
        if not is_second or first is None or first.state not in _DECIDED:
            continue
        if first.decided_by != second.decided_by:  # one person twice is no agreement of two
            table[first.state is not ItemState.ACCEPTED][second.state is not ItemState.ACCEPTED] += 1
    return agreement(table)
