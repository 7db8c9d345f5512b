# SPDX-License-Identifier: Apache-2.0
"""Detect that quality fell below its band, with a guaranteed average distance between false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy

from pilothouse.core.dates import calendar_day
from pilothouse.core.statistics.allocation import weighted_score
from pilothouse.core.statistics.checks import Floats, check_count, check_fraction
from pilothouse.core.statistics.daily import DayCounts, days_since
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.wealth import BETS, ZERO_WEALTH, log_mean, restart_and_multiply

__all__ = [
    "DAYS_MIN",
    "LINE_RANGE",
    "SILENT_DAYS_MAX",
    "DropDetector",
    "DropState",
    "Reading",
    "baseline_floor",
    "day_log_e",
    "lower_bound_at",
    "raw_floor",
]

DAYS_MIN = 3
"""Closed days before the detector says anything."""

LINE_RANGE = (0.01, 0.999)
"""Lines that labels can be held against, both ends left out."""

SILENT_DAYS_MAX = 7
"""Days without a requested label after which nothing is known any more."""


def lower_bound_at(estimate: Estimate, level: float) -> float:
    """One-sided lower bound at `level` of an estimate that has a two-sided interval at its own level.

    The lower end of a two-sided 90 % interval is the one-sided 95 % bound exactly. For other levels
    the distance is rescaled on the logit scale by normal quantiles.

    Args:
        estimate: A rate with its interval.
        level: One-sided confidence in (0.5, 1).

    Example:
        >>> from pilothouse.core.statistics.intervals import jeffreys_interval, jeffreys_lower
        >>> e = jeffreys_interval(188, 200)
        >>> f"{lower_bound_at(e, 0.95):.3f} {jeffreys_lower(188, 200):.3f}"
        '0.908 0.908'
    """
    ratio = float(scipy.special.ndtri(level) / scipy.special.ndtri((1 + estimate.level) / 2))
    if math.isclose(ratio, 1.0, abs_tol=1e-9):
        return estimate.low
    if 0 < estimate.low < 1 and 0 < estimate.value < 1:
        middle = float(scipy.special.logit(estimate.value))
        return float(
            scipy.special.expit(middle - ratio * (middle - float(scipy.special.logit(estimate.low))))
        )
    return max(0.0, estimate.value - ratio * (estimate.value - estimate.low))


def baseline_floor(baseline: Estimate, tolerance: float = 0.02) -> float:
    """Line below which quality is worse than the baseline, allowing for the error of its measurement.

    Args:
        baseline: Quality of the baseline with its interval.
        tolerance: Band inside which no alarm is raised, in [0, 0.5).

    Returns:
        min(value - tolerance, one-sided 95 % lower bound).

    Raises:
        MalformedRecord: A tolerance outside its range, or a line outside (0.01, 0.999).

    Source:
        Simulated: an alarm within a quiet year has probability 0.05 with this line, 0.5 with the plain value.

    Example:
        >>> from pilothouse.core.statistics.intervals import jeffreys_interval
        >>> f"{baseline_floor(jeffreys_interval(188, 200)):.3f} {baseline_floor(jeffreys_interval(9400, 10_000)):.3f}"
        '0.908 0.920'
    """
    return check_fraction("m0", raw_floor(baseline, tolerance), *LINE_RANGE)


def raw_floor(baseline: Estimate, tolerance: float = 0.02) -> float:
    """Return the line of `baseline_floor` also where it is none: a rate of two in a hundred has no band of two points below it.

    Args:
        baseline: Rate of the baseline with its interval.
        tolerance: Band inside which no alarm is raised, in [0, 0.5).

    Returns:
        A number below the baseline, below zero where that is low.

    Raises:
        MalformedRecord: A tolerance outside its range.
    """
    tolerance = check_fraction("tolerance", tolerance, -1e-12, 0.5)
    return min(baseline.value - tolerance, lower_bound_at(baseline, 0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class DropState:
    """What the detector remembers between days; JSON in the ledger, the same after a replay.

    Attributes:
        log_wealth: Logarithm of M for each bet.
        days: Informative days counted.
        silent_days: Days in a row without a requested label.
        last: The last day counted, or None at the start.
    """

    log_wealth: tuple[float, ...] = ZERO_WEALTH
    days: int = 0
    silent_days: int = 0
    last: DayCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The reading of the detector after a day.

    Attributes:
        alarm: Whether quality is below the band.
        e_value: Evidence for that, at most about 1e304.
        threshold: Evidence at which the alarm is raised.
        days: Informative days counted so far.
        per_day: Quality of the day with its interval, or None on a day without information.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    alarm: bool
    e_value: float
    threshold: float
    days: int
    per_day: Estimate | None
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropDetector:
    """Shiryaev-Roberts e-detector on weighted scores.

    Attributes:
        m0: Line of `baseline_floor`, in (0.01, 0.999).
        arl_days: Mean days to a false alarm that are guaranteed, from 1.
        detectors: Detectors of one agent that share this guarantee, from 1.

    Source:
        Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532.
    """

    m0: float
    arl_days: float = 365.0
    detectors: int = 1

    def __post_init__(self) -> None:
        check_fraction("m0", self.m0, *LINE_RANGE)
        check_fraction("arl_days", self.arl_days, 1.0, 1e6, closed=True)
        check_count("detectors", self.detectors, least=1)

    def start(self) -> DropState:
        """Return the state before the first day."""
        return DropState()

    def update(self, state: DropState, day: DayCounts) -> tuple[DropState, Reading | NotEnoughEvidence]:
        """Count one closed day.

        Args:
            state: State after the day before.
            day: Days in order; a repeated equal day changes nothing, a gap is days without information.

        Returns:
            The next state, and the reading or what is missing for one.

        Raises:
            MalformedRecord: A day out of order, or counted before with other content.

        Example:
            >>> from datetime import date
            >>> from pilothouse.core.statistics.daily import DayStratum
            >>> detector = DropDetector(m0=0.92)
            >>> state = detector.start()
            >>> for i in range(1, 4):
            ...     state, reading = detector.update(state, DayCounts(day=date(2026, 1, i), strata=(
            ...         DayStratum(name="all", judged=300, labelled_good=14, labelled_bad=6,
            ...                    probability=0.0667, predicted=0.94),)))
            >>> reading.alarm, reading.days
            (True, 3)
        """
        gap = days_since(state.last.day if state.last else None, day.day, changed=day != state.last)
        missed = f"{gap - 1} days before {calendar_day(day.day)} are missing: they carry no information"
        if gap:
            state = self.fold(state, day, gap)
        missing = self._missing(state, day)
        if missing is not None:
            return state, missing
        log_value = log_mean(state.log_wealth)
        alarm = day.informative and log_value >= math.log(self.threshold)
        score = weighted_score(day)
        reading = Reading(
            alarm=alarm,
            e_value=math.exp(log_value),
            threshold=self.threshold,
            days=state.days,
            per_day=score if isinstance(score, Estimate) else None,
            guarantee=self.guarantee,
            notes=(missed,) if gap > 1 else (),
        )
        return state, reading

    @property
    def threshold(self) -> float:
        """Evidence at which the alarm is raised."""
        return self.arl_days * self.detectors

    @property
    def guarantee(self) -> str:
        """What may be believed, one sentence."""
        if math.isclose(self.arl_days, 365.0):
            return METHODS[MethodId.DROP_DETECTOR].sentence
        return (
            f"If quality stays inside the band, on average at most one false alarm in {self.arl_days:g} days, "
            "however often you look."
        )

    def is_alarmed(self, state: DropState) -> bool:
        """Whether the evidence of a state reaches the threshold."""
        return state.days >= DAYS_MIN and log_mean(state.log_wealth) >= math.log(self.threshold)

    def fold(self, state: DropState, day: DayCounts, gap: int = 1) -> DropState:
        """Fold a new day into the state without reading it; an alarm of the day before starts it afresh first.

        Args:
            state: State after the day before.
            day: A later day; order and repetition are the caller's care, `update` looks after them.
            gap: Days since the one before.
        """
        if self.is_alarmed(state):
            state = replace(state, log_wealth=ZERO_WEALTH)
        if not day.informative:
            return replace(state, silent_days=state.silent_days + gap, last=day)
        log_wealth = restart_and_multiply(state.log_wealth, day_log_e(day, self.m0))
        return DropState(log_wealth=log_wealth, days=state.days + 1, silent_days=0, last=day)

    def _missing(self, state: DropState, day: DayCounts) -> NotEnoughEvidence | None:
        if state.silent_days >= SILENT_DAYS_MAX:
            return NotEnoughEvidence(
                reason=f"no label was requested for {state.silent_days} days up to {calendar_day(day.day)}",
                have=0,
                need=1,
                unit="labels",
                remedy="Request labels again; the detector goes on from where it was.",
            )
        if state.days < DAYS_MIN:
            return NotEnoughEvidence(
                reason=f"{state.days} closed days with labels are too few to judge",
                have=state.days,
                need=DAYS_MIN,
                unit="days",
                remedy=f"Wait for {DAYS_MIN - state.days} more closed days.",
            )
        return None


def day_log_e(day: DayCounts, m0: float) -> Floats:
    """Logarithm of the day's e-value for each bet: evidence that mean quality lies below m0.

    The stakes are fractions of the largest one that no label can ruin; predictions and chances are
    fixed before the day, so the stakes are too.

    Args:
        day: An informative day.
        m0: Line, in (0, 1).

    Returns:
        Shape (bets,).

    Source:
        Product of 1 + lambda (m0 - Z) over the items of the day; arXiv 2203.03532, section 3. Turns of one conversation fail
        together: their product is taken to the power of what they are worth (simulated, docs/decisions/0225).

    Example:
        >>> from datetime import date
        >>> from pilothouse.core.statistics.daily import DayStratum
        >>> day = DayCounts(day=date(2026, 1, 1), strata=(DayStratum(
        ...     name="all", judged=300, labelled_good=14, labelled_bad=6, probability=0.0667, predicted=0.94),))
        >>> day_log_e(day, 0.92).round(2).tolist()
        [0.5, 1.66, 2.68, 3.73, 4.01, 1.27, -21.61]
    """
    strata = [stratum for stratum in day.strata if stratum.judged]
    m = np.array([stratum.predicted for stratum in strata])
    pi = np.array([stratum.probability for stratum in strata])
    good = np.array([stratum.labelled_good for stratum in strata], dtype=np.float64)
    bad = np.array([stratum.labelled_bad for stratum in strata], dtype=np.float64)
    rest = np.array([stratum.judged for stratum in strata]) - good - bad
    reach = float((m + (1 - m) / pi).max()) - m0
    stakes = np.array(BETS)[:, None] / reach
    gap = m0 - m
    log_e: Floats = (
        np.log1p(stakes * gap) @ rest
        + np.log1p(stakes * (gap - (1 - m) / pi)) @ good
        + np.log1p(stakes * (gap + m / pi)) @ bad
    )
    return log_e / day.design_effect
