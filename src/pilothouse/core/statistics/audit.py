# SPDX-License-Identifier: Apache-2.0
"""Watch whether a threshold still keeps its budget, by a random audit of automatic answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import scipy

from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.daily import days_since
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.statistics.wealth import BETS, ZERO_WEALTH, log_mean, restart_and_multiply

__all__ = ["AuditDay", "AuditReading", "AuditState", "ThresholdAudit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDay:
    """A closed day of audited automatic answers.

    Attributes:
        day: Day of the tasks, UTC.
        tasks: All tasks of the type, automatic and held.
        automatic: Automatic answers among them.
        audited: Automatic answers that were audited, each by its own coin.
        wrong: Audited answers that were wrong.
        worth: Independent tasks that they are worth, where turns of one conversation go wrong together; None for all.
    """

    day: date
    tasks: int
    automatic: int
    audited: int
    wrong: int
    worth: int | None = None

    def __post_init__(self) -> None:
        check_count("tasks", self.tasks)
        check_count("automatic", self.automatic, most=self.tasks)
        check_count("audited", self.audited, most=self.automatic)
        check_count("wrong", self.wrong, most=self.audited)
        if self.worth is not None:
            check_count("worth", self.worth, most=self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """What the audit remembers between days; JSON in the ledger.

    Attributes:
        log_wealth: Logarithm of M for each bet.
        tasks: Tasks since the start or the last alarm.
        audited: Audited answers since then.
        wrong: Wrong ones among them.
        last: Last day counted, or None.
    """

    log_wealth: tuple[float, ...] = ZERO_WEALTH
    tasks: int = 0
    audited: int = 0
    wrong: int = 0
    last: AuditDay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReading:
    """The reading of the audit after a day.

    Attributes:
        alarm: Whether the budget is broken.
        e_value: Evidence for that.
        threshold: Evidence at which the alarm is raised.
        wrong_rate: Wrong automatic answers per task since the start or the last alarm, exact interval at
            one look, or None before the first task.
        n: Audited answers behind it.
        guarantee: What may be believed, one sentence.
        notes: What to do on an alarm.
    """

    alarm: bool
    e_value: float
    threshold: float
    wrong_rate: Estimate | None
    n: int
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ThresholdAudit:
    """Shiryaev-Roberts e-detector on audited answers.

    Held answers alone show only low confidence, so automatic ones must be audited.

    Attributes:
        budget: Wrong automatic answers per task, in (0, 0.5).
        audit_probability: Chance with which each automatic answer is audited, in (0, 1].
        arl_days: Mean days to a false alarm that are guaranteed, from 1.

    Source:
        Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532.
    """

    budget: float
    audit_probability: float
    arl_days: float = 365.0

    def __post_init__(self) -> None:
        check_fraction("budget", self.budget, 0.0, 0.5)
        check_fraction("audit_probability", self.audit_probability, 1e-9, 1.0, closed=True)
        check_fraction("arl_days", self.arl_days, 1.0, 1e6, closed=True)

    def start(self) -> AuditState:
        """Return the state before the first day."""
        return AuditState()

    def update(self, state: AuditState, day: AuditDay) -> tuple[AuditState, AuditReading]:
        """Count one closed day.

        Args:
            state: State after the day before.
            day: Days in order; a repeated equal day changes nothing. A day without a task says nothing: counted as a day
                of evidence 1 it let a year of silence alarm by itself.

        Raises:
            MalformedRecord: A day out of order, or counted before with other content.

        Example:
            >>> audit = ThresholdAudit(0.03, 0.004)
            >>> state, reading = audit.update(audit.start(), AuditDay(
            ...     day=date(2026, 1, 1), tasks=10_000, automatic=5_000, audited=20, wrong=9))
            >>> reading.alarm, f"{reading.wrong_rate.value:.3f}"
            (True, '0.225')
        """
        bound = math.log(self.arl_days)
        if days_since(state.last.day if state.last else None, day.day, changed=day != state.last):
            if log_mean(state.log_wealth) >= bound:
                state = AuditState(last=state.last)
            state = self._count(state, day) if day.tasks else replace(state, last=day)
        log_value = log_mean(state.log_wealth)
        alarm = log_value >= bound
        notes = ("hold every answer above the old threshold until a new one is calibrated",) if alarm else ()
        return state, AuditReading(
            alarm=alarm,
            e_value=math.exp(log_value),
            threshold=self.arl_days,
            wrong_rate=self._rate(state) if state.tasks else None,
            n=state.audited,
            guarantee=self._sentence(),
            notes=notes,
        )

    def _count(self, state: AuditState, day: AuditDay) -> AuditState:
        """Count a day that has tasks; the mean of what dependent tasks say, as often as they are worth, is evidence that they bear."""
        stakes = np.array(BETS) * self.audit_probability / self.budget
        hit = np.log1p(stakes * (1 / self.audit_probability - self.budget))
        log_e = day.wrong * hit + (day.tasks - day.wrong) * np.log1p(-stakes * self.budget)
        if day.worth is not None:
            log_e *= day.worth / day.tasks
        return AuditState(
            log_wealth=restart_and_multiply(state.log_wealth, log_e),
            tasks=state.tasks + day.tasks,
            audited=state.audited + day.audited,
            wrong=state.wrong + day.wrong,
            last=day,
        )

    def _rate(self, state: AuditState) -> Estimate:
        """Exact interval of theta from wrong ~ Bin(tasks, theta probability)."""
        k, n, scale = state.wrong, state.tasks, self.audit_probability
        value = min(k / n / scale, 1.0)
        low = 0.0 if k == 0 else min(float(scipy.special.betaincinv(k, n - k + 1, 0.025)) / scale, 1.0)
        high = 1.0 if k == n else min(float(scipy.special.betaincinv(k + 1, n - k, 0.975)) / scale, 1.0)
        return Estimate(
            value=value,
            low=min(low, value),
            high=max(high, value),
            level=0.95,
            n=state.audited,
            n_effective=float(state.audited),
            unit="rate",
            method=MethodId.THRESHOLD_AUDIT,
            guarantee="The true rate is in this range; such ranges are right at least 19 times in 20, at one look.",
        )

    def _sentence(self) -> str:
        if math.isclose(self.arl_days, 365.0):
            return METHODS[MethodId.THRESHOLD_AUDIT].sentence
        return f"If the budget is kept, on average at most one false alarm in {self.arl_days:g} days."
