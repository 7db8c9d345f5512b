# SPDX-License-Identifier: Apache-2.0
"""One closed day of judged and labelled items as counts by judge verdict, the input of the detectors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction, malformed
from pilothouse.core.statistics.clusters import believed_design_effect
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = [
    "PREDICTED_MAX",
    "PREDICTED_MIN",
    "PRIOR_FAIL",
    "PRIOR_PASS",
    "RESPONSE_MIN",
    "DayCounts",
    "DayStratum",
    "answered_probability",
    "days_since",
    "design_effect_of_turns",
    "predicted_rate",
]

PREDICTED_MIN, PREDICTED_MAX = 0.02, 0.98
"""Range of a predicted rate: a prediction of 0 or 1 would stake everything on the judge."""

PRIOR_PASS, PRIOR_FAIL = 0.95, 0.50
"""Prediction for a judge pass and a judge fail before the first label."""

RESPONSE_MIN = 0.90
"""Share of asked labels that must have come for a day to close with the rest left out."""

_PRIOR_WEIGHT = 2
"""Labels that the prior is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStratum:
    """The items of a day to which the judge gave one verdict.

    Attributes:
        name: The verdict.
        judged: Items with this verdict.
        labelled_good: Labelled items that were good.
        labelled_bad: Labelled items that were bad.
        probability: Chance with which each item was chosen for a label, fixed before it was seen;
            0 says that no label was requested.
        predicted: P(good | verdict) as it was predicted before the day, see `predicted_rate`.
    """

    name: str
    judged: int
    labelled_good: int
    labelled_bad: int
    probability: float
    predicted: float

    def __post_init__(self) -> None:
        check_count(f"{self.name}.judged", self.judged)
        good = check_count(f"{self.name}.labelled_good", self.labelled_good, most=self.judged)
        check_count(f"{self.name}.labelled_bad", self.labelled_bad, most=self.judged - good)
        check_fraction(f"{self.name}.probability", self.probability, closed=True)
        check_fraction(f"{self.name}.predicted", self.predicted, PREDICTED_MIN, PREDICTED_MAX, closed=True)
        if self.probability == 0 and self.labelled:
            raise malformed(
                f"{self.name}.probability", 0, "the chance with which its labels were chosen (it is unknown)"
            )

    @property
    def labelled(self) -> int:
        """Labels of the stratum."""
        return self.labelled_good + self.labelled_bad


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounts:
    """A closed day: every chosen item is labelled, or its label term ended.

    Attributes:
        day: Day of the tasks, UTC.
        strata: One for each judge verdict that occurred, names unique.
        turns: Turns that the conversation of a judged item has on the day, from `mean_turns`; 1 says one item for each.
    """

    day: date
    strata: tuple[DayStratum, ...]
    turns: float = 1.0

    def __post_init__(self) -> None:
        names = [stratum.name for stratum in self.strata]
        if len(set(names)) < len(names):
            raise malformed("strata", "naming a verdict twice", "one stratum for each verdict")
        check_fraction("turns", self.turns, 1.0, 1e9, closed=True)
        asked = {stratum.probability > 0 for stratum in self.strata if stratum.judged}
        if len(asked) > 1:
            silent = next(s.name for s in self.strata if s.judged and s.probability == 0)
            raise malformed(
                f"{silent}.probability",
                0,
                "a chance above 0 for every verdict on a day on which labels are asked",
            )

    @property
    def informative(self) -> bool:
        """Whether labels were requested; a day whose coins picked nothing is informative."""
        return any(stratum.judged and stratum.probability > 0 for stratum in self.strata)

    @property
    def design_effect(self) -> float:
        """Variance of the day's scores relative to items of one conversation each."""
        strata = [stratum for stratum in self.strata if stratum.judged]
        return design_effect_of_turns(
            self.turns,
            np.array([stratum.judged for stratum in strata], dtype=np.float64),
            np.array([stratum.predicted for stratum in strata]),
            np.array([stratum.probability for stratum in strata]),
        )


