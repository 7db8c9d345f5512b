# SPDX-License-Identifier: Apache-2.0
"""Watch a plain rate of good cases day by day, against a committed line or the agent's own first month."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pilothouse.core.statistics.change import DAYS_MIN, raw_floor
from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.detection import Detectability
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.statistics.wealth import ZERO_WEALTH, log_mean, rate_log_e, restart_and_multiply, rise

__all__ = [
    "BASELINE_CASES_MIN",
    "BASELINE_DAYS",
    "RateReading",
    "RateState",
    "RateWatch",
    "rate_detectability",
    "rate_of_turns",
]

BASELINE_DAYS = 28
"""Closed days with cases that make a baseline: four of each weekday."""

BASELINE_CASES_MIN = 200
"""Cases below which 28 days make no baseline yet: its bound would lie more than 3 points under its value."""

_LINE_MIN, _LINE_MAX = 1e-9, 0.998
"""Range of a line that the detector can bet against; a line that were raised would find a fall where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateState:
    """What is remembered between days; JSON in the ledger.

    Attributes:
        log_wealth: Logarithm of M for each bet.
        counted: Days with cases so far.
        silent: Days without a case in a row.
        last: Last day counted, or None.
        days: Days with cases that the baseline has.
        n: Cases of the baseline.
        good: Good ones among them.
        alike: Cases of the baseline that say nothing new: turns of one conversation fail together.
        cusum: Evidence of one bet since it last was none.
        risen: First day of that, where the change seems to have begun, or None.
        alarmed: Day of the last alarm, or None.
    """

    log_wealth: tuple[float, ...] = ZERO_WEALTH
    counted: int = 0
    silent: int = 0
    last: date | None = None
    days: int = 0
    n: int = 0
    good: int = 0
    cusum: float = 0.0
    risen: date | None = None
    alarmed: date | None = None
    alike: int = 0

    @property
    def baseline(self) -> Estimate | None:
        """The rate of the first month with its interval, or None while the month is not over."""
        worth = self.n - self.alike
        if self.days < BASELINE_DAYS or worth < BASELINE_CASES_MIN:
            return None
        return rate_of_turns(self.good, self.n, worth)


