# SPDX-License-Identifier: Apache-2.0
"""Whether an agent was tuned to the cases that judge it: how much better it is on them than on the sealed ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import scipy

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import ITEMS_MAX, CaseResult, level_worth
from pilothouse.core.verdict.verdict import ItemVerdict, Status

__all__ = ["GAP_MAX", "SplitGap", "judge_tuning", "split_gap"]

GAP_MAX: Final = 0.02
"""Advantage on the gate cases from which on they no longer stand for the sealed ones."""

_Z: Final = float(scipy.special.ndtri(0.975))
"""Two-sided 95 %: at one-sided 95 % this interval would call 5.6 % of untuned agents tuned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitGap:
    """Rate of good answers on the gate cases minus that on the sealed ones.

    Attributes:
        gate: Rate on the gate cases.
        sealed: Rate on the sealed cases.
        n_gate: Gate cases with a score.
        n_sealed: Sealed cases with a score.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
    """

    gate: float
    sealed: float
    n_gate: int
    n_sealed: int
    low: float
    high: float

    @property
    def is_tuned(self) -> bool:
        """Whether the advantage is proved to be larger than is accepted."""
        return self.low > GAP_MAX

    @property
    def sentence(self) -> str:
        """Return the gap in words, with the size it could have detected."""
        gap = (
            f"{percentage(self.gate)} good on {self.n_gate} gate cases, {percentage(self.sealed)} on {self.n_sealed} sealed ones: "
            f"{100 * (self.gate - self.sealed):+.1f} points [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"
        )
        if self.is_tuned:
            return f"{gap}; tuned to the cases that judge it"
        return (
            f"{gap}; no sign of tuning, and up to {max(100 * self.high, 0.0):.1f} points of it would not show"
        )


def split_gap(gate: Sequence[CaseResult], sealed: Sequence[CaseResult]) -> SplitGap | None:
    """Compare the two splits by the first repeat of each case; each is charged for its clusters.

    Args:
        gate: Results of the candidate on gate cases.
        sealed: Results of the candidate on sealed cases.

    Returns:
        The gap, or None when a split has no score.

    Source:
        Newcombe 1998, Statistics in Medicine 17, method 10 (Wilson's intervals combined).

    Example:
        >>> def some(good, n, name):
        ...     return [CaseResult(case_id=f"{name}{i}", cluster=f"{name}{i}", candidate=(i < good,)) for i in range(n)]
        >>> split_gap(some(196, 200, "g"), some(40, 50, "s")).is_tuned
        True
    """
    sides = [
        [one for one in some if one.candidate and one.candidate[0] is not None] for some in (gate, sealed)
    ]
    if not all(sides):
        return None
    rates, ends = [], []
    for some in sides:
        rate = sum(bool(one.candidate[0]) for one in some) / len(some)
        rates.append(rate)
        ends.append(_wilson(rate, level_worth(some)))
    (low_gate, high_gate), (low_sealed, high_sealed) = ends
    gap = rates[0] - rates[1]
    return SplitGap(
        gate=rates[0],
        sealed=rates[1],
        n_gate=len(sides[0]),
        n_sealed=len(sides[1]),
        low=gap - math.hypot(rates[0] - low_gate, high_sealed - rates[1]),
        high=gap + math.hypot(high_gate - rates[0], rates[1] - low_sealed),
    )


def judge_tuning(gap: SplitGap, failed: Sequence[str]) -> ItemVerdict | None:
    """Warn of an agent that was tuned to its gate cases.

    Args:
        gap: The gap.
        failed: Sealed cases that the candidate failed, as ids.

    Returns:
        The item, at risk; None when nothing is proved: a gap that is not seen proves no absence of one.
    """
    if not gap.is_tuned:
        return None
    return ItemVerdict(
        requirement="not_tuned",
        scope=Scope(),
        status=Status.AT_RISK,
        rule=f"at most {100 * GAP_MAX:g} points better on the gate cases than on the sealed ones",
        sentence=gap.sentence,
        unit="points",
        value=100 * (gap.gate - gap.sealed),
        low=100 * gap.low,
        high=100 * gap.high,
        bound=100 * GAP_MAX,
        n=gap.n_gate + gap.n_sealed,
        method="Newcombe's interval of two rates, 95 %",
        items=tuple(failed)[:ITEMS_MAX],
    )


def _wilson(rate: float, n: float) -> tuple[float, float]:
    """Wilson's interval, 95 %, for an effective number of cases."""
    centre = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)
