# SPDX-License-Identifier: Apache-2.0
"""Buy more labels for some days when the judge passes fewer items than usual; pages nobody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.daily import days_since
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.wealth import ZERO_WEALTH, log_mean, rate_log_e, restart_and_multiply

__all__ = ["BURST_EVERY_DAYS", "JudgeWarning", "WarningReading", "WarningState"]

BURST_EVERY_DAYS = 20
"""At most one burst in so many days: people who label have other work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningState:
    """What the warning remembers between days; JSON in the ledger.

    Attributes:
        log_wealth: Logarithm of M for each bet.
        last: Last day counted, or None.
        last_counts: Judged and passed items of that day.
        warned_on: Day of the last burst's warning, or None.
    """

    log_wealth: tuple[float, ...] = ZERO_WEALTH
    last: date | None = None
    last_counts: tuple[int, int] = (0, 0)
    warned_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningReading:
    """The reading of the warning after a day.

    Attributes:
        warning: Whether a burst of labels starts tomorrow because of this day.
        labels_tomorrow: Labels to request tomorrow, or None for the usual budget.
        e_value: Evidence that the judge passes fewer items.
        threshold: Evidence at which a burst starts.
        n: Judged items of the day.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    warning: bool
    labels_tomorrow: int | None
    e_value: float
    threshold: float
    n: int
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeWarning:
    """Shiryaev-Roberts e-detector on judge verdicts alone.

    It opens no incident: a judge that turned harsh would open false ones. More labels settle it.

    Attributes:
        base_pass_rate: Share of items that the judge passed in the baseline window, in (0, 1).
        j: Youden's J of the judge, Se + Sp - 1; below 0.3 it is taken as 0.3.
        tolerance: Band of quality inside which nothing happens.
        threshold: Evidence at which a burst starts.
        burst: Labels a day in a burst.
        days: Length of a burst.
        capacity: Labels a day that reviewers can give at most, or None.

    Source:
        Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532.
    """

    base_pass_rate: float
    j: float
    tolerance: float = 0.02
    threshold: float = 60.0
    burst: int = 60
    days: int = 10
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_fraction("base_pass_rate", self.base_pass_rate)
        check_fraction("j", self.j, -1.0, 1.0, closed=True)
        check_fraction("tolerance", self.tolerance, -1e-12, 0.5)
        check_fraction("threshold", self.threshold, 1.0, 1e9)
        check_count("burst", self.burst, least=1)
        check_count("days", self.days, least=1, most=BURST_EVERY_DAYS)
        if self.capacity is not None:
            check_count("capacity", self.capacity)
        check_fraction("base_pass_rate - tolerance j", self.line)

    @property
    def line(self) -> float:
        """Pass rate below which evidence grows."""
        return self.base_pass_rate - self.tolerance * max(self.j, 0.3)

    def start(self) -> WarningState:
        """Return the state before the first day."""
        return WarningState()

    def update(
        self, state: WarningState, day: date, judged: int, passed: int
    ) -> tuple[WarningState, WarningReading]:
        """Count the judge's verdicts of one day.

        Args:
            state: State after the day before.
            day: Days in order; a repeated equal day changes nothing.
            judged: Items judged.
            passed: Items that the judge passed.

        Raises:
            MalformedRecord: A wrong count, or a day out of order or counted before with others.

        Example:
            >>> warning = JudgeWarning(base_pass_rate=0.90, j=0.85)
            >>> state, reading = warning.update(warning.start(), date(2026, 1, 1), 300, 240)
            >>> reading.warning, reading.labels_tomorrow
            (True, 60)
        """
        judged = check_count("judged", judged)
        passed = check_count("passed", passed, most=judged)
        if days_since(state.last, day, changed=(judged, passed) != state.last_counts):
            state = self._count(state, day, judged, passed)
        log_value = log_mean(state.log_wealth)
        labels: int | None = None
        notes: tuple[str, ...] = ()
        if state.warned_on is not None and day < state.warned_on + timedelta(days=self.days):
            labels, notes = self._budget()
        reading = WarningReading(
            warning=state.warned_on == day,
            labels_tomorrow=labels,
            e_value=math.exp(log_value),
            threshold=self.threshold,
            n=judged,
            guarantee=METHODS[MethodId.JUDGE_WARNING].sentence,
            notes=notes,
        )
        return state, reading

    def _count(self, state: WarningState, day: date, judged: int, passed: int) -> WarningState:
        since = None if state.warned_on is None else (day - state.warned_on).days
        wealth = state.log_wealth
        if since is not None and since <= self.days:
            wealth = ZERO_WEALTH
        else:
            wealth = restart_and_multiply(wealth, rate_log_e(self.line, judged, passed))
        free = since is None or since >= BURST_EVERY_DAYS
        warned = day if free and log_mean(wealth) >= math.log(self.threshold) else state.warned_on
        return WarningState(log_wealth=wealth, last=day, last_counts=(judged, passed), warned_on=warned)

    def _budget(self) -> tuple[int, tuple[str, ...]]:
        if self.capacity is None or self.capacity >= self.burst:
            return self.burst, ()
        return self.capacity, (
            f"reviewers can give {self.capacity} labels a day where {self.burst} would settle it sooner",
        )