def rate_of_turns(good: int, n: int, worth: int) -> Estimate | None:
    """Rate of cases with the interval of as many independent ones as they are worth; None without a case.

    Args:
        good: Good cases.
        n: Cases.
        worth: Independent cases that they are worth, at most n.

    Example:
        >>> one, few = rate_of_turns(190, 200, 200), rate_of_turns(190, 200, 40)
        >>> one.value == few.value, few.low < one.low
        (True, True)
    """
    found = jeffreys_interval(round(good * worth / n), worth) if worth else None
    if not isinstance(found, Estimate):
        return None
    value = good / n
    return replace(found, value=value, low=min(found.low, value), high=max(found.high, value), n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReading:
    """The reading of the watch after a day.

    Attributes:
        day: The day.
        n: Cases of the day.
        good: Good ones.
        worth: Independent cases that they are worth.
        line: Rate of good cases below which evidence grows, or None: nothing to hold it against.
        e_value: Evidence that the rate lies below the line.
        threshold: Evidence at which the alarm is raised.
        alarm: Whether it is raised on this day.
        missing: What is missing for a judgement, or empty.
    """

    day: date
    n: int
    good: int
    worth: int
    line: float | None
    e_value: float
    threshold: float
    alarm: bool
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWatch:
    """One rate of one task type.

    Attributes:
        committed: Line from the charter, as a rate of good cases; None while it is open.
        uses_baseline: Whether the first month, once it is over, gives the line instead.
        tolerance: Band below the baseline inside which nothing happens.
        arl_days: Mean days to a false alarm that are guaranteed.
        detectors: Detectors that share this guarantee.

    Source:
        Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532.
    """

    committed: float | None
    uses_baseline: bool = False
    tolerance: float = 0.02
    arl_days: float = 365.0
    detectors: int = 1

    def line(self, state: RateState) -> float | None:
        """Return the rate of good cases below which evidence grows."""
        found = self.committed
        if self.uses_baseline and state.baseline is not None:
            found = raw_floor(state.baseline, self.tolerance)
        return None if found is None else min(max(found, _LINE_MIN), _LINE_MAX)

    def update(
        self, state: RateState, day: date, n: int, good: int, worth: int | None = None
    ) -> tuple[RateState, RateReading]:
        """Count one finished day.

        Turns of one conversation fail together. Counted one by one they raised up to twelve false alarms a year where one is
        promised (docs/decisions/0225), so a day of them is the evidence of as many independent cases as they are worth.

        Args:
            state: State after the day before.
            day: A day after the last one.
            n: Cases of the day; none is a day without information.
            good: Good ones among them.
            worth: Independent cases that they are worth, from 1 to n; None where each case is one.

        Raises:
            MalformedRecord: A negative count, more good cases than cases, or worth more than they are.

        Example:
            >>> watch, state = RateWatch(committed=0.95), RateState()
            >>> for i in range(1, 5):
            ...     state, reading = watch.update(state, date(2026, 1, i), 200, 170)
            >>> reading.alarm, reading.line
            (True, 0.95)
        """
        check_count("n", n)
        check_count("good", good, most=n)
        worth = n if worth is None else check_count("worth", worth, least=min(n, 1), most=n)
        line, threshold = self.line(state), self.arl_days * self.detectors
        learnt = state.baseline is None and n > 0
        after = replace(
            state,
            last=day,
            days=state.days + learnt,
            n=state.n + n * learnt,
            good=state.good + good * learnt,
            alike=state.alike + (n - worth) * learnt,
        )
        base = RateReading(
            day=day, n=n, good=good, worth=worth, line=line, e_value=0.0, threshold=threshold, alarm=False
        )
        if line is None:
            return after, replace(base, missing="the charter says no line, and the first month is not over")
        # An alarm of the day before starts the evidence afresh, also where that day is followed by silent ones.
        before = (
            ZERO_WEALTH if state.alarmed is not None and state.alarmed == state.last else state.log_wealth
        )
        if n == 0:
            silent = state.silent + 1
            after = replace(after, silent=silent, log_wealth=before)
            return after, replace(
                base,
                missing=f"no case for {silent} day{'s' if silent > 1 else ''}",
                e_value=_evidence(before),
            )
        day_log_e = rate_log_e(line, n, good) * (worth / n)
        wealth = restart_and_multiply(before, day_log_e)
        cusum = rise(state.cusum, day_log_e)
        counted = state.counted + 1
        log_e = log_mean(wealth)
        alarm = counted >= DAYS_MIN and log_e >= math.log(threshold)
        after = replace(
            after,
            log_wealth=wealth,
            counted=counted,
            silent=0,
            cusum=cusum,
            risen=(state.risen or day) if cusum > 0 else None,
            alarmed=day if alarm else state.alarmed,
        )
        few = f"{counted} finished days are too few to judge, {DAYS_MIN} are needed"
        missing = "" if counted >= DAYS_MIN else few
        return after, replace(base, e_value=math.exp(log_e), alarm=alarm, missing=missing)


def _evidence(log_wealth: Sequence[float]) -> float:
    return math.exp(log_mean(log_wealth))


def rate_detectability(
    *,
    value: float,
    line: float,
    cases_per_day: float,
    arl_days: float = 365.0,
    detectors: int = 1,
    drops: Sequence[float] = (0.03, 0.05, 0.07, 0.10),
) -> tuple[Detectability, ...]:
    """Days until a fall of a plain rate raises an alarm, when every case is known.

    Args:
        value: The rate now, in (0, 1].
        line: Line of the watch, in (0, 1).
        cases_per_day: Independent cases a day, above 0.
        arl_days: Mean days to a false alarm.
        detectors: Detectors that share it.
        drops: Sizes of falls, as fractions.

    Returns:
        One for each size, in the order given.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Shin, Ramdas and Rinaldo 2022: growth rate of the e-detector's best bet.

    Example:
        >>> [(d.drop, d.days) for d in rate_detectability(value=0.98, line=0.95, cases_per_day=100)]
        [(0.03, None), (0.05, 19), (0.07, 6), (0.1, 3)]
    """
    value = check_fraction("value", value, 0.0, 1.0, closed=True)
    line = check_fraction("line", line, 0.0, 1.0)
    cases_per_day = check_fraction("cases_per_day", cases_per_day, 0.0, 1e9)
    bound = math.log(arl_days * detectors)
    found = []
    for drop in drops:
        theta = max(value - drop, 0.0)
        growth = float((theta * rate_log_e(line, 1, 1) + (1 - theta) * rate_log_e(line, 1, 0)).max())
        days = None if growth <= 1e-12 else max(round(bound / (cases_per_day * growth)) + 1, DAYS_MIN)
        labels = None if days is None else round(days * cases_per_day)
        found.append(Detectability(drop=drop, days=days, labels=labels))
    return tuple(found)
