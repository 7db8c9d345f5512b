# SPDX-License-Identifier: Apache-2.0
"""What a week of corrections achieved: new cases, what they caught, what the examples bring, how steady people are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.review import Answer, ReviewSource
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ReviewQueue
from pilothouse.reports.words import plural
from pilothouse.workflows.review.own_week import repeated_answers

__all__ = ["CorrectionsWeek", "corrections_in_words", "corrections_of_note", "corrections_week"]

WEEK = timedelta(days=7)
PEOPLE_MIN = 2
"""People whose repetitions are counted together; each one's own consistency is told to that person only."""

CASE = "review:"
"""How the id of a case begins that was made from a person's answer."""

_GATE_KINDS = ("release.verdict", "eval.baseline")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionsWeek:
    """The facts of the note to the owner.

    Attributes:
        corrections: Outputs that people corrected.
        cases: Cases that answers of people became.
        examples: Few-shot examples that they became.
        caught: Cases made from answers that a gate run found failing: what was corrected once did not come back.
        lift: What the examples bring, as a difference of rates with its ends; None when it was not measured this week.
        repeats: Hidden repetitions that people answered in five weeks; 0 while they are of one person, whose consistency
            is nobody else's to know.
        repeats_equal: Those answered as before.
    """

    corrections: int
    cases: int
    examples: int
    caught: int
    lift: tuple[float, float, float] | None
    repeats: int = 0
    repeats_equal: int = 0


def corrections_week(
    ledger: Ledger, queue: ReviewQueue, store: CurationStore, agent: str, until: datetime
) -> CorrectionsWeek:
    """Return what the corrections of seven days achieved.

    Args:
        ledger: Evidence of gate runs and lifts.
        queue: What people answered.
        store: What was made of it.
        agent: Agent id.
        until: The end of the week, inclusive: what came later belongs to the next one, what came seven days before to the last.
    """
    since = until - WEEK
    made = {edge.child for edge in store.edges_since(agent, since) if since < edge.at <= until}
    records = [
        one
        for one in ledger.evidence(agent, since=since, kinds=(*_GATE_KINDS, "few_shot.lift"))
        if since < one.recorded_at <= until
    ]
    steady = repeated_answers(queue, agent, until)
    told = tuple(steady.values()) if len(steady) >= PEOPLE_MIN else ()
    return CorrectionsWeek(
        corrections=_corrected(queue, agent, since, until),
        cases=sum(name.startswith("case:") for name in made),
        examples=sum(name.startswith("few-shot:") for name in made),
        caught=len(
            {
                item
                for one in records
                if one.kind in _GATE_KINDS
                for item in one.items
                if item.startswith(CASE)
            }
        ),
        lift=_lift(records),
        repeats=sum(count for count, _ in told),
        repeats_equal=sum(equal for _, equal in told),
    )


def _corrected(queue: ReviewQueue, agent: str, since: datetime, until: datetime) -> int:
    """Count outputs: the opinion of a second person, or a hidden repetition, corrects none again."""
    corrected = {
        label.item_id
        for label in queue.labels(agent, since=since)
        if label.answer is Answer.CORRECT and since < label.at <= until
    }
    items = [record.item for one in corrected if (record := queue.record(one)) is not None]
    return len(
        {
            (item.trace_id, item.input, item.proposal)
            for item in items
            if item.source is not ReviewSource.CANARY
        }
    )


def _lift(records: Sequence[Evidence]) -> tuple[float, float, float] | None:
    lifts = [one for one in records if one.kind == "few_shot.lift"]
    newest = max(lifts, key=lambda one: one.recorded_at, default=None)
    if newest is None or newest.value is None or newest.low is None or newest.high is None:
        return None
    return newest.value, newest.low, newest.high


def corrections_of_note(week: CorrectionsWeek) -> str:
    """Return what the note to the owner says of the week; empty for one in which nothing was corrected or measured."""
    nothing = CorrectionsWeek(corrections=0, cases=0, examples=0, caught=0, lift=None)
    return "" if week == nothing else corrections_in_words(week)


def corrections_in_words(week: CorrectionsWeek) -> str:
    """Return the week as a few sentences.

    Example:
        >>> corrections_in_words(CorrectionsWeek(corrections=31, cases=4, examples=9, caught=2, lift=(0.06, 0.01, 0.11)))
        '31 corrections became 4 cases and 9 examples; 2 cases from reviews caught a wrong answer before it was released. The examples bring +6.0 points [+1.0, +11.0].'
    """
    if not (week.corrections or week.cases or week.examples or week.caught):
        text = "No output was corrected this week, and nothing was made of earlier corrections."
    else:
        made = f"{plural(week.cases, 'case')} and {plural(week.examples, 'example')}"
        text = f"{plural(week.corrections, 'correction')} became {made}"
        if week.caught:
            text += (
                f"; {plural(week.caught, 'case')} from reviews caught a wrong answer before it was released"
            )
        text += "."
    if week.lift is not None:
        value, low, high = (100 * end for end in week.lift)
        text += f" The examples bring {value:+.1f} points [{low:+.1f}, {high:+.1f}]."
    if week.repeats:
        text += f" Reviewers gave {week.repeats_equal:,} of {week.repeats:,} hidden repetitions their earlier answer."
    return text
