# SPDX-License-Identifier: Apache-2.0
"""The three answers of a statistical function: an estimate, a test result, or not enough evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilothouse.core.statistics.methods import MethodId

__all__ = ["Estimate", "NotEnoughEvidence", "TestResult", "Unit"]

Unit = Literal["rate", "usd", "seconds", "index"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its range.

    Attributes:
        value: The estimate, inside [low, high].
        low: Lower end.
        high: Upper end.
        level: Confidence level of the range, in (0, 1).
        n: Cases behind it.
        n_effective: What `n` is worth after clustering or weighting.
        unit: `rate` (a fraction or a difference of two), `usd`, `seconds` or `index` (no unit).
        method: How it was made.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    n_effective: float
    unit: Unit
    method: MethodId
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEnoughEvidence:
    """Not enough evidence, and how much more is needed.

    Attributes:
        reason: What is missing, one sentence.
        have: What there is, in `unit`.
        need: What would be enough in all, or None when no number would.
        unit: What is counted, for example `labels`, `cases`, `pairs`, `clusters` or `weeks`.
        remedy: What to do.
    """

    reason: str
    have: int
    need: int | None
    unit: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """The outcome of a test of "nothing changed".

    Attributes:
        method: Which test.
        statistic: Its statistic.
        p_value: Chance of a statistic at least this large if nothing changed.
        alpha: Level it was held against.
        rejected: Whether "nothing changed" is rejected.
        n: Cases on the current side.
        n_effective: What `n` is worth after clustering.
        effect: Size of the change, or None when the test has none.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    __test__ = False
    """Not a test case, whatever its name looks like to a test collector."""

    method: MethodId
    statistic: float
    p_value: float
    alpha: float
    rejected: bool
    n: int
    n_effective: float
    effect: Estimate | None
    guarantee: str
    notes: tuple[str, ...] = ()
