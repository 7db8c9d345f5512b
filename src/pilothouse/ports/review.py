# SPDX-License-Identifier: Apache-2.0
"""The port of the review queue: every item has one holder at a time, and every answer is kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from pilothouse.core.evidence.review import ItemState, Label, ReviewItem, ReviewSource

__all__ = [
    "CLAIM_LIFE",
    "DRAWN_AFTER",
    "ITEMS_READ_MAX",
    "UNDO_WINDOW",
    "ItemRecord",
    "QueueCount",
    "ReviewQueue",
]

DRAWN_AFTER = timedelta(minutes=15)
"""A task is drawn for a label this long after its start, so that its late spans and a quick verifier are in."""

CLAIM_LIFE = timedelta(minutes=15)
"""How long an item stays with who opened it, so that no two people decide it."""

UNDO_WINDOW = timedelta(seconds=10)
"""How long an answer can be taken back; a held output is delivered after it, not before."""

ITEMS_READ_MAX = 10_000
"""Items or labels that one answer may hold: some 50 weeks of a busy reviewer, and still under a second to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """An item as it stands.

    Attributes:
        item: What is asked.
        state: Where it stands.
        holder: Who has it open, or None.
        held_until: Until when, or None.
        correction: The corrected text, or None.
        note: What the reviewer wrote, or why it ended without an answer.
        decided_by: Person id, or None.
        decided_at: When, or None.
    """

    item: ReviewItem
    state: ItemState
    holder: str | None = None
    held_until: datetime | None = None
    correction: str | None = None
    note: str = ""
    decided_by: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """How much of one source waits for one agent.

    Attributes:
        agent: Agent id.
        source: Why the items are here.
        waiting: Items that nobody answered yet.
        overdue: Those of them whose time has passed.
        next_due: The earliest due moment, or None when nothing waits.
    """

    agent: str
    source: ReviewSource
    waiting: int
    overdue: int
    next_due: datetime | None


@runtime_checkable
class ReviewQueue(Protocol):
    """Items and answers; each method is one transaction."""

    def add(self, items: Sequence[ReviewItem]) -> int:
        """Add items, ignoring known ones, and return how many were new."""
        ...

    def claim_next(self, reviewer: str, agents: Sequence[str], now: datetime) -> ItemRecord | None:
        """Return the item that this person has open, or claim the most urgent one; None when none is open.

        Most urgent is the highest cost of an error per minute left. Nobody is given an item whose content that
        person has answered, unless it is meant for that person.
        """
        ...

    def claim(self, item_id: str, reviewer: str, now: datetime) -> ItemRecord:
        """Claim one item for a person.

        Raises:
            UnknownName: Nothing has that id.
            Conflict: Somebody else has it, it is answered already, or it is not for this person.
        """
        ...

    def answer(self, label: Label) -> tuple[ItemRecord, int]:
        """Keep an answer and settle the item. The same answer by the same person again changes nothing.

        Waiting items of equal content that are only to be labelled get the same answer; held outputs never do,
        because each is another call. Return the item and how many others were settled with it.

        Raises:
            UnknownName: Nothing has that id.
            Conflict: Somebody else has it or has answered it, or its time has passed.
            LimitExceeded: The correction is longer than an answer can be.
        """
        ...

    def undo(self, reviewer: str, now: datetime, *, item_id: str | None = None) -> ItemRecord | None:
        """Undo the person's last answer and reopen the item.

        None when it is older than `UNDO_WINDOW`, or is not about the item that is named.
        """
        ...

    def assign(self, item_id: str, reviewer: str | None, *, actor: str, now: datetime) -> ItemRecord:
        """Give an open item to one person, or back to everybody with None; who has it open loses it.

        Raises:
            UnknownName: Nothing has that id.
            Conflict: It is answered, or a repetition for one person.
        """
        ...

    def record(self, item_id: str) -> ItemRecord | None:
        """Return an item, or None."""
        ...

    def items(
        self,
        agent: str,
        *,
        states: Sequence[ItemState] = (),
        sources: Sequence[ReviewSource] = (),
        since: datetime | None = None,
        limit: int = ITEMS_READ_MAX,
    ) -> Sequence[ItemRecord]:
        """Return items of an agent, newest first."""
        ...

    def labels(
        self,
        agent: str | None = None,
        *,
        reviewer: str | None = None,
        since: datetime | None = None,
        limit: int = ITEMS_READ_MAX,
    ) -> Sequence[Label]:
        """Return valid answers, newest first."""
        ...

    def counts(self, agents: Sequence[str], now: datetime) -> Sequence[QueueCount]:
        """Return how many items are open, by agent and source."""
        ...

    def save_draft(self, item_id: str, reviewer: str, text: str, now: datetime) -> None:
        """Store a person's draft (at most 64 KiB); an empty text deletes it."""
        ...

    def draft(self, item_id: str, reviewer: str) -> str:
        """Return a person's draft, or an empty text."""
        ...
