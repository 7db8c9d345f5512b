# SPDX-License-Identifier: Apache-2.0
"""The Review page: one item with everything needed to judge it, and nothing that would lean on the judgement."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import Answer, ItemState, ReviewItem, ReviewSource
from pilothouse.core.verdict.numbers import significant
from pilothouse.ports.review import DRAWN_AFTER, ItemRecord
from pilothouse.reports.foreign import foreign_line, foreign_text
from pilothouse.reports.laid_out import laid_out
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.view_models import ActionOffer, Frozen, Link, Page, Sentence, count_of, page_moment
from pilothouse.reports.words import UNKNOWN

__all__ = [
    "WHEN_ITEMS_COME",
    "AfterAnswer",
    "AnswerChoice",
    "ReviewItemPage",
    "ReviewPage",
    "Similar",
    "after_answer",
    "build_item",
    "build_queue",
    "changes_between",
    "error_cost_text",
    "similar_shown",
    "text_shown",
    "why_told",
]

TEXT_BYTES_MAX = 64 * 1024
"""Bytes of an input or a proposal on the page: what is kept is shown, no reviewer judges half a text."""

SIMILAR_CHARS_MAX = 200
"""Characters of an input or a result that was decided before: enough to recognise it beside the one that is judged."""

CHANGED_LINES_MAX = 60
"""Lines of a difference that are shown; more is another text."""

WHEN_ITEMS_COME = (
    f"A task that is drawn for a label comes here {DRAWN_AFTER.seconds // 60} to 20 minutes after it began, "
    "an answer that is held at once."
)
"""Why a queue may be empty while an agent works; whoever has just run one looks here first."""

_CHOICES = (
    (Answer.ACCEPT, "Accept", "1"),
    (Answer.CORRECT, "Correct", "2"),
    (Answer.REJECT, "Reject", "3"),
    (Answer.UNSURE, "Unsure", "4"),
    (Answer.NOT_MY_FIELD, "Not my field", "5"),
    (Answer.HAND_BACK, "Hand back", "6"),
)

_DECIDED = {
    Answer.ACCEPT: "Accepted",
    Answer.CORRECT: "Corrected",
    Answer.REJECT: "Rejected",
}

_WHY = {
    ReviewSource.HELD: "It was held before delivery",
    ReviewSource.SAMPLED: "It was drawn from delivered outputs",
    ReviewSource.DISPUTED: "Two judgements of it differ",
    ReviewSource.FLAGGED: "A user flagged it",
    ReviewSource.CANARY: "It was a test of consistency",
}

_TELLS_VERDICT = ("drawn from pass tasks", "drawn from fail tasks")
"""How the reason of an item begins that was drawn by the judge's verdict."""

_STATES = {
    ItemState.ACCEPTED: "accepted",
    ItemState.CORRECTED: "corrected",
    ItemState.REJECTED: "rejected",
    ItemState.UNSURE: "closed as one that nobody can answer",
    ItemState.EXPIRED: "expired",
    ItemState.WAITING: "given to another person",
    ItemState.CLAIMED: "given to another person",
}


class AnswerChoice(Frozen):
    """One answer that can be chosen; `key` chooses it on the keyboard."""

    value: str
    label: str
    key: str
    is_chosen: bool = False


class Similar(Frozen):
    """How an item like this one was decided."""

    input: str
    answer: str
    result: str


class AfterAnswer(Frozen):
    """What was hidden until the answer was given.

    Attributes:
        item_id: The item.
        said: What became of the item, in words.
        why: Why it was in the queue.
        confidence: What the router computed, or empty.
        expected: For a planted item: what was known to be right, or empty.
        others: How many duplicates got the same answer, in words, or empty.
        changes: Lines of the difference between proposal and correction.
    """

    item_id: str
    said: str
    why: str
    confidence: str
    expected: str
    others: str
    changes: tuple[str, ...]


class ReviewPage(Page):
    """What waits, and how the reviewer's week went.

    Attributes:
        waiting: Items, in words.
        week: What the person did in seven days, in words.
        agents: Agents whose outputs this person reviews, and what waits for each.
        after: The last answer, or None.
        can_start: Whether anything waits.
        hand_out: Where this person hands reviews out, by agent.
    """

    waiting: str
    week: str
    agents: tuple[str, ...]
    after: AfterAnswer | None
    can_start: bool
    hand_out: tuple[Link, ...] = ()


class ReviewItemPage(Page):
    """One item.

    Attributes:
        item_id: Its id.
        task_type: Task type.
        error_cost: What an error costs, in words.
        due: When it must be answered.
        input: What the agent was given, hostile signs made visible.
        proposal: What it wants to answer or do, the same.
        used: Evidence it used, one line each.
        rubric: What good means, one sentence each.
        similar: Past decisions.
        correction: Text in the field: the proposal, or what was typed so far.
        changes: Lines in which that text differs from the proposal.
        note: What was typed so far.
        choices: Answers.
        after: The answer before this one, or None.
        left: How many items wait, in words.
    """

    item_id: str
    task_type: str
    error_cost: str
    due: Moment
    input: str
    proposal: str
    used: tuple[str, ...]
    rubric: tuple[str, ...]
    similar: tuple[Similar, ...]
    correction: str
    changes: tuple[str, ...]
    note: str
    choices: tuple[AnswerChoice, ...]
    after: AfterAnswer | None
    left: str


