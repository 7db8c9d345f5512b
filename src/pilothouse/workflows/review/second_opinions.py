# SPDX-License-Identifier: Apache-2.0
"""Ask again: a second person blind, the same person after a week, and one more where judgements differ."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.powers import Action, people_who_may
from pilothouse.core.evidence.review import OPEN_STATES, ItemState, ReviewItem, ReviewSource, item_digest
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.people.directory import people_gone
from pilothouse.workflows.people.people import reviewer_of
from pilothouse.workflows.review.label_rates import DECIDED
from pilothouse.workflows.review.strata import judged_by

__all__ = [
    "LABEL_TERM",
    "again",
    "agree",
    "ask_about_disputes",
    "asked_again",
    "coin",
    "repeat_own_answers",
    "reviewers_here",
]

LABEL_TERM = timedelta(days=5)
"""How long a label may take; the charter's windows are longer."""

REPEAT_SHARE = 0.05
"""Share of a reviewer's own answers that come back a week later, so that consistency is known."""

REPEATED_AT_ONCE_MAX = 200
"""Repetitions added by one look; the next look takes the rest, so that no transaction is long."""

DISPUTED_TERM = timedelta(days=2)
"""How soon one more person decides where two differ: until then nothing is learned from the item."""

DISPUTES_OPEN_MAX = 50
"""Disputed items that wait at once: held outputs must not drown in them."""

FRESH = timedelta(days=1)
"""Answers that are held against the judge: each look reads its scores, and looks are five minutes apart."""

AGAINST_JUDGE = "the judge and a person answered it differently"

REPEAT_AFTER = timedelta(days=7)


def repeat_own_answers(queue: ReviewQueue, agent: str, now: datetime) -> int:
    """Give a share of a reviewer's own answers back after a week, unmarked; return how many items are new."""
    old = queue.items(
        agent, states=DECIDED, sources=(ReviewSource.SAMPLED,), since=now - 4 * REPEAT_AFTER, limit=2_000
    )
    items: list[ReviewItem] = []
    for record in old:
        decided = record.decided_at
        if decided is None or not REPEAT_AFTER <= now - decided <= 2 * REPEAT_AFTER or record.item.pair_of:
            continue
        if coin(record.item.item_id, "repeat") < REPEAT_SHARE:
            item = again(record.item, now, salt="repeat", only_for=record.decided_by)
            if not asked_again(queue, record.item, "repeat"):
                items.append(item)
    return queue.add(items[:REPEATED_AT_ONCE_MAX]) if items else 0


def ask_about_disputes(
    installation: Installation, queue: ReviewQueue, charter: Charter, now: datetime
) -> int:
    """Ask one more person where two differ, or where the judge and a person do; nobody is asked a second time.

    Where there is no further person nothing is asked: an item that nobody may answer would be late for ever.

    Args:
        installation: Has what the judge said.
        queue: Items and answers.
        charter: The charter in force.
        now: The moment.

    Returns:
        How many items are new.
    """
    since = now - 4 * REPEAT_AFTER
    drawn = queue.items(charter.agent, states=DECIDED, sources=(ReviewSource.SAMPLED,), since=since)
    here = reviewers_here(installation.ledger, charter)
    differing = []
    for second in drawn:
        first = queue.record(second.item.pair_of) if second.item.pair_of else None
        if first is None or first.state not in DECIDED or agree(first, second):
            continue
        if here - {first.decided_by, second.decided_by}:
            differing.append((first.item, "two people answered it differently"))
    fresh = [
        one for one in drawn if not one.item.pair_of and one.decided_at and now - one.decided_at <= FRESH
    ]
    differing += [
        (one.item, AGAINST_JUDGE)
        for one in _against_judge(installation, charter, fresh, now)
        if here - {one.decided_by}
    ]
    open_items = queue.items(charter.agent, states=OPEN_STATES, sources=(ReviewSource.DISPUTED,))
    room = DISPUTES_OPEN_MAX - len(open_items)
    disputed: dict[str, ReviewItem] = {}
    for first_item, why in differing:
        item = replace(
            again(first_item, now, salt="third"),
            source=ReviewSource.DISPUTED,
            why=why,
            due_at=now + DISPUTED_TERM,
        )
        if (
            len(disputed) < room
            and item.item_id not in disputed
            and not asked_again(queue, first_item, "third")
        ):
            disputed[item.item_id] = item
    return queue.add(tuple(disputed.values())) if disputed else 0


def reviewers_here(ledger: Ledger, charter: Charter) -> frozenset[str]:
    """Return who may review and is not gone, as the queue knows them."""
    gone = people_gone(ledger, charter.agent)
    identities = (
        charter.identity_of(person) for person in people_who_may(charter, Action.REVIEW) if person not in gone
    )
    return frozenset(reviewer_of(one) for one in identities if one is not None)


def _against_judge(
    installation: Installation, charter: Charter, records: Sequence[ItemRecord], now: datetime
) -> list[ItemRecord]:
    """Return the answers that the judge of their metric contradicts: it passes what a person did not accept, or fails it."""
    if not records:
        return []
    start = min(record.item.created_at for record in records) - FRESH
    judged = judged_by(charter, installation.lake.scores(from_ns=unix_ns(start), to_ns=unix_ns(now)))
    found = []
    for record in records:
        terms = charter.task_type(record.item.task_type)
        said = None if terms is None else judged[str(terms.metric)].get(record.item.trace_id)
        if said is not None and said is not (record.state is ItemState.ACCEPTED):
            found.append(record)
    return found


def agree(one: ItemRecord, other: ItemRecord) -> bool:
    """Return whether two people answered the same.

    Args:
        one: An item.
        other: Another opinion on it.
    """
    return (one.state, one.correction) == (other.state, other.correction)


def asked_again(queue: ReviewQueue, item: ReviewItem, salt: str) -> bool:
    """Return whether another opinion was asked already, also under an id of an earlier release, made of what was said.

    Args:
        queue: Items and answers.
        item: What was asked first.
        salt: Tells wanted repetitions apart.
    """
    made_of = (item.item_id, item.call_digest)
    ids = (item_digest(item.source, item.agent, item.trace_id, one, salt) for one in made_of)
    return any(queue.record(one) is not None for one in ids)


def again(item: ReviewItem, now: datetime, *, salt: str, only_for: str | None = None) -> ReviewItem:
    """Return the item that asks for another opinion on the same output.

    Args:
        item: What was asked first.
        now: The moment.
        salt: Tells wanted repetitions apart.
        only_for: The one person whose consistency it tests, or None for somebody else's opinion.
    """
    return ReviewItem(
        item_id=item_digest(item.source, item.agent, item.trace_id, item.item_id, salt),
        agent=item.agent,
        task_type=item.task_type,
        trace_id=item.trace_id,
        version=item.version,
        source=ReviewSource.CANARY if only_for else item.source,
        why="your own answer of a week ago" if only_for else item.why,
        input=item.input,
        proposal=item.proposal,
        used=item.used,
        call_digest=item.call_digest,
        error_cost=item.error_cost,
        created_at=now,
        due_at=now + LABEL_TERM,
        pair_of=item.item_id,
        only_for=only_for,
    )


def coin(trace_id: str, salt: str) -> float:
    """Return an independent number in [0, 1) for a task and a salt.

    Example:
        >>> coin("a", "second") == coin("a", "second"), coin("a", "second") == coin("a", "repeat")
        (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"{salt} {trace_id}".encode()).digest()[:8]) / 2**64
