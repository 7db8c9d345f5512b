# SPDX-License-Identifier: Apache-2.0
"""Anytime-valid canary test: look after every task, and pass at most one bad canary in twenty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats, check_fraction, finite_array
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.statistics.wealth import LOG_MAX

__all__ = ["CanaryDecision", "CanaryReading", "CanaryState", "CanaryTest"]

_STAKES = np.array((0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9))
"""Stakes of the seven bets; the largest survives the worst difference."""

_STAKE_MAX = 0.5
"""Largest weight of one case in the interval: a usual cap of the empirical-Bernstein sequence."""


class CanaryDecision(StrEnum):
    """The decision about a canary."""

    NOT_WORSE = "not_worse"
    HARMFUL = "harmful"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryState:
    """What the test remembers between looks; JSON in the ledger.

    Attributes:
        log_fine: Logarithm of the wealth against "worse by the margin", for each bet.
        log_harm: Logarithm of the wealth against "no harm", for each bet.
        n: Differences counted.
        total: Their sum.
        squares: Sum of squared distances to the mean before each, on the scale [0, 1].
        weight: Sum of the interval's weights.
        weighted: Weighted sum of differences on the scale [0, 1].
        spread: Variance term of the interval.
        decision: What it came to; it stays.
        decided_n: Differences at the decision, or None.
    """

    log_fine: tuple[float, ...] = (0.0,) * len(_STAKES)
    log_harm: tuple[float, ...] = (0.0,) * len(_STAKES)
    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    weight: float = 0.0
    weighted: float = 0.0
    spread: float = 0.0
    decision: CanaryDecision = CanaryDecision.UNDECIDED
    decided_n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReading:
    """The reading of the test at a look.

    Attributes:
        decision: Not worse, harmful or undecided; the first that was reached stays.
        decided_n: Differences at the decision, or None.
        e_fine: Evidence against "worse by the margin".
        e_harm: Evidence of harm beyond the tolerance.
        threshold: Evidence that decides.
        n: Differences counted.
        difference: Candidate minus baseline with an interval that is valid at every look, or None before
            the first difference.
        guarantee: What may be believed, one sentence.
    """

    decision: CanaryDecision
    decided_n: int | None
    e_fine: float
    e_harm: float
    threshold: float
    n: int
    difference: Estimate | None
    guarantee: str


@dataclass(frozen=True, slots=True)
class CanaryTest:
    """Betting tests of "worse by the margin" and of "no harm", on differences in [-1, 1].

    A difference is a paired replay, or a canary unit minus the mean of unused baseline units of the
    same task type; a unit is a conversation or a user. Cluster means need no correction.

    Attributes:
        margin: Largest loss that still counts as not worse, in (0, 0.5).
        alpha: Chance of each wrong decision, in (0, 0.5).
        tolerance: Loss that is no harm yet, in [0, 0.1].

    Source:
        Waudby-Smith and Ramdas 2024, Journal of the Royal Statistical Society B 86.
    """

    margin: float
    alpha: float = 0.05
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        check_fraction("margin", self.margin, 0.0, 0.5)
        check_fraction("alpha", self.alpha, 0.0, 0.5)
        check_fraction("tolerance", self.tolerance, 0.0, 0.1, closed=True)

    def start(self) -> CanaryState:
        """Return the state before the first difference."""
        return CanaryState()

    def update(
        self, state: CanaryState, differences: Sequence[float] | NDArray[np.generic]
    ) -> tuple[CanaryState, CanaryReading]:
        """Count differences in the order in which they came.

        Args:
            state: State after the look before.
            differences: Candidate minus baseline, each in [-1, 1], shape (any,).

        Returns:
            The next state and the reading; the decision is the same as after looking at every one.

        Raises:
            MalformedRecord: A difference outside [-1, 1].

        Example:
            >>> canary = CanaryTest(0.05)
            >>> state, reading = canary.update(canary.start(), [0.0] * 200)
            >>> reading.decision.value, reading.decided_n
            ('not_worse', 101)
        """
        d = finite_array("differences", differences, -1.0, 1.0)
        if len(d):
            state = self._count(state, d)
        return state, CanaryReading(
            decision=state.decision,
            decided_n=state.decided_n,
            e_fine=_mean_wealth(np.asarray(state.log_fine)),
            e_harm=_mean_wealth(np.asarray(state.log_harm)),
            threshold=1 / self.alpha,
            n=state.n,
            difference=self._interval(state) if state.n else None,
            guarantee=METHODS[MethodId.CANARY_TEST].sentence
            if math.isclose(self.alpha, 0.05)
            else METHODS[MethodId.CANARY_TEST].sentence.replace("1 in 20", f"{100 * self.alpha:g} in 100"),
        )

    def _count(self, state: CanaryState, d: Floats) -> CanaryState:
        fine = self._follow(state.log_fine, d + self.margin)
        harm = self._follow(state.log_harm, -(d + self.tolerance))
        decision, decided_n = state.decision, state.decided_n
        if decision is CanaryDecision.UNDECIDED:
            bound = -math.log(self.alpha)
            firsts = [
                int(np.argmax(hits)) if hits.any() else len(d)
                for hits in (_log_mean_rows(harm) >= bound, _log_mean_rows(fine) >= bound)
            ]
            if min(firsts) < len(d):
                decision = CanaryDecision.HARMFUL if firsts[0] <= firsts[1] else CanaryDecision.NOT_WORSE
                decided_n = state.n + min(firsts) + 1
        sums = self._sums(state, d)
        return CanaryState(
            log_fine=tuple(fine[-1].tolist()),
            log_harm=tuple(harm[-1].tolist()),
            n=state.n + len(d),
            total=state.total + float(d.sum()),
            squares=sums[0],
            weight=sums[1],
            weighted=sums[2],
            spread=sums[3],
            decision=decision,
            decided_n=decided_n,
        )

    @staticmethod
    def _follow(log_wealth: tuple[float, ...], gains: Floats) -> Floats:
        """Logarithm of the wealth after each difference, shape (differences, bets)."""
        steps = np.log1p(_STAKES[None, :] * gains[:, None])
        followed: Floats = np.clip(np.cumsum(steps, axis=0) + np.asarray(log_wealth), -LOG_MAX, LOG_MAX)
        return followed

    def _sums(self, state: CanaryState, d: Floats) -> tuple[float, float, float, float]:
        """Fold differences into the predictable plug-in empirical-Bernstein sequence."""
        x = (d + 1) / 2
        t = state.n + np.arange(1, len(x) + 1)
        past = (state.total + state.n) / 2 + np.concatenate([[0.0], np.cumsum(x)[:-1]])
        mean_before = (0.5 + past) / t
        distances = (x - mean_before) ** 2
        squares = state.squares + np.cumsum(distances)
        variance_before = (0.25 + squares - distances) / t
        weights = np.sqrt(2 * math.log(2 / self.alpha) / (variance_before * t * np.log1p(t)))
        weights = np.minimum(weights, _STAKE_MAX)
        spread = distances * (-np.log1p(-weights) - weights)
        return (
            float(squares[-1]),
            state.weight + float(weights.sum()),
            state.weighted + float(weights @ x),
            state.spread + float(spread.sum()),
        )

    def _interval(self, state: CanaryState) -> Estimate:
        middle = state.weighted / state.weight
        reach = (math.log(2 / self.alpha) + state.spread) / state.weight
        value = state.total / state.n
        return Estimate(
            value=value,
            low=min(max(2 * (middle - reach) - 1, -1.0), value),
            high=max(min(2 * (middle + reach) - 1, 1.0), value),
            level=1 - self.alpha,
            n=state.n,
            n_effective=float(state.n),
            unit="rate",
            method=MethodId.CANARY_TEST,
            guarantee=f"The true difference is in this range at every look, {100 * (1 - self.alpha):g} times in 100.",
        )


def _log_mean_rows(log_wealth: Floats) -> Floats:
    top = log_wealth.max(axis=1)
    means: Floats = top + np.log(np.exp(log_wealth - top[:, None]).mean(axis=1))
    return means


def _mean_wealth(log_wealth: Floats) -> float:
    return math.exp(min(float(_log_mean_rows(log_wealth[None, :])[0]), LOG_MAX))
