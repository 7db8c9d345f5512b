# SPDX-License-Identifier: Apache-2.0
"""Items of review and their answers, with the digests that bind them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pilothouse.core.charter.digest import canonical_json

__all__ = [
    "ITEM_TEXT_CHARS_MAX",
    "OPEN_STATES",
    "Answer",
    "ItemState",
    "Label",
    "ReviewItem",
    "ReviewSource",
    "content_digest",
    "item_digest",
]

ITEM_TEXT_CHARS_MAX = 65_536
"""Characters of an input or a proposal: a person cannot judge what does not fit on a page, and a cut text is another."""


class ReviewSource(StrEnum):
    """Why an item came into the queue; hidden from the reviewer until the answer is given."""

    HELD = "held"
    """An output that waits for a decision before it is delivered."""
    SAMPLED = "sampled"
    """A delivered output, drawn with a known probability."""
    DISPUTED = "disputed"
    """Two people, or judge and person, disagree about it."""
    FLAGGED = "flagged"
    """A user said that it is wrong."""
    CANARY = "canary"
    """An item whose right answer is known, or one that this reviewer has answered before."""


class Answer(StrEnum):
    """The answer of a reviewer."""

    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"
    UNSURE = "unsure"
    NOT_MY_FIELD = "not_my_field"
    HAND_BACK = "hand_back"

    @property
    def decides(self) -> bool:
        """Whether the answer settles the item; otherwise another person is asked.

        Example:
            >>> Answer.CORRECT.decides, Answer.UNSURE.decides
            (True, False)
        """
        return self in {Answer.ACCEPT, Answer.CORRECT, Answer.REJECT}

    @property
    def leads_to(self) -> ItemState:
        """The state in which the answer leaves an item.

        Example:
            >>> Answer.ACCEPT.leads_to.value, Answer.UNSURE.leads_to.value
            ('accepted', 'waiting')
        """
        states = {
            Answer.ACCEPT: ItemState.ACCEPTED,
            Answer.CORRECT: ItemState.CORRECTED,
            Answer.REJECT: ItemState.REJECTED,
        }
        return states.get(self, ItemState.WAITING)


class ItemState(StrEnum):
    """The state of an item."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    UNSURE = "unsure"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Whether the item still needs an answer.

        Example:
            >>> ItemState.CLAIMED.is_open, ItemState.EXPIRED.is_open
            (True, False)
        """
        return self in OPEN_STATES


OPEN_STATES = (ItemState.WAITING, ItemState.CLAIMED)
"""States of what somebody must still answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One output to be reviewed.

    Attributes:
        item_id: Digest that makes adding it twice one item.
        agent: Agent id.
        task_type: Task type as the charter names it.
        trace_id: The task, 32 hex digits.
        version: Version digest, or None when the task says none.
        source: Why it is here.
        why: The reason in one sentence, shown after the answer.
        input: What the agent was given.
        proposal: What it answered or wants to do.
        used: Names and short texts of the evidence it used, for example tool results.
        call_digest: Digest of the exact call that a decision is bound to; of the content for label items.
        confidence: What the router computed, or None; shown after the answer.
        error_cost: Cost of one wrong answer in the charter's currency, or None when unknown.
        probability: Chance with which a sampled item was drawn, or None when it was not drawn.
        created_at: When it came in, aware UTC.
        due_at: When it must be answered; a held output is rejected then.
        pair_of: Item of equal content that another answer is compared with, or None.
        only_for: The one person it is meant for, or None.
        known: The right answer of a planted item as JSON (`answer`, `correction`), or None.
        conversation: Digest that turns of one conversation share, or None where the task names none.
    """

    item_id: str
    agent: str
    task_type: str
    trace_id: str
    version: str | None = None
    source: ReviewSource
    why: str
    input: str
    proposal: str
    used: tuple[str, ...] = ()
    call_digest: str
    confidence: float | None = None
    error_cost: float | None = None
    probability: float | None = None
    created_at: datetime
    due_at: datetime
    pair_of: str | None = None
    only_for: str | None = None
    known: str | None = None
    conversation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One person's answer to one item.

    Attributes:
        item_id: The item.
        agent: Agent id.
        reviewer: Person id.
        answer: The answer.
        correction: What would have been right, for `correct`; None otherwise.
        note: The reviewer's own words, or empty.
        rubric: Digest of the rubric that was shown.
        seconds: How long the item was looked at.
        at: When, aware UTC.
    """

    item_id: str
    agent: str
    reviewer: str
    answer: Answer
    correction: str | None = None
    note: str = ""
    rubric: str = ""
    seconds: float = 0.0
    at: datetime


def item_digest(source: ReviewSource, agent: str, trace_id: str, call_digest: str, salt: str = "") -> str:
    """Return the id of an item, equal for an equal call of an equal task, so that asking is idempotent.

    Args:
        source: Why it is here.
        agent: Agent id.
        trace_id: The task.
        call_digest: What else tells it apart; no digest of what was said, for the id outlives an erasure.
        salt: Tells wanted repetitions apart, for example a second opinion.

    Example:
        >>> len(item_digest(ReviewSource.HELD, "triage", "0" * 32, "ab"))
        32
    """
    text = canonical_json([source.value, agent, trace_id, call_digest, salt])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def content_digest(task_type: str, given: str, proposal: str) -> str:
    """Return the digest of what a reviewer sees: items that share it are duplicates.

    Example:
        >>> content_digest("po", "a", "b") == content_digest("po", "a ", "b")
        False
    """
    return hashlib.sha256(canonical_json([task_type, given, proposal]).encode()).hexdigest()
