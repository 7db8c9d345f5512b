# SPDX-License-Identifier: Apache-2.0
"""One line of a simulation: what was expected, what was observed, how far it may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SEED = 20261121


@dataclass(frozen=True, kw_only=True)
class Bar:
    number: int
    what: str
    observed: float
    low: float
    high: float
    expected: str = ""

    @property
    def passed(self) -> bool:
        return self.low <= self.observed <= self.high

    @property
    def tolerance(self) -> str:
        if self.low == -math.inf:
            return f"<= {self.high:.4g}"
        if self.high == math.inf:
            return f">= {self.low:.4g}"
        return f"{self.low:.4g} .. {self.high:.4g}"

    def __str__(self) -> str:
        word = "pass" if self.passed else "MISSED"
        return f"{self.number:>3}  {self.what:<66} {self.expected:>12}  {self.observed:>9.4f}  {self.tolerance:>18}  {word}"


HEADER = f"{'no':>3}  {'what':<66} {'expected':>12}  {'observed':>9}  {'allowed':>18}  bar"


@dataclass(frozen=True)
class Effort:
    """How many repetitions; a fast run widens each tolerance by three standard errors."""

    repetitions: int
    fast: bool

    def slack(self, p: float) -> float:
        return 3 * math.sqrt(max(p * (1 - p), 1e-9) / self.repetitions) if self.fast else 0.0


def generator(number: int) -> np.random.Generator:
    return np.random.default_rng(SEED + number)


def share(number, what, observed, effort, *, low=-math.inf, high=math.inf, expected=""):
    """A bar on a share of runs, with the slack of a fast run at its edges."""
    low = low if low == -math.inf else low - effort.slack(low)
    high = high if high == math.inf else high + effort.slack(min(high, 1.0))
    return Bar(number=number, what=what, observed=float(observed), low=low, high=high, expected=expected)


def level(number, what, observed, effort, *, around=None, within=None, low=-math.inf, high=math.inf):
    """A bar on a mean or a median; a fast run doubles its tolerance."""
    expected = ""
    if around is not None:
        reach = within * (2 if effort.fast else 1)
        low, high, expected = around - reach, around + reach, f"{around:g}"
    return Bar(number=number, what=what, observed=float(observed), low=low, high=high, expected=expected)
