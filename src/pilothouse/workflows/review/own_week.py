# SPDX-License-Identifier: Apache-2.0
"""A reviewer's own week: what was answered, what became of it, and how often an equal item got an equal answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.evidence.review import Answer, ReviewSource
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.review import ReviewQueue
from pilothouse.reports.words import plural

__all__ = ["OwnWeek", "own_week", "own_week_in_words", "repeated_answers"]

WEEK = timedelta(days=7)

ANSWERS_FROM = timedelta(days=365)
"""Age of answers that may become something this week: older ones are not learned from."""

REPEATS_FROM = 5 * WEEK
"""Age of repetitions that count: a share of a week's answers is too few to say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWeek:
    """What a reviewer did in seven days; only this person sees it.

    Attributes:
        answered: Items answered.
        corrections: Corrections among them.
        delivered: Held outputs that went out as this person corrected them.
        cases: Cases that this person's answers became this week, whenever they were given.
        examples: Few-shot examples that they became.
        seconds_median: Middle time for an item, or None.
        repeats: Hidden repetitions of own items.
        repeats_equal: Those answered as before.
    """

    answered: int
    corrections: int
    delivered: int
    cases: int
    examples: int
    seconds_median: float | None
    repeats: int
    repeats_equal: int


def own_week(
    queue: ReviewQueue, made: CurationStore, reviewer: str, agents: Sequence[str], now: datetime
) -> OwnWeek:
    """Return what one person did in the last seven days, and what became of it.

    Args:
        queue: Items and answers.
        made: What was made of answers.
        reviewer: Who, as the queue knows the person.
        agents: Agents that the person reviews.
        now: The moment.
    """
    since = now - WEEK
    ever = queue.labels(reviewer=reviewer, since=now - ANSWERS_FROM)
    labels = [label for label in ever if label.at >= since]
    corrected = {label.item_id for label in labels if label.answer is Answer.CORRECT}
    seconds = sorted(label.seconds for label in labels if label.seconds > 0)
    own = {f"item:{label.item_id}" for label in ever}
    became = {edge.child for agent in agents for edge in made.edges_since(agent, since) if edge.parent in own}
    held = {
        record.item.item_id
        for agent in agents
        for record in queue.items(agent, sources=(ReviewSource.HELD,), since=since - WEEK)
    }
    repeats = equal = 0
    for agent in agents:
        told, same = repeated_answers(queue, agent, now).get(reviewer, (0, 0))
        repeats, equal = repeats + told, equal + same
    return OwnWeek(
        answered=len(labels),
        corrections=sum(label.answer is Answer.CORRECT for label in labels),
        delivered=len(corrected & held),
        cases=sum(child.startswith("case:") for child in became),
        examples=sum(child.startswith("few-shot:") for child in became),
        seconds_median=seconds[len(seconds) // 2] if seconds else None,
        repeats=repeats,
        repeats_equal=equal,
    )


def repeated_answers(queue: ReviewQueue, agent: str, now: datetime) -> dict[str, tuple[int, int]]:
    """Return for each person how many own items came back hidden, and how many of them were answered as before."""
    found: dict[str, tuple[int, int]] = {}
    for one in queue.items(agent, sources=(ReviewSource.CANARY,), since=now - REPEATS_FROM):
        if one.decided_by is None or one.item.pair_of is None:
            continue
        first = queue.record(one.item.pair_of)
        same = first is not None and (first.state, first.correction) == (one.state, one.correction)
        told, equal = found.get(one.decided_by, (0, 0))
        found[one.decided_by] = (told + 1, equal + same)
    return found


def own_week_in_words(week: OwnWeek) -> str:
    """Return a reviewer's week as a few sentences.

    Example:
        >>> own_week_in_words(OwnWeek(answered=40, corrections=31, delivered=3, cases=4, examples=9,
        ...     seconds_median=18.2, repeats=8, repeats_equal=7))
        '40 items answered in 7 days, 31 of them corrected, 18 s each in the middle. Your answers became 4 cases and 9 examples; 3 held outputs went out as you corrected them. 7 of 8 hidden repetitions got the answer you gave before.'
    """
    if not week.answered and not week.cases and not week.examples:
        return "No item answered in the last 7 days."
    text = f"{plural(week.answered, 'item')} answered in 7 days, {week.corrections:,} of them corrected"
    if week.seconds_median is not None:
        text += f", {week.seconds_median:.0f} s each in the middle"
    text += "."
    became = [plural(n, noun) for n, noun in ((week.cases, "case"), (week.examples, "example")) if n]
    achieved = [f"your answers became {' and '.join(became)}"] if became else []
    if week.delivered:
        achieved.append(f"{plural(week.delivered, 'held output')} went out as you corrected them")
    if achieved:
        told = "; ".join(achieved)
        text += f" {told[0].upper()}{told[1:]}."
    if week.repeats:
        text += (
            f" {week.repeats_equal:,} of {week.repeats:,} hidden repetitions got the answer you gave before."
        )
    return text
