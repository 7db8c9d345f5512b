# SPDX-License-Identifier: Apache-2.0
"""Keep the review queue true: what a changed rubric touches is asked again, what an absent person has is handed on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import OPEN_STATES, ReviewItem, ReviewSource, item_digest
from pilothouse.errors import Conflict
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.people.directory import people_gone
from pilothouse.workflows.people.people import Directory, reviewer_of
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.trusted_labels import by_another_rubric

__all__ = ["hand_to_substitutes", "reopen_by_rubric"]

REOPENED_TERM = timedelta(days=14)
"""How long asking again may take: nothing waits for it, and cases without it are out meanwhile."""

REOPENED_OPEN_MAX = 50
"""Items asked again that wait at once: what users flag and what is held must not drown in them."""


def reopen_by_rubric(queue: ReviewQueue, directory: Directory, now: datetime) -> int:
    """Ask again what was answered by a rubric that is not in force any more, the costliest first.

    Returns:
        How many items are new.
    """
    new = 0
    for charter in directory.charters().values():
        touched = [
            record
            for record in by_another_rubric(queue, charter, now)
            if record.item.pair_of is None and record.item.source is not ReviewSource.HELD
        ]
        touched.sort(key=lambda record: (-(record.item.error_cost or 0.0), record.item.item_id))
        waiting = {
            record.item.item_id
            for record in queue.items(
                charter.agent,
                states=OPEN_STATES,
                sources=(ReviewSource.DISPUTED,),
            )
        }
        items: list[ReviewItem] = []
        for record in touched:
            item_id, former = _ids(record.item, rubric_of(charter, record.item.task_type).digest)
            if len(waiting) + len(items) >= REOPENED_OPEN_MAX:
                break
            if item_id not in waiting and queue.record(item_id) is None and queue.record(former) is None:
                items.append(
                    replace(
                        record.item,
                        item_id=item_id,
                        source=ReviewSource.DISPUTED,
                        why="the rubric has changed since it was answered",
                        probability=None,
                        created_at=now,
                        due_at=now + REOPENED_TERM,
                    )
                )
        new += queue.add(items) if items else 0
    return new


def _ids(item: ReviewItem, rubric: str) -> tuple[str, str]:
    """Return the id under which an item is asked again, and the one of an earlier release: it was made of a digest of what was said.

    Ids outlive an erasure, and whoever guesses a short text could hold it against such a one.
    """
    source, agent, trace = ReviewSource.DISPUTED, item.agent, item.trace_id
    return item_digest(source, agent, trace, "", rubric), item_digest(
        source, agent, trace, item.call_digest, rubric
    )


def hand_to_substitutes(ledger: Ledger, queue: ReviewQueue, directory: Directory, now: datetime) -> int:
    """Hand what was assigned to somebody who left or is away to the substitute, or to everybody.

    Returns:
        How many items were handed on.
    """
    handed = 0
    for charter in directory.charters().values():
        gone = {_reviewer(charter, person): person for person in people_gone(ledger, charter.agent)}
        if not gone:
            continue
        for record in queue.items(charter.agent, states=OPEN_STATES):
            person = gone.get(record.item.only_for)
            if record.item.only_for is None or person is None or record.item.source is ReviewSource.CANARY:
                continue
            stand_in = charter.substitute_of(person)
            takes_it = (
                _reviewer(charter, stand_in)
                if stand_in and _reviewer(charter, stand_in) not in gone
                else None
            )
            handed += _hand_on(queue, record.item.item_id, takes_it, now)
    return handed


def _hand_on(queue: ReviewQueue, item_id: str, takes_it: str | None, now: datetime) -> bool:
    """Give an item to a substitute, or to everybody where that one has given an opinion; whether it still waited."""
    for receiver in dict.fromkeys((takes_it, None)):
        try:
            queue.assign(item_id, receiver, actor="pilothouse", now=now)
        except Conflict:
            continue
        return True
    return False


def _reviewer(charter: Charter, person: str) -> str | None:
    identity = charter.identity_of(person)
    return None if identity is None else reviewer_of(identity)