def design_effect_of_turns(turns: float, judged: Floats, predicted: Floats, probability: Floats) -> float:
    """Variance of weighted scores of turns of conversations, relative to items of one conversation each.

    Turns share what is good about an answer and not who was drawn for a label: where a tenth is labelled, they hardly count as
    fewer; where all are, they count as few as plain answers.

    Args:
        turns: Turns that the conversation of an item has, from `mean_turns`.
        judged: Items of each stratum, or their shares.
        predicted: P(good | stratum).
        probability: Chance of a label.

    Source:
        Kish 1965, with a correlation of 0.7 of the answers themselves.

    Example:
        >>> half = np.array([0.5, 0.5])
        >>> [f"{design_effect_of_turns(5.0, half, half, np.full(2, chance)):.1f}" for chance in (1.0, 0.1)]
        ['3.8', '1.3']
    """
    if turns == 1:
        return 1.0
    weights = judged / judged.sum()
    within = weights * predicted * (1 - predicted)
    between = float(weights @ (predicted - weights @ predicted) ** 2)
    share = (float(within.sum()) + between) / (float((within / probability).sum()) + between)
    return believed_design_effect(turns, share)


def predicted_rate(good: int, labelled: int, prior: float = PRIOR_PASS) -> float:
    """Predict P(good | verdict) for tomorrow from the labels of the last 28 closed days.

    Args:
        good: Good labels of the verdict.
        labelled: Labels of the verdict.
        prior: Prediction without labels: `PRIOR_PASS`, `PRIOR_FAIL` or the middle of a scale.

    Returns:
        Prediction, in [0.02, 0.98].

    Raises:
        MalformedRecord: A negative count or good > labelled.

    Source:
        Mean of a Beta prior worth two labels.

    Example:
        >>> f"{predicted_rate(45, 50):.4f}"
        '0.9019'
    """
    check_count("labelled", labelled)
    check_count("good", good, most=labelled)
    rate = (_PRIOR_WEIGHT * check_fraction("prior", prior) + good) / (_PRIOR_WEIGHT + labelled)
    return min(max(rate, PREDICTED_MIN), PREDICTED_MAX)


def answered_probability(
    probability: float, *, selected: int, answered: int, recent_selected: int, recent_answered: int
) -> float | NotEnoughEvidence:
    """Chance of a label when some requests stay unanswered, so that the day can be closed.

    Args:
        probability: Chance with which an item was chosen, in (0, 1].
        selected: Items of the stratum chosen on the day.
        answered: Labels that came within the term.
        recent_selected: Items chosen in the 28 days before.
        recent_answered: Labels that came of those.

    Returns:
        probability times the stratum's response rate of the 28 days before (1 without history); or
        `NotEnoughEvidence` while less than 90 % answered: the day stays open.

    Raises:
        MalformedRecord: A count or the probability outside its range.

    Source:
        Response as a second stage of selection; Sarndal, Swensson and Wretman 1992, chapter 15.

    Example:
        >>> answered_probability(0.1, selected=20, answered=19, recent_selected=500, recent_answered=475)
        0.095
    """
    probability = check_fraction("probability", probability, 1e-12, 1.0, closed=True)
    check_count("selected", selected)
    check_count("answered", answered, most=selected)
    check_count("recent_selected", recent_selected)
    check_count("recent_answered", recent_answered, most=recent_selected)
    if selected and answered / selected < RESPONSE_MIN:
        need = -(-9 * selected // 10)
        return NotEnoughEvidence(
            reason=f"{answered} of {selected} requested labels came; below 90 % silence may mean something",
            have=answered,
            need=need,
            unit="labels",
            remedy=f"Collect {need - answered} more of the requested labels, then close the day.",
        )
    return probability * (recent_answered / recent_selected if recent_answered else 1.0)


def days_since(last: date | None, day: date, *, changed: bool) -> int:
    """Days between the last day that was counted and the next; 0 says that it was counted already.

    Args:
        last: Last day counted, or None at the start.
        day: The day offered.
        changed: Whether the content differs from what was counted for `last`.

    Raises:
        MalformedRecord: The day is out of order, or it was counted with other content.

    Example:
        >>> days_since(date(2026, 1, 1), date(2026, 1, 2), changed=True)
        1
    """
    if last is None:
        return 1
    gap = (day - last).days
    if gap < 0:
        raise malformed("day", day, f"a day after {last}, in order")
    if gap == 0 and changed:
        raise malformed(
            "day", f"{day} again with other counts", "each day once; start the detector again to correct one"
        )
    return gap
