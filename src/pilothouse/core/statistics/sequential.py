# SPDX-License-Identifier: Apache-2.0
"""Group-sequential release gate: several looks, and at most one bad release in twenty passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction, malformed
from pilothouse.core.statistics.comparison import PAIRS_MIN, Comparison, Decision, compare
from pilothouse.core.statistics.methods import MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = ["LOOKS_MAX", "GateState", "SequentialGate", "Spending", "spending_bounds"]

LOOKS_MAX = 20
"""Planned looks: more of them cost cases and gain nothing; who looks all the time uses CanaryTest."""

Spending = Literal["pocock", "obrien_fleming"]

_GRID = np.linspace(-8.0, 8.0, 4001)
"""Where the density of Brownian motion on [0, 1] is followed: eight standard deviations."""

_STEP = float(_GRID[1] - _GRID[0])

_SCHEDULES_KEPT = 512
"""Prefixes of look schedules whose densities stay in memory: 16 MB."""

_FLIPS_MIN = 0.02
"""Flip rate below which futility is not computed: no flip so far does not mean none to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """What the gate remembers between looks; JSON in the ledger.

    Attributes:
        pairs: Pairs at each look so far, increasing.
        decision: What it came to.
        stopped: Whether it ended; a look after that is an error.
    """

    pairs: tuple[int, ...] = ()
    decision: Decision = Decision.UNDECIDED
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class SequentialGate:
    """Tango's statistic at planned looks against bounds that spend alpha over them.

    Attributes:
        margin: Largest loss that still counts as not worse, in (0, 0.5).
        max_cases: Pairs at which it ends, at least 20.
        looks: Planned looks, 1 to 20.
        spending: `pocock` ends early when the change is harmless; `obrien_fleming` when cases are scarce.
        alpha: Chance of "not worse" at the margin, all looks together, in (0, 0.5).
        futility: Chance of reaching the last bound, with nothing lost from now on, below which it stops; 0
            never stops. Nobody has to obey it, so it does not touch alpha.

    Source:
        Lan and DeMets 1983; bounds by the recursion of Armitage, McPherson and Rowe 1969.
    """

    margin: float
    max_cases: int
    looks: int = 10
    spending: Spending = "pocock"
    alpha: float = 0.05
    futility: float = 0.20

    def __post_init__(self) -> None:
        check_fraction("margin", self.margin, 0.0, 0.5)
        check_count("max_cases", self.max_cases, least=PAIRS_MIN)
        check_count("looks", self.looks, least=1, most=LOOKS_MAX)
        check_fraction("alpha", self.alpha, 0.0, 0.5)
        check_fraction("futility", self.futility, -1e-12, 0.5)
        if self.spending not in {"pocock", "obrien_fleming"}:
            raise malformed("spending", repr(self.spending), "'pocock' or 'obrien_fleming'")

    def planned_pairs(self) -> tuple[int, ...]:
        """Return the numbers of pairs at which to look, in order; the first is at least 20.

        Example:
            >>> SequentialGate(0.05, 100, looks=5).planned_pairs()
            (20, 40, 60, 80, 100)
        """
        planned = [math.ceil(self.max_cases * j / self.looks) for j in range(1, self.looks + 1)]
        return tuple(sorted({max(PAIRS_MIN, pairs) for pairs in planned}))

    def start(self) -> GateState:
        """Return the state before the first look."""
        return GateState()

    def update(
        self,
        state: GateState,
        b: float,
        c: float,
        n: int,
        *,
        design_effect: float = 1.0,
        clusters: int | None = None,
    ) -> tuple[GateState, Comparison | NotEnoughEvidence]:
        """Look once.

        Args:
            state: State after the look before.
            b: Pairs so far in which only the candidate is good; repeats of the baseline make fractions.
            c: Pairs so far in which only the baseline is good.
            n: Pairs so far, more than at the look before and at most `max_cases`; it need not be
                where the look was planned.
            design_effect: What clustering costs (above 1) or repeats save (below 1) among these pairs.
            clusters: Clusters these pairs come from, or None when each is its own; few of them are held
                against the same quantile of Student's t.

        Returns:
            The next state, and the comparison with its repeated interval; or how many pairs are
            missing for a first look.

        Raises:
            MalformedRecord: A wrong count, a look after the end, or more looks than 20.

        Example:
            >>> gate = SequentialGate(0.05, 400)
            >>> state, result = gate.update(gate.start(), 2, 2, 160)
            >>> result.decision.value, f"{result.z:.2f} > {result.critical:.2f}"
            ('not_worse', '2.56 > 1.94')
        """
        before = state.pairs[-1] if state.pairs else 0
        if state.stopped:
            raise malformed(
                "n", n, f"no further look: the gate ended at {before} pairs with {state.decision.value}"
            )
        n = check_count("n", n, least=before + 1, most=self.max_cases)
        b = check_fraction("b", b, 0.0, float(n), closed=True)
        c = check_fraction("c", c, 0.0, n - b, closed=True)
        if n < PAIRS_MIN:
            return state, NotEnoughEvidence(
                reason=f"the first look needs {PAIRS_MIN} pairs; there are {n}",
                have=n, need=PAIRS_MIN, unit="pairs",
                remedy=f"Run {PAIRS_MIN - n} more cases under both versions.",
            )  # fmt: skip
        pairs = (*state.pairs, n)
        if len(pairs) > LOOKS_MAX:
            raise malformed(
                "looks", len(pairs), f"at most {LOOKS_MAX} looks; use CanaryTest to look all the time"
            )
        bound = spending_bounds(tuple(p / self.max_cases for p in pairs), self.spending, self.alpha)[-1]
        if clusters is not None:
            freedom = check_count("clusters", clusters, least=2) - 1
            bound = float(scipy.special.stdtrit(freedom, scipy.special.ndtr(bound)))
        result = compare(
            b, c, n,
            margin=self.margin, alpha=self.alpha, critical=bound,
            design_effect=design_effect, looks=len(pairs), method=MethodId.SEQUENTIAL_GATE,
        )  # fmt: skip
        result = self._end(result, b, c, n, pairs)
        return GateState(pairs=pairs, decision=result.decision, stopped=result.stop), result

    def _end(self, result: Comparison, b: float, c: float, n: int, pairs: tuple[int, ...]) -> Comparison:
        """Stop where no further case can help."""
        if result.stop:
            return result
        if n == self.max_cases:
            note = "the gate ended undecided: the change is neither proved harmless nor harmful"
            return replace(result, stop=True, notes=(*result.notes, note))
        variance = max((b + c) / n, _FLIPS_MIN) * result.design_effect
        target = -self.margin * self.max_cases + self._last_bound(pairs) * math.sqrt(
            variance * self.max_cases
        )
        gap = (target - (b - c)) / math.sqrt(variance * (self.max_cases - n))
        chance = float(scipy.special.ndtr(-gap))
        if chance >= self.futility:
            return result
        note = (
            f"stopped as futile: {self.max_cases} pairs would prove it with a chance of {100 * chance:.0f} %"
        )
        return replace(result, stop=True, notes=(*result.notes, note))

    def _last_bound(self, pairs: tuple[int, ...]) -> float:
        """Return what the statistic must reach at the end, after these looks and the planned ones to come."""
        ahead = [one for one in self.planned_pairs() if one > pairs[-1]]
        looks = (*pairs, *ahead)[: LOOKS_MAX - 1]
        looks = looks if looks[-1] == self.max_cases else (*looks, self.max_cases)
        return spending_bounds(tuple(one / self.max_cases for one in looks), self.spending, self.alpha)[-1]


