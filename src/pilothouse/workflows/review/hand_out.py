# SPDX-License-Identifier: Apache-2.0
"""Hand out what waits in the review queue: one item or a slice of it, to one person or back to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.powers import Action, people_who_may
from pilothouse.core.evidence.review import OPEN_STATES, ItemState, ReviewSource
from pilothouse.errors import Conflict, UnknownName, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.reports.hand_out import EVERYBODY, ItemWaiting, ReviewerShown, build_hand_out
from pilothouse.reports.sections import SectionsPage
from pilothouse.workflows.people.directory import people_gone
from pilothouse.workflows.people.people import Directory, Visitor, reviewer_of
from pilothouse.workflows.review.load import load_in_words, review_load

__all__ = ["SLICE_MAX", "HandOut", "Slice"]

SLICE_MAX = 200
"""Items handed out at once: each is on record by itself, and a person answers some forty a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which of the items that wait are meant.

    Attributes:
        item: Id of one item; empty for many.
        task_type: Only of this type; empty for all.
        given_to: Only those given to this person; `everybody` for those given to nobody, empty for all.
        count: How many at most, the earliest due first.
    """

    item: str = ""
    task_type: str = ""
    given_to: str = ""
    count: int = SLICE_MAX


class HandOut:
    """What an owner, or whoever is accountable, does with a queue.

    Args:
        queue: Items and answers.
        directory: The people of the charters.
        ledger: Knows who is gone.
    """

    def __init__(self, queue: ReviewQueue, directory: Directory, ledger: Ledger) -> None:
        self._queue = queue
        self.directory = directory
        self._ledger = ledger

    def show(
        self, agent: str, now: datetime, *, may_give: bool = False, item: str = "", given: int = 0
    ) -> SectionsPage:
        """Return the page: who reviews, what waits for whom, and the forms that change it.

        Args:
            agent: Agent with a charter in force.
            now: The moment, aware UTC.
            may_give: Whether the visitor may hand out.
            item: Id of the item that the visitor is about to give, or empty.
            given: How many were just given.
        """
        charter = self.directory.charter(agent)
        reviewers = self._reviewers(agent)
        names = {reviewer: person for person, reviewer in reviewers.items()}
        gone = people_gone(self._ledger, agent)
        waiting = self._waiting(agent)
        return build_hand_out(
            charter,
            tuple(
                ReviewerShown(
                    person=person,
                    is_gone=person in gone,
                    substitute=charter.substitute_of(person) or "",
                    waiting=sum(record.item.only_for == reviewer for record in waiting),
                )
                for person, reviewer in reviewers.items()
            ),
            tuple(_shown(record, names, now) for record in waiting),
            now,
            load=load_in_words(review_load(self._queue, charter, now))[0],
            may_give=may_give,
            item=item,
            given=given,
        )

    def give(self, visitor: Visitor, agent: str, wanted: Slice, to: str, now: datetime) -> int:
        """Give what waits to a person, each item on record.

        Args:
            visitor: Who hands out.
            agent: Agent with a charter in force.
            wanted: Which items.
            to: Person id in the charter, or `everybody`.
            now: The moment, aware UTC.

        Returns:
            How many items were given; not among them are those that were answered meanwhile, and those of which the person
            has given an opinion.

        Raises:
            Denied: The visitor may not.
            UnknownName: No such person, or nothing waits that is meant.
            UsageError: The person is gone.
        """
        self.directory.need(visitor, agent, Action.ASSIGN)
        reviewer = self._receiver(agent, to)
        chosen = self._chosen(agent, wanted)
        given = 0
        for record in chosen:
            try:
                self._queue.assign(record.item.item_id, reviewer, actor=visitor.identity, now=now)
            except Conflict:  # answered while the form was open, or it asks for somebody else's opinion
                continue
            given += 1
        return given

    def _receiver(self, agent: str, to: str) -> str | None:
        if to == EVERYBODY:
            return None
        reviewers = self._reviewers(agent)
        if to not in reviewers:
            raise UnknownName.among(
                "reviewer",
                to,
                reviewers,
                remedy="Reviewers are who may review by `raci.feedback_review`: `pilothouse check`.",
            )
        if to in people_gone(self._ledger, agent):
            raise UsageError(
                f"{to} is gone, as the directory says",
                remedy="Choose the substitute, or read a newer directory: `pilothouse people check --directory FILE`.",
                subject=to,
            )
        return reviewers[to]

    def _chosen(self, agent: str, wanted: Slice) -> Sequence[ItemRecord]:
        waiting = self._waiting(agent)
        if wanted.item:
            found = [record for record in waiting if record.item.item_id == wanted.item]
        else:
            names = {reviewer: person for person, reviewer in self._reviewers(agent).items()}
            found = [
                record
                for record in waiting
                if record.state is ItemState.WAITING  # what somebody has open is not taken away with a slice
                and wanted.task_type in {"", record.item.task_type}
                and wanted.given_to in {"", _given_to(record, names)}
            ]
        if not found:
            raise UnknownName(
                "nothing that is meant waits any more",
                remedy=f"See what waits: /agents/{agent}/reviews",
                subject=wanted.item,
            )
        return found[: min(wanted.count, SLICE_MAX)]

    def _reviewers(self, agent: str) -> dict[str, str]:
        """Return how the queue knows each person who may review, by person id."""
        charter = self.directory.charter(agent)
        found = {}
        for person in people_who_may(charter, Action.REVIEW):
            identity = charter.identity_of(person)
            if identity is not None:
                found[person] = reviewer_of(identity)
        return found

    def _waiting(self, agent: str) -> list[ItemRecord]:
        """Return what can be handed out, the earliest due first; hidden repetitions stay where they are, unseen."""
        found = self._queue.items(agent, states=OPEN_STATES)
        return sorted(
            (record for record in found if record.item.source is not ReviewSource.CANARY),
            key=lambda record: (record.item.due_at, record.item.item_id),
        )


def _given_to(record: ItemRecord, names: dict[str, str]) -> str:
    return EVERYBODY if record.item.only_for is None else names.get(record.item.only_for, "somebody else")


def _shown(record: ItemRecord, names: dict[str, str], now: datetime) -> ItemWaiting:
    is_open = record.state is ItemState.CLAIMED and record.held_until is not None and record.held_until > now
    return ItemWaiting(
        item_id=record.item.item_id,
        task_type=record.item.task_type,
        due_at=record.item.due_at,
        error_cost=record.item.error_cost,
        given_to=_given_to(record, names),
        open_with=names.get(record.holder or "", "somebody") if is_open else "",
    )
