# SPDX-License-Identifier: Apache-2.0
"""The first layer of quality: a judge that passes fewer tasks than in its first month buys labels, and opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

from pilothouse.core.statistics.rates import BASELINE_DAYS
from pilothouse.core.statistics.warning import JudgeWarning, WarningState
from pilothouse.workflows.review.strata import JUDGED
from pilothouse.workflows.watch.labels import pooled
from pilothouse.workflows.watch.quality import QualityState

__all__ = ["BURST_TIMES", "JUDGE", "JudgeState", "judge_errors", "judge_warning", "look_at_judge"]

JUDGE = "judge"
"""Name of the detector."""

BASE_CASES_MIN = 200
"""Judged tasks that a month must have before its pass rate is a base."""

PASSED_MIN = 0.05
"""Share that a judge must pass in its first month: a base that were raised to it would warn of a fall that never was."""

BURST_TIMES = 3
"""A warning buys three times the usual labels."""

WARNING_AT = 12.0
"""Evidence at which the judge's verdicts buy labels: a burst too many costs labels, one too late costs days. Measured it is
0.1 bursts in a quiet year, 0.8 when quality wanders by 1.5 points from day to day (decision 0139)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeState:
    """What is remembered of a judge's verdicts; JSON in the ledger.

    Attributes:
        days: Days of the base.
        judged: Tasks judged in them.
        passed: Those that passed.
        warning: State of the warning.
    """

    days: int = 0
    judged: int = 0
    passed: int = 0
    warning: WarningState = field(default_factory=WarningState)


def look_at_judge(
    state: JudgeState, day: date, judged: int, passed: int, *, j: float, labels: int, capacity: int
) -> tuple[JudgeState, int | None, float]:
    """Count a day of a judge's verdicts; return the labels that a warning of this very day buys, and the evidence.

    Args:
        state: State after the day before.
        day: The day.
        judged: Tasks judged.
        passed: Those that passed.
        j: Youden's J of the judge as labels show it.
        labels: Usual labels a day.
        capacity: Labels a day that people have time for.
    """
    if not judged:
        return state, None, 0.0
    warning = judge_warning(state, j=j, labels=labels, capacity=capacity)
    if warning is None:
        grown = replace(
            state, days=state.days + 1, judged=state.judged + judged, passed=state.passed + passed
        )
        return grown, None, 0.0
    kept, reading = warning.update(state.warning, day, judged, passed)
    return replace(state, warning=kept), reading.labels_tomorrow if reading.warning else None, reading.e_value


def judge_warning(
    state: JudgeState, *, j: float, labels: int = 1, capacity: int | None = None
) -> JudgeWarning | None:
    """Return the warning of a judge whose first month is over; None before, and while it passed almost nothing.

    Args:
        state: What is remembered of the judge.
        j: Youden's J of the judge as labels show it.
        labels: Usual labels a day.
        capacity: Labels a day that people have time for, or None.
    """
    if state.days < BASELINE_DAYS or state.judged < BASE_CASES_MIN:
        return None
    base = min(state.passed / state.judged, 0.999)
    if base < PASSED_MIN:
        return None
    most = None if capacity is None else max(capacity, 0)
    return JudgeWarning(
        base_pass_rate=base, j=j, threshold=WARNING_AT, burst=max(BURST_TIMES * labels, 1), capacity=most
    )


def judge_errors(state: QualityState) -> tuple[float, float] | None:
    """Return P(judge pass | good) and P(judge fail | bad) as the last labels show them; None without enough.

    Args:
        state: What is remembered of the labels.
    """
    strata = {one.name: one for one in pooled(state.recent)}
    if set(JUDGED) - set(strata) or not all(strata[name].labelled for name in JUDGED):
        return None
    passed, failed = strata[JUDGED[0]], strata[JUDGED[1]]
    share = (passed.judged + 0.5) / (passed.judged + failed.judged + 1)
    a, b = ((one.good + 0.5) / (one.labelled + 1) for one in (passed, failed))
    theta = share * a + (1 - share) * b
    return share * a / theta, (1 - share) * (1 - b) / (1 - theta)
