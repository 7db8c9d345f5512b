# SPDX-License-Identifier: Apache-2.0
"""Whether enough answers are good where only a model judge scores them: labels of this run against the floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from pilothouse.core.statistics.intervals import cases_to_prove_floor
from pilothouse.core.statistics.quality import (
    LABELS_MIN,
    STRATUM_LABELS_MIN,
    STRATUM_SHARE_MIN,
    Stratum,
    quality_interval,
)
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import GateRules, undecided
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["NO_ANSWER", "LabelledFloor", "judge_labelled_floor"]

NO_ANSWER = "no answer"
"""Stratum of the cases that ended in an error or out of time: nobody needs to label that they are bad."""

STEP = 1.25
"""How the number of labels grows while the one that decides is looked for: about a quarter too many at most."""


@dataclass(frozen=True, slots=True)
class LabelledFloor:
    """A floor judged by labels, and how many more would decide it.

    Attributes:
        item: The requirement.
        labels_wanted: Further labels that would decide it, 0 where it is decided, None where no number of labels of these
            answers would.
    """

    item: ItemVerdict
    labels_wanted: int | None


def judge_labelled_floor(
    strata: Sequence[Stratum], rules: GateRules, *, critical: float, design_effect: float = 1.0
) -> LabelledFloor | None:
    """Decide by what people said of this run's answers whether the rate of good ones reaches the floor.

    The judge only says how common each of its verdicts is; how often each is right is what people say. So the judge's
    errors shift nothing, and no card is asked for.

    Args:
        strata: Answers by verdict of the judge, with their labels.
        rules: Rules of the task type.
        critical: Critical value of this look, for example 1.645 for a single one at 5 %.
        design_effect: What clustering of the cases costs.

    Returns:
        The item with the labels that are wanted, or None when no floor is committed.

    Example:
        >>> rules = GateRules(task_type="t", floor=0.9)
        >>> strata = [Stratum(name="pass", judged=380, labelled=60, good=60), Stratum(name="fail", judged=20, labelled=20, good=4)]
        >>> judge_labelled_floor(strata, rules, critical=1.645).item.status.value
        'holds'
    """
    if rules.floor is None:
        return None
    item = undecided(
        "floor", rules, f"at least {percentage(rules.floor)} of the answers are good", bound=rules.floor
    )
    level = 2 * float(scipy.special.ndtr(critical)) - 1
    answers = sum(one.judged for one in strata)
    labels = sum(one.labelled for one in strata if one.name != NO_ANSWER)
    have = f"people labelled {labels} of the {answers} answers"
    found = _measured(strata, level, design_effect)
    if isinstance(found, NotEnoughEvidence):
        wanted = _first_labels(strata)
        return LabelledFloor(
            item.model_copy(
                update={
                    "reason": Reason.MISSING if not labels else Reason.INSUFFICIENT,
                    "n": labels,
                    "sentence": f"{have}, and a model judge alone shows no level; {wanted} more show how many decide it",
                }
            ),
            wanted,
        )
    status = _status(found, rules.floor)
    further = 0 if status is not Status.NO_EVIDENCE else _further(strata, rules.floor, level, design_effect)
    cases = (
        cases_to_prove_floor(rules.floor, found.value, float(scipy.special.ndtr(critical)), have=answers)
        if further is None
        else None
    )
    words = {
        Status.HOLDS: f"proved: at least {percentage(found.low)}",
        Status.BREACHED: f"proved: at most {percentage(found.high)}",
        Status.NO_EVIDENCE: f"not proved: the rate lies between {percentage(found.low)} and {percentage(found.high)}; "
        + (
            f"about {further} more labels would decide it"
            if further
            else "no number of labels of these answers would decide it"
        ),
    }[status]
    return LabelledFloor(
        item.model_copy(
            update={
                "status": status,
                "reason": Reason.INSUFFICIENT if status is Status.NO_EVIDENCE else None,
                "sentence": f"{percentage(found.value)} good: {have}, the judge says how common each verdict is; {words}",
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "n": labels,
                "n_needed": answers + cases if cases else None,
                "method": found.method.value,
            }
        ),
        further,
    )


def _measured(strata: Sequence[Stratum], level: float, design_effect: float) -> Estimate | NotEnoughEvidence:
    return quality_interval(
        [one for one in strata if one.judged] or [Stratum(name=NO_ANSWER, judged=0, labelled=0, good=0)],
        level=level,
        design_effect=design_effect,
    )


def _first_labels(strata: Sequence[Stratum]) -> int:
    """Return the labels that show a quality at all, where those of a rare verdict come among the others at random."""
    judged = sum(one.judged for one in strata)
    left = judged - sum(one.labelled for one in strata)
    wanted = float(max(LABELS_MIN - sum(one.labelled for one in strata), 1))
    for one in strata:
        missing = min(STRATUM_LABELS_MIN, one.judged) - one.labelled
        if missing > 0 and one.judged >= STRATUM_SHARE_MIN * judged:
            wanted = max(wanted, missing * left / (one.judged - one.labelled))
    return max(min(math.ceil(wanted), left), 1)


def _status(found: Estimate, floor: float) -> Status:
    if found.low >= floor:
        return Status.HOLDS
    return Status.BREACHED if found.high < floor else Status.NO_EVIDENCE


def _further(strata: Sequence[Stratum], floor: float, level: float, design_effect: float) -> int | None:
    """Return how many more labels decide if each verdict stays as often right as it is, or None when all together do not."""
    have = sum(one.labelled for one in strata)
    factor = 1.0
    while True:
        factor *= STEP
        grown = [_grown(one, factor) for one in strata]
        found = _measured(grown, level, design_effect)
        total = sum(one.labelled for one in grown)
        if isinstance(found, Estimate) and total > have and _status(found, floor) is not Status.NO_EVIDENCE:
            return total - have
        if all(one.labelled == one.judged for one in grown):
            return None


def _grown(one: Stratum, factor: float) -> Stratum:
    """Return a verdict with so many times the labels, at least one more where any answer is left, as often good."""
    labelled = min(one.judged, max(one.labelled + 1, round(one.labelled * factor)))
    rate = one.good / one.labelled if one.labelled else 0.5
    return Stratum(name=one.name, judged=one.judged, labelled=labelled, good=round(labelled * rate))
