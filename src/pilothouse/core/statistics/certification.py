# SPDX-License-Identifier: Apache-2.0
"""Prove, after an alarm, that quality lies more than a stated drop below the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date

from pilothouse.core.dates import calendar_day
from pilothouse.core.statistics.change import LINE_RANGE, day_log_e, lower_bound_at
from pilothouse.core.statistics.checks import check_fraction, malformed
from pilothouse.core.statistics.daily import DayCounts, days_since
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.statistics.wealth import BETS, log_mean, multiply

__all__ = ["Certification", "CertifierState", "DropCertifier", "certified_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifierState:
    """What the certifier remembers between days; JSON in the ledger.

    Attributes:
        alarm_on: Day of the alarm.
        log_wealth: Logarithm of M for each bet.
        days: Informative days counted since.
        labels: Labels counted since.
        last: Last day counted, or None.
        proved_on: Day on which it was proved, or None.
    """

    alarm_on: date
    log_wealth: tuple[float, ...] = (0.0,) * len(BETS)
    days: int = 0
    labels: int = 0
    last: DayCounts | None = None
    proved_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification:
    """Whether the drop is proved.

    Attributes:
        proved: Whether it is; once proved, it stays so.
        e_value: Evidence.
        threshold: Evidence that proves it.
        n: Labels since the alarm.
        days: Informative days since the alarm.
        days_more: About how many more days would prove it at the pace so far; None when it is proved
            or the evidence does not grow.
        sentence: The state in words.
        guarantee: What may be believed, one sentence.
    """

    proved: bool
    e_value: float
    threshold: float
    n: int
    days: int
    days_more: int | None
    sentence: str
    guarantee: str


def certified_line(baseline: Estimate, drop: float, alpha: float = 0.05) -> float:
    """Return the line that a proof of a drop disproves; below zero where the baseline is smaller than the drop.

    Args:
        baseline: Quality of the baseline with its interval.
        drop: Drop to prove, as a fraction.
        alpha: Chance of ever proving a drop that is not there.
    """
    return lower_bound_at(baseline, 1 - alpha / 2) - drop


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCertifier:
    """E-process from the day after an alarm; the error is split between baseline and stream.

    Attributes:
        baseline: Quality of the baseline with its interval.
        drop: Drop to prove, as a fraction.
        alpha: Chance of ever proving a drop that is not there.

    Source:
        Waudby-Smith and Ramdas 2024; Ville 1939.
    """

    baseline: Estimate
    drop: float = 0.05
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_fraction("drop", self.drop)
        check_fraction("alpha", self.alpha, 0.0, 0.5)
        check_fraction("m0", self.m0, *LINE_RANGE)

    @property
    def m0(self) -> float:
        """Line that is disproved: lower bound of the baseline at 1 - alpha/2, minus the drop."""
        return certified_line(self.baseline, self.drop, self.alpha)

    @property
    def threshold(self) -> float:
        """Evidence that proves the drop."""
        return 2 / self.alpha

    def start(self, alarm_on: date) -> CertifierState:
        """Return the state on the day of an alarm."""
        return CertifierState(alarm_on=alarm_on)

    def update(self, state: CertifierState, day: DayCounts) -> tuple[CertifierState, Certification]:
        """Count one closed day after the alarm.

        Args:
            state: State after the day before.
            day: Days in order, from the day after the alarm; a repeated equal day changes nothing.

        Raises:
            MalformedRecord: A day of the alarm or before, out of order, or counted with other content.

        Example:
            >>> from pilothouse.core.statistics.daily import DayStratum
            >>> from pilothouse.core.statistics.intervals import jeffreys_interval
            >>> certifier = DropCertifier(baseline=jeffreys_interval(9400, 10_000))
            >>> state = certifier.start(date(2026, 1, 1))
            >>> state, reading = certifier.update(state, DayCounts(day=date(2026, 1, 2), strata=(
            ...     DayStratum(name="all", judged=300, labelled_good=28, labelled_bad=12,
            ...                probability=0.1333, predicted=0.94),)))
            >>> reading.sentence
            'Alarm on 1 Jan 2026; more than 5 points: not yet proved, about 1 more days at this pace.'
        """
        if day.day <= state.alarm_on:
            raise malformed("day", day.day, f"a day after the alarm of {state.alarm_on}")
        if days_since(state.last.day if state.last else None, day.day, changed=day != state.last):
            state = self._count(state, day)
        log_value = log_mean(state.log_wealth)
        proved = state.proved_on is not None
        pace = log_value / state.days if state.days else 0.0
        left = math.log(self.threshold) - log_value
        days_more = None if proved or pace <= 0 else max(1, math.ceil(left / pace))
        reading = Certification(
            proved=proved,
            e_value=math.exp(log_value),
            threshold=self.threshold,
            n=state.labels,
            days=state.days,
            days_more=days_more,
            sentence=self._sentence(state, days_more),
            guarantee=METHODS[MethodId.DROP_CERTIFIER]
            .sentence.replace("95 %", f"{100 * (1 - self.alpha):g} %")
            .replace("5 points", f"{100 * self.drop:g} points"),
        )
        return state, reading

    def _count(self, state: CertifierState, day: DayCounts) -> CertifierState:
        if not day.informative:
            return replace(state, last=day)
        wealth = multiply(state.log_wealth, day_log_e(day, self.m0))
        proved = log_mean(wealth) >= math.log(self.threshold)
        return replace(
            state,
            log_wealth=wealth,
            days=state.days + 1,
            labels=state.labels + sum(stratum.labelled for stratum in day.strata),
            last=day,
            proved_on=state.proved_on or (day.day if proved else None),
        )

    def _sentence(self, state: CertifierState, days_more: int | None) -> str:
        words = f"Alarm on {calendar_day(state.alarm_on)}; more than {100 * self.drop:g} points: "
        if state.proved_on is not None:
            return words + f"proved on {calendar_day(state.proved_on)}."
        if days_more is None:
            return words + "not proved, and the evidence does not grow."
        return words + f"not yet proved, about {days_more} more days at this pace."
