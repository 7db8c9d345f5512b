# SPDX-License-Identifier: Apache-2.0
"""Choose the confidence above which answers go out without review."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import (
    Floats,
    Integers,
    binary_array,
    check_count,
    check_fraction,
    check_same_length,
    finite_array,
)
from pilothouse.core.statistics.clusters import cluster_indexes, worth_of
from pilothouse.core.statistics.intervals import failure_upper_bound, jeffreys_interval
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = [
    "GRID_POINTS",
    "CostThreshold",
    "Risk",
    "Routing",
    "Threshold",
    "choose_threshold",
    "cost_threshold",
    "route",
]

GRID_POINTS = 70
"""Confidences that are tried, from strict to lax: more of them gain nothing at 200 labels."""

Risk = Literal["marginal", "selective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The confidence from which answers go out without review.

    Attributes:
        tau: Lowest confidence of an automatic answer.
        automation: Share of tasks at or above it, with its interval.
        wrong_bound: Wrong automatic answers per task (or per automatic answer), with its upper bound.
        budget: What was promised.
        delta: Share of calibrations that may break the promise.
        risk: `marginal` (per task) or `selective` (per automatic answer).
        n: Labelled tasks.
        guarantee: What may be believed, one sentence.
    """

    tau: float
    automation: Estimate
    wrong_bound: Estimate
    budget: float
    delta: float
    risk: Risk
    n: int
    guarantee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostThreshold:
    """The calibrated confidence above which an automatic answer is cheaper than a review.

    Attributes:
        tau: Confidence; 0 when review never pays.
        review_pays: Whether a review can pay at all.
        sentence: The same in words.
        guarantee: What may be believed, one sentence.
    """

    tau: float
    review_pays: bool
    sentence: str
    guarantee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The threshold in force and what it means for the people who review.

    Attributes:
        tau: Lowest confidence of an automatic answer: the stricter of guarantee and cost.
        automation: Share of tasks at or above it.
        held_per_day: Tasks a day that wait for a person.
        automation_that_fits: Share of automatic answers that the reviewers' capacity asks for; equal to
            `automation` when the capacity suffices. The threshold is never lowered for it.
        notes: What a reader must know besides.
    """

    tau: float
    automation: Estimate
    held_per_day: float
    automation_that_fits: float
    notes: tuple[str, ...] = ()


def choose_threshold(
    confidence: Sequence[float] | NDArray[np.generic],
    wrong: Sequence[int] | NDArray[np.generic],
    *,
    budget: float = 0.03,
    delta: float = 0.10,
    task_types: int = 1,
    grid: Sequence[float] | None = None,
    risk: Risk = "marginal",
    conversations: Sequence[Hashable | None] | None = None,
) -> Threshold | NotEnoughEvidence:
    """Lowest confidence at which wrong automatic answers stay within the budget.

    Args:
        confidence: Confidence of each labelled task, in [0, 1], shape (n,): a random sample of all
            traffic of the type, whatever the confidence.
        wrong: Whether the answer was wrong (1) or right (0), shape (n,).
        budget: Wrong automatic answers per task, in (0, 0.5); per automatic answer when selective.
        delta: Share of calibrations that may break the budget, in (0, 0.5).
        task_types: Task types whose thresholds are chosen together; they share delta.
        grid: Confidences to try, in any order; None takes 70 quantiles. It must not depend on `wrong`.
        risk: `marginal` or `selective`; selective needs several times the labels.
        conversations: Conversation of each task, shape (n,), None for a task of its own; None where all are. Turns of one go
            wrong together, so that many of them are worth few labels.

    Returns:
        The threshold; or how many labels are missing, or that even the surest answers are too often wrong.

    Raises:
        MalformedRecord: A value outside its range, or unequal lengths.

    Source:
        Angelopoulos, Bates, Candes, Jordan and Lei 2021, arXiv 2110.01052, fixed-sequence testing
        with binomial p-values of as many single labels as those of a level are worth (`worth_of`).

    Example:
        >>> confidence = [i / 200 for i in range(200)]
        >>> wrong = [1] * 60 + [0] * 140
        >>> chosen = choose_threshold(confidence, wrong)
        >>> f"{chosen.tau:.3f} {chosen.automation.value:.2f} {chosen.wrong_bound.high:.3f}"
        '0.288 0.71 0.026'
    """
    groups = cluster_indexes([None] * len(wrong) if conversations is None else conversations)
    check_same_length(confidence=confidence, wrong=wrong, conversations=groups)
    scores = finite_array("confidence", confidence, 0.0, 1.0)
    errors = binary_array("wrong", wrong)
    budget = check_fraction("budget", budget, 0.0, 0.5)
    delta = check_fraction("delta", delta, 0.0, 0.5)
    each = delta / check_count("task_types", task_types, least=1)
    n = len(scores)
    least = math.ceil(math.log(each) / math.log(1 - budget))
    if n < least:
        return _few(n, least, budget, each)
    levels = np.quantile(scores, np.linspace(1, 0, GRID_POINTS)) if grid is None else _grid(grid)
    levels = np.unique(levels)[::-1]
    order = np.argsort(-scores, kind="stable")
    above = np.searchsorted(-scores[order], -levels, side="right")
    running = np.concatenate([[0], np.cumsum(errors[order])])
    failures = running[above]
    trials = np.full(len(levels), n) if risk == "marginal" else above
    tested = trials >= least
    if not tested.any():
        return _few(int(above.max()), least, budget, each)
    levels, above, failures, trials = levels[tested], above[tested], failures[tested], trials[tested]
    worth = np.array(
        [_worth(scores, errors, groups, level, is_whole=risk == "marginal") for level in levels.tolist()]
    )
    # Of worth as much as labels this is the binomial distribution, and between whole numbers what goes on between them.
    wrong_worth = failures * worth / trials
    chance = scipy.special.betainc(np.maximum(worth - wrong_worth, 1e-12), wrong_worth + 1, 1 - budget)
    accepted = chance <= each
    count = len(accepted) if accepted.all() else int(np.argmin(accepted))
    if count == 0 and (1 - budget) ** worth[0] > each:
        return _few(int(trials[0]), math.ceil(least * trials[0] / worth[0]), budget, each, int(worth[0]))
    if count == 0:
        return NotEnoughEvidence(
            reason=f"even at the highest confidence {failures[0]} of {trials[0]} tasks would go out wrong",
            have=n, need=None, unit="labels",
            remedy="Improve the confidence (calibrate it, add features), widen the budget, or review everything.",
        )  # fmt: skip
    last = count - 1
    return Threshold(
        tau=float(levels[last]),
        automation=_estimate(int(above[last]), n),
        wrong_bound=_bound(int(failures[last]), int(trials[last]), int(worth[last]), 1 - each),
        budget=budget,
        delta=delta,
        risk=risk,
        n=n,
        guarantee=_promise(budget, delta, risk),
    )


def cost_threshold(cost_wrong: float, cost_review: float) -> CostThreshold:
    """Calibrated confidence above which an automatic answer is cheaper than a review.

    Args:
        cost_wrong: Loss from one wrong automatic answer, in USD, above 0.
        cost_review: Cost of one review, in USD, from 0.

    Returns:
        The threshold; when a review costs as much as a mistake it says that review never pays.

    Raises:
        MalformedRecord: A cost outside its range.

    Source:
        Chow 1970: hold back when (1 - p) cost_wrong exceeds cost_review.

    Example:
        >>> f"{cost_threshold(120.0, 4.5).tau:.4f}"
        '0.9625'
    """
    cost_wrong = check_fraction("cost_wrong", cost_wrong, 0.0, 1e12)
    cost_review = check_fraction("cost_review", cost_review, 0.0, 1e12, closed=True)
    guarantee = METHODS[MethodId.COST_THRESHOLD].sentence
    if cost_review >= cost_wrong:
        sentence = (
            f"A review ({cost_review:g}) costs as much as a mistake ({cost_wrong:g}): review never pays."
        )
        return CostThreshold(tau=0.0, review_pays=False, sentence=sentence, guarantee=guarantee)
    tau = 1 - cost_review / cost_wrong
    sentence = f"Below a confidence of {tau:.3f} a review is cheaper than the mistakes it prevents."
    return CostThreshold(tau=tau, review_pays=True, sentence=sentence, guarantee=guarantee)


def route(
    guaranteed: Threshold,
    cost: CostThreshold | None,
    confidence: Sequence[float] | NDArray[np.generic],
    *,
    tasks_per_day: float,
    reviews_per_day: float | None = None,
) -> Routing | NotEnoughEvidence:
    """Combine guarantee, cost and capacity into the threshold in force.

    Args:
        guaranteed: From `choose_threshold`, on the same scale of confidence as `cost`.
        cost: From `cost_threshold`, or None when the charter gives no costs.
        confidence: Confidence of recent tasks, shape (n,), in [0, 1].
        tasks_per_day: Tasks a day.
        reviews_per_day: What reviewers can do, or None when nobody said.

    Returns:
        The stricter of the two thresholds, and whether the reviewers can follow.

    Raises:
        MalformedRecord: A value outside its range.

    Example:
        >>> confidence = [i / 200 for i in range(200)]
        >>> chosen = choose_threshold(confidence, [1] * 60 + [0] * 140)
        >>> r = route(chosen, cost_threshold(10.0, 5.0), confidence, tasks_per_day=1000, reviews_per_day=300)
        >>> f"{r.tau:.2f} {r.held_per_day:.0f} {r.automation_that_fits:.2f}"
        '0.50 500 0.70'
    """
    scores = finite_array("confidence", confidence, 0.0, 1.0)
    tasks_per_day = check_fraction("tasks_per_day", tasks_per_day, 0.0, 1e12)
    tau = max(guaranteed.tau, cost.tau if cost else 0.0)
    if len(scores) == 0:
        return NotEnoughEvidence(
            reason="no recent task has a confidence", have=0, need=1, unit="tasks",
            remedy="Record the confidence of tasks, then route them.",
        )  # fmt: skip
    automation = _estimate(int((scores >= tau).sum()), len(scores))
    held = (1 - automation.value) * tasks_per_day
    fits = automation.value
    notes: tuple[str, ...] = ()
    if reviews_per_day is not None and check_fraction("reviews_per_day", reviews_per_day, -1e-9, 1e12) < held:
        fits = 1 - reviews_per_day / tasks_per_day
        notes += (
            (
                f"reviewers can do {reviews_per_day:g} of {held:.0f} held tasks a day; only {100 * fits:.0f} % automation "
                "would fit, and the threshold is not lowered for that"
            ),
        )
    if cost is not None and not cost.review_pays:
        notes += (cost.sentence,)
    return Routing(tau=tau, automation=automation, held_per_day=held, automation_that_fits=fits, notes=notes)


def _grid(grid: Sequence[float]) -> Floats:
    check_count("grid", len(grid), least=1)
    return finite_array("grid", grid, 0.0, 1.0)


def _worth(scores: Floats, errors: Integers, groups: Integers, level: float, *, is_whole: bool) -> int:
    """How many single labels those of all tasks, or of the automatic ones, are worth for the wrong automatic answers of a level."""
    automatic = scores >= level
    good = 1.0 - errors * automatic
    return (
        worth_of(good.tolist(), groups) if is_whole else worth_of(good[automatic].tolist(), groups[automatic])
    )


def _few(have: int, least: int, budget: float, each: float, worth: int | None = None) -> NotEnoughEvidence:
    together = "" if worth is None else f", turns of conversations and worth {worth} single ones,"
    return NotEnoughEvidence(
        reason=f"{have} labels{together} cannot show a rate below {100 * budget:g} % with {100 * (1 - each):g} % confidence, "
        "even without a single mistake",
        have=have, need=least, unit="labels",
        remedy=f"Label {least - have} more tasks, drawn at random from all traffic of the type.",
    )  # fmt: skip


def _estimate(count: int, n: int) -> Estimate:
    interval = jeffreys_interval(count, n)
    assert isinstance(interval, Estimate), "n >= 1 was checked"  # noqa: S101 - a fact for the type checker
    return replace(interval, method=MethodId.CHOOSE_THRESHOLD)


def _bound(failures: int, trials: int, worth: int, level: float) -> Estimate:
    bound = failure_upper_bound(math.ceil(failures * worth / trials), worth, level)
    assert isinstance(bound, Estimate), "worth >= 1 was checked"  # noqa: S101 - a fact for the type checker
    return replace(bound, value=failures / trials, n=trials, method=MethodId.CHOOSE_THRESHOLD)


def _promise(budget: float, delta: float, risk: Risk) -> str:
    per = "tasks" if risk == "marginal" else "automatic answers"
    return (
        f"In {100 * (1 - delta):g} of 100 calibrations at most {100 * budget:g} wrong automatic answers per 100 {per}, "
        "while traffic looks like the calibration."
    )