def changes_between(proposal: str, correction: str) -> tuple[str, ...]:
    """Return the lines in which a correction differs from a proposal, `-` before and `+` after.

    Args:
        proposal: What the agent answered.
        correction: What a person makes of it.

    Example:
        >>> changes_between("team A", "team B")
        ('-team A', '+team B')
    """
    lines = list(difflib.unified_diff(proposal.splitlines(), correction.splitlines(), lineterm="", n=1))[2:]
    told = [line for line in lines if not line.startswith("@@")]
    return tuple(foreign_line(line, chars_max=400) for line in told[:CHANGED_LINES_MAX])


def why_told(item: ReviewItem) -> str:
    """Return why an item was in the queue, without what the judge said of it.

    For some seconds an answer can be taken back and given anew, and whoever measures a judge must not know its verdict. The
    chance of the draw would tell it too.
    """
    if item.why.startswith(_TELLS_VERDICT):
        return "drawn from tasks that the judge scored"
    return foreign_line(item.why, chars_max=300)


def after_answer(record: ItemRecord, others: int = 0) -> AfterAnswer:
    """Return what may be told about an item once it is answered.

    Args:
        record: The item.
        others: Duplicates that were settled with it.
    """
    item = record.item
    changes = () if record.correction is None else changes_between(item.proposal, record.correction)
    return AfterAnswer(
        item_id=item.item_id,
        said=f"The last item was {_STATES[record.state]}",
        why=f"{_WHY[item.source]}: {why_told(item)}",
        confidence="" if item.confidence is None else f"confidence {item.confidence:.2f}",
        expected=""
        if item.known is None
        else f"known to be right: {foreign_line(item.known, chars_max=300)}",
        others=f"{others:,} equal items got the same answer" if others else "",
        changes=changes,
    )


def error_cost_text(item: ReviewItem, charter: Charter) -> str:
    """Return what an error costs, in the currency of the charter."""
    if item.error_cost is None:
        return UNKNOWN
    return f"{known(charter.currency) or 'USD'} {significant(item.error_cost)}"


def text_shown(text: str) -> str:
    """Return an input or a proposal as it is judged: laid out for reading where all of it still fits."""
    read = laid_out(text)
    shown = read if len(read.encode("utf-8", "surrogatepass")) <= TEXT_BYTES_MAX else text
    return foreign_text(shown, bytes_max=TEXT_BYTES_MAX).text


def similar_shown(text: str, answer: Answer, result: str) -> Similar:
    """Return how an item like this one was decided, each part as one line.

    Args:
        text: What the agent was given then.
        answer: What was decided.
        result: What was right.
    """
    given, right = (foreign_line(laid_out(one), chars_max=SIMILAR_CHARS_MAX) for one in (text, result))
    return Similar(input=given, answer=_DECIDED[answer], result=right)


def _items(count: int) -> str:
    return "1 item waits" if count == 1 else f"{count_of(count).shown} items wait"


def build_queue(
    waiting: int,
    agents: Sequence[str],
    now: datetime,
    *,
    week: str,
    after: AfterAnswer | None = None,
    hand_out: Sequence[str] = (),
) -> ReviewPage:
    """Build the page of the queue.

    Args:
        waiting: Items that wait for this person.
        agents: Agents, each with what waits, in words.
        now: The moment.
        week: The person's week, in words.
        after: The last answer, or None.
        hand_out: Agents whose reviews this person hands out.
    """
    plain = f"{_items(waiting)} for you." if waiting else f"Nothing waits for you. {WHEN_ITEMS_COME}"
    return ReviewPage(
        name="review",
        title="Review",
        heading="Review",
        as_of=page_moment(now),
        sentence=Sentence(plain=plain),
        action=None if waiting else ActionOffer(label="See how the agents stand", href="/"),
        waiting=_items(waiting),
        week=week,
        agents=tuple(agents),
        after=after,
        can_start=waiting > 0,
        hand_out=tuple(
            Link(text=f"Hand out the reviews of {agent}", href=f"/agents/{quote(agent, safe='')}/reviews")
            for agent in hand_out
        ),
    )


def build_item(
    record: ItemRecord,
    now: datetime,
    *,
    rubric: Sequence[str],
    similar: Sequence[Similar],
    draft: Mapping[str, str],
    charter: Charter,
    waiting: int,
    after: AfterAnswer | None = None,
) -> ReviewItemPage:
    """Build the page of one item; nothing on it tells why the item is here.

    Args:
        record: The item, open for the person.
        now: The moment.
        rubric: What good means.
        similar: Past decisions.
        draft: What was typed so far, by field.
        charter: The charter in force.
        waiting: Items that wait, this one among them.
        after: The answer before, or None.
    """
    item = record.item
    chosen = draft.get("answer", "")
    return ReviewItemPage(
        name="review_item",
        title=f"Review · {item.agent}",
        heading=f"{item.task_type.replace('_', ' ')}",
        agent=item.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain="Is this output right?"),
        item_id=item.item_id,
        task_type=item.task_type,
        error_cost=error_cost_text(item, charter),
        due=moment(item.due_at, now),
        input=text_shown(item.input),
        proposal=text_shown(item.proposal),
        used=tuple(foreign_line(line, chars_max=400) for line in item.used),
        rubric=tuple(rubric),
        similar=tuple(similar),
        correction=draft.get("correction", item.proposal),
        changes=changes_between(item.proposal, draft.get("correction", item.proposal)),
        note=draft.get("note", ""),
        choices=tuple(
            AnswerChoice(value=answer.value, label=label, key=key, is_chosen=answer.value == chosen)
            for answer, label, key in _CHOICES
        ),
        after=after,
        left=_items(waiting),
    )
