# SPDX-License-Identifier: Apache-2.0
"""Review outputs: the next item, an answer, a step back, and how items like it were decided."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.powers import Action
from pilothouse.core.evidence.review import OPEN_STATES, Answer, ItemState, Label
from pilothouse.errors import Conflict, UnknownName, UsageError
from pilothouse.ports.clock import Clock
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.review import CLAIM_LIFE, UNDO_WINDOW, ItemRecord, QueueCount, ReviewQueue
from pilothouse.workflows.people.people import Directory, Visitor, reviewer_of
from pilothouse.workflows.review.load import ReviewLoad, review_load
from pilothouse.workflows.review.own_week import OwnWeek, own_week

__all__ = ["Rubric", "SimilarDecision", "Workbench", "changes_nothing", "reviewer_id", "rubric_of"]

WEEK = timedelta(days=7)

SIMILAR_MAX = 3
"""Past decisions beside an item: as many as are read in a few seconds."""

SIMILAR_LOOKED_AT_MAX = 200
"""Past decisions that are compared with an item; the newest say most about how things are done now."""

WORDS_KEPT_MAX = 256
"""Texts whose words are kept: those looked at for one item are nearly all looked at again for the next."""

SIMILAR_MIN = 0.2
"""Share of common words below which a past decision says nothing about this item."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """What good means for one task type.

    Attributes:
        lines: One sentence each.
        digest: Changes whenever the charter's words about it change; labels are bound to it.
    """

    lines: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarDecision:
    """How an item like this one was decided."""

    input: str
    answer: Answer
    result: str


def reviewer_id(visitor: Visitor) -> str:
    """Return how the queue knows a person."""
    return reviewer_of(visitor.identity)


def rubric_of(charter: Charter, task_type: str) -> Rubric:
    """Return what a reviewer judges by, in the charter's words.

    Args:
        charter: The charter in force.
        task_type: Task type; an undeclared one is judged by the purpose alone.
    """
    lines = [known(charter.purpose) or f"{charter.function.verb} {charter.function.object}"]
    terms = charter.task_type(task_type)
    if terms is not None:
        lines.append(f"Good means: {known(terms.metric) or 'as the purpose says'}.".replace("_", " "))
        never = [str(one).replace("_", " ") for one in known(terms.critical) or ()]
        if never:
            lines.append(f"Reject what would be: {', '.join(never)}.")
    digest = hashlib.sha256(json.dumps(lines).encode()).hexdigest()
    return Rubric(lines=tuple(lines), digest=digest)


class Workbench:
    """What a reviewer does, on the page and in the terminal.

    Args:
        queue: Items and answers.
        made: What was made of answers.
        directory: Who may review what.
        clock: The time.
    """

    def __init__(self, queue: ReviewQueue, made: CurationStore, directory: Directory, clock: Clock) -> None:
        self._queue = queue
        self._made = made
        self.directory = directory
        self._clock = clock

    def agents(self, visitor: Visitor) -> tuple[str, ...]:
        """Return the agents whose outputs a person may review."""
        return self.directory.agents_for(visitor, Action.REVIEW)

    def counts(self, visitor: Visitor) -> Sequence[QueueCount]:
        """Return what waits for a person, by agent and source."""
        return self._queue.counts(self.agents(visitor), self._clock.now())

    def all_counts(self) -> Sequence[QueueCount]:
        """Return what waits for anybody, by agent and source."""
        return self._queue.counts(tuple(self.directory.charters()), self._clock.now())

    def loads(self, agents: Sequence[str]) -> tuple[ReviewLoad, ...]:
        """Return whether people keep up with each agent's queue, and how far they agree."""
        now, charters = self._clock.now(), self.directory.charters()
        return tuple(review_load(self._queue, charters[agent], now) for agent in agents if agent in charters)

    def assign(self, item_id: str, person: str | None, *, actor: str) -> ItemRecord:
        """Give an open item to one person who may review it, or back to everybody.

        Args:
            item_id: The item.
            person: Person id or identity, or None for everybody.
            actor: Who says so.

        Raises:
            UnknownName: No such item or person.
            Denied: The person may not review this agent.
            Conflict: The item is answered already.
        """
        record = self._queue.record(item_id)
        if record is None:
            raise UnknownName(
                "nothing in the review queue has this id",
                remedy="`pilothouse review --json` lists what waits.",
                subject=item_id,
            )
        reviewer = None
        if person is not None:
            visitor = self.directory.find(person)
            self.directory.need(visitor, record.item.agent, Action.REVIEW)
            reviewer = reviewer_id(visitor)
        return self._queue.assign(item_id, reviewer, actor=actor, now=self._clock.now())

    def open_items(self, limit: int) -> tuple[ItemRecord, ...]:
        """Return what waits or is open, the earliest due first, at most so many."""
        found = [
            record
            for agent in self.directory.charters()
            for record in self._queue.items(agent, states=OPEN_STATES)
        ]
        return tuple(sorted(found, key=lambda record: record.item.due_at)[:limit])

    def waiting(self, visitor: Visitor) -> int:
        """Return how many items wait, whatever the reason: before the answer no reason is shown."""
        return sum(count.waiting for count in self.counts(visitor))

    def take_next(self, visitor: Visitor) -> ItemRecord | None:
        """Give the person the most urgent item, or the one that is open already."""
        return self._queue.claim_next(reviewer_id(visitor), self.agents(visitor), self._clock.now())

    def open_item(self, visitor: Visitor, item_id: str) -> ItemRecord:
        """Return an item that the person has open.

        Raises:
            Conflict: Another person has it, nobody has it, or it is answered.
        """
        record, now = self._queue.record(item_id), self._clock.now()
        mine = (
            record is not None and record.holder == reviewer_id(visitor) and record.state is ItemState.CLAIMED
        )
        if record is None or not mine or record.held_until is None or record.held_until <= now:
            raise Conflict(
                "you do not have this item open: it was answered, or it went to another person after "
                f"{CLAIM_LIFE.seconds // 60} minutes",
                remedy="Take the next one: /review",
                subject=item_id,
            )
        self.directory.need(visitor, record.item.agent, Action.REVIEW)
        return record

    def answered(self, visitor: Visitor, item_id: str) -> ItemRecord | None:
        """Return an item that this person has answered, now with everything that was hidden; or None."""
        record, me = self._queue.record(item_id), reviewer_id(visitor)
        if record is None or record.decided_by == me:
            return record
        given = self._queue.labels(
            reviewer=me, since=self._clock.now() - WEEK
        )  # it went on to another person
        return record if any(label.item_id == item_id for label in given) else None

    def draft(self, visitor: Visitor, item_id: str) -> Mapping[str, str]:
        """Return what the person has typed about an item so far, by field."""
        text = self._queue.draft(item_id, reviewer_id(visitor))
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def save_draft(self, visitor: Visitor, item_id: str, fields: Mapping[str, str]) -> ItemRecord:
        """Keep what the person has typed so far, and return the item."""
        record = self.open_item(visitor, item_id)
        text = json.dumps(dict(fields), ensure_ascii=False)
        self._queue.save_draft(item_id, reviewer_id(visitor), text, self._clock.now())
        return record

    def answer(
        self, visitor: Visitor, item_id: str, answer: str, *, correction: str = "", note: str = ""
    ) -> tuple[ItemRecord, int]:
        """Give an answer.

        Args:
            visitor: Who answers.
            item_id: The item.
            answer: One of `Answer`.
            correction: The whole corrected text, for `correct`.
            note: The reviewer's own words.

        Returns:
            The item and how many duplicates were settled with it.

        Raises:
            UsageError: No answer was chosen, or a correction changes nothing.
            Conflict: The item is no longer this person's.
        """
        if answer not in set(Answer):
            raise UsageError(
                "no answer was chosen", remedy=f"Choose one of {', '.join(Answer)}; the keys 1 to 6 do so."
            )
        record, now = self._queue.record(item_id), self._clock.now()
        if record is None:
            raise UsageError("nothing in the queue has this id", remedy="Take the next one: /review")
        self.directory.need(visitor, record.item.agent, Action.REVIEW)
        said = Answer(answer)
        if said is Answer.CORRECT and changes_nothing(correction, record.item.proposal):
            raise UsageError(
                "the correction is empty or equal to the proposal",
                remedy="Change the text to what would have been right, or choose accept.",
            )
        charter = self.directory.charter(record.item.agent)
        seconds = 0.0
        if record.held_until is not None:
            seconds = max(0.0, (now - (record.held_until - CLAIM_LIFE)).total_seconds())
        return self._queue.answer(
            Label(
                item_id=item_id,
                agent=record.item.agent,
                reviewer=reviewer_id(visitor),
                answer=said,
                correction=correction if said is Answer.CORRECT else None,
                note=note.strip(),
                rubric=rubric_of(charter, record.item.task_type).digest,
                seconds=seconds,
                at=now,
            )
        )

    def undo(self, visitor: Visitor, item_id: str | None = None) -> ItemRecord:
        """Take the last answer back; what was chosen and written stands in the item's draft again.

        Args:
            visitor: Who gave it.
            item_id: The item that it must be about, or None for whichever was answered last.

        Raises:
            Conflict: It is too late, or this was not the last answer.
        """
        me, now = reviewer_id(visitor), self._clock.now()
        given = self._queue.labels(reviewer=me, since=now - UNDO_WINDOW)
        record = self._queue.undo(me, now, item_id=item_id)
        if record is None:
            raise Conflict(
                "this answer can no longer be taken back: more than 10 seconds have passed, or it was taken back",
                remedy="Tell who is accountable for feedback_review; a further label can be asked for.",
            )
        label = next((one for one in given if one.item_id == record.item.item_id), None)
        if label is not None:
            fields = {"answer": label.answer.value, "correction": label.correction, "note": label.note}
            self.save_draft(
                visitor, label.item_id, {name: text for name, text in fields.items() if text is not None}
            )
        return record

    def similar(self, record: ItemRecord) -> tuple[SimilarDecision, ...]:
        """Return how the most similar items of this task type were decided, most similar first."""
        words = _words(record.item.input)
        past = self._queue.items(
            record.item.agent,
            states=(ItemState.ACCEPTED, ItemState.CORRECTED, ItemState.REJECTED),
            limit=SIMILAR_LOOKED_AT_MAX,
        )
        ranked = sorted(
            (
                (len(words & other) / len(words | other), one)
                for one in past
                if one.item.task_type == record.item.task_type
                # The same text again would tell a hidden repetition, and its answer.
                and one.item.input != record.item.input
                and (other := _words(one.item.input))
            ),
            key=lambda pair: -pair[0],
        )
        answers = {
            ItemState.ACCEPTED: Answer.ACCEPT,
            ItemState.CORRECTED: Answer.CORRECT,
            ItemState.REJECTED: Answer.REJECT,
        }
        return tuple(
            SimilarDecision(
                input=one.item.input, answer=answers[one.state], result=one.correction or one.item.proposal
            )
            for share, one in ranked[:SIMILAR_MAX]
            if share >= SIMILAR_MIN
        )

    def week(self, visitor: Visitor) -> OwnWeek:
        """Return what the person did in the last seven days and what became of it; only this person sees it."""
        return own_week(
            self._queue, self._made, reviewer_id(visitor), self.agents(visitor), self._clock.now()
        )


def changes_nothing(correction: str, proposal: str) -> bool:
    """Return whether a correction is empty or the proposal itself; browsers and editors write line ends of their own.

    Args:
        correction: What a person sent.
        proposal: What the agent answered.

    Example:
        >>> changes_nothing(" team A", "team A"), changes_nothing("team B", "team A")
        (True, False)
    """
    said, before = ("\n".join(text.splitlines()).strip() for text in (correction, proposal))
    return said in {"", before}


@lru_cache(maxsize=WORDS_KEPT_MAX)
def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(text[:4_000]))
