# SPDX-License-Identifier: Apache-2.0
"""The saturation point: the volume at which the lower bound of success falls under its minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.statistics.intervals import jeffreys_lower
from pilothouse.core.verdict.numbers import percentage

__all__ = ["Saturation", "VolumePoint", "find_saturation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePoint:
    """Results at one volume.

    Attributes:
        per_minute: Arrivals in a minute.
        good: Users who got a good answer in time.
        n: Users, in independent cases.
    """

    per_minute: float
    good: int
    n: int

    @property
    def low(self) -> float:
        """Lower bound of the share of good answers, one-sided 95 %."""
        return jeffreys_lower(self.good, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Up to which volume success is proved to stay at its least.

    Attributes:
        least: Least share of good answers.
        held: Highest volume up to which every lower bound reaches it, arrivals in a minute; None when none does.
        fell: Lowest volume at which the lower bound falls under it; None when none does.
        low: That lower bound, or that of the highest volume when none falls.
    """

    least: float
    held: float | None
    fell: float | None
    low: float

    @property
    def sentence(self) -> str:
        """Return the result in words."""
        if self.fell is None:
            return f"at least {percentage(self.low)} good up to {self.held:.4g} a minute, the highest volume that was sent ({percentage(self.least)} asked)"
        if self.held is None:
            return f"no volume holds {percentage(self.least)}: at {self.fell:.4g} a minute only {percentage(self.low)} is proved"
        return (
            f"{percentage(self.least)} is proved up to {self.held:.4g} a minute and no longer at {self.fell:.4g}, "
            f"where only {percentage(self.low)} is"
        )


def find_saturation(points: Sequence[VolumePoint], least: float) -> Saturation | None:
    """Find the first volume, from below, at which success is no longer proved.

    Args:
        points: Volumes that were sent, in any order; those without a case say nothing.
        least: Least share of good answers, in [0, 1].

    Returns:
        What held and what fell, or None without a case.

    Example:
        >>> points = [VolumePoint(per_minute=6.0, good=150, n=150), VolumePoint(per_minute=60.0, good=90, n=150)]
        >>> find_saturation(points, 0.95).sentence
        '95.0 % is proved up to 6 a minute and no longer at 60, where only 53.3 % is'
    """
    ordered = sorted((one for one in points if one.n), key=lambda one: one.per_minute)
    held: float | None = None
    for one in ordered:
        if one.low < least:
            return Saturation(least=least, held=held, fell=one.per_minute, low=one.low)
        held = one.per_minute
    return Saturation(least=least, held=held, fell=None, low=ordered[-1].low) if ordered else None