def spending_bounds(
    times: tuple[float, ...], spending: Spending = "pocock", alpha: float = 0.05
) -> tuple[float, ...]:
    """Bounds for z at each look, so that all looks together cross with probability alpha under H0.

    Args:
        times: Share of the information at each look, increasing, in (0, 1]; at most 20.
        spending: How alpha is spread.
        alpha: One-sided level, in (0, 0.5).

    Returns:
        One bound for each look.

    Raises:
        MalformedRecord: Times that do not increase, or an argument outside its range.

    Source:
        Lan and DeMets 1983, Biometrika 70; Armitage, McPherson and Rowe 1969.

    Example:
        >>> [f"{u:.3f}" for u in spending_bounds((0.2, 0.4, 0.6, 0.8, 1.0))]
        ['2.176', '2.144', '2.113', '2.090', '2.071']
    """
    check_count("times", len(times), least=1, most=LOOKS_MAX)
    check_fraction("alpha", alpha, 0.0, 0.5)
    for index, (before, time) in enumerate(zip((0.0, *times), times, strict=False)):
        if not before < time <= 1.0:
            raise malformed("times", time, "increasing shares in (0, 1]", index=index)
    return tuple(_look(times[: j + 1], spending, alpha).bound for j in range(len(times)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    bound: float
    density: Floats
    """Sub-density of Brownian motion that has crossed no bound so far, on the grid."""


@lru_cache(maxsize=_SCHEDULES_KEPT)
def _look(times: tuple[float, ...], spending: Spending, alpha: float) -> _Look:
    """Bound of the last look of a schedule; its prefixes are remembered."""
    time = times[-1]
    if len(times) == 1:
        before, spent = 0.0, 0.0
        density = np.exp(-(_GRID**2) / (2 * time)) / math.sqrt(2 * math.pi * time)
    else:
        before = times[-2]
        spent = _spent(before, spending, alpha)
        density = _diffuse(_look(times[:-1], spending, alpha).density, time - before)
    increment = max(_spent(time, spending, alpha) - spent, 1e-14)
    tail = np.concatenate([np.cumsum(((density[1:] + density[:-1]) / 2 * _STEP)[::-1])[::-1], [0.0]])
    crossing = float(np.interp(-increment, -tail, _GRID))
    share_below = np.clip((crossing - (_GRID - _STEP / 2)) / _STEP, 0.0, 1.0)
    return _Look(bound=crossing / math.sqrt(time), density=density * share_below)


def _spent(time: float, spending: Spending, alpha: float) -> float:
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * time)
    return 4 * float(scipy.special.ndtr(-scipy.special.ndtri(1 - alpha / 4) / math.sqrt(time)))


def _diffuse(density: Floats, duration: float) -> Floats:
    """Let a density on the grid spread as Brownian motion does, by fast Fourier transform."""
    size = 2 * len(_GRID)
    offsets = np.fft.fftfreq(size, 1 / size) * _STEP
    kernel = np.exp(-(offsets**2) / (2 * duration))
    kernel /= kernel.sum()
    spread = np.fft.irfft(np.fft.rfft(density, size) * np.fft.rfft(kernel, size), size)[: len(_GRID)]
    return np.maximum(spread, 0.0)
