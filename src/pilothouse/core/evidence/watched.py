# SPDX-License-Identifier: Apache-2.0
"""Results of the watch: detectors, kinds of failure, and score coverage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pilothouse.core.evidence.failure import FailureKind
from pilothouse.core.statistics.detection import Detectability

__all__ = ["Coverage", "DetectorStatus", "FailureGroup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorStatus:
    """One detector of one task type.

    Attributes:
        metric: What is watched.
        title: How people call it.
        task_type: Task type, or empty for all.
        rule: Id of the alert rule behind it, or None: then it only warns and buys labels.
        state: `quiet`, `learning`, `warning`, `alarm` or `blind`, worst last.
        value: The rate of the last 28 counted days as people speak of it, or None.
        low: Lower end of its 95 % interval, or None.
        high: Upper end, or None.
        n: Cases behind it.
        line: Where evidence begins to grow, as people speak of it, or None.
        cases_per_day: Cases a day, labels where people give them.
        false_alarms_per_year: How many are accepted for the rule at most, all its task types together.
        delays: Days until it is noticed that the rate is worse by each size that was asked for than its baseline, or than the
            charter's line where there is none; None for never, empty when nothing is known.
        lag_days: Days from the end of a day until it was counted, as measured; None before the first one.
        promised_days: What the rule promises (`detect_within`), days, or None.
        delay_days: Days until the fall that the rule is about is noticed, lag included; None when unknown or never.
        counted_to: The last counted day, or None.
        alarmed: Day of the last alarm, or None.
        note: What is missing or what a reader must know, or empty.
    """

    metric: str
    title: str
    task_type: str
    rule: str | None
    state: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    line: float | None = None
    cases_per_day: float = 0.0
    false_alarms_per_year: float | None = None
    delays: tuple[Detectability, ...] = ()
    lag_days: float | None = None
    promised_days: float | None = None
    delay_days: float | None = None
    counted_to: date | None = None
    alarmed: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """One kind of failure over some days.

    Attributes:
        kind: What ended the tasks, and where.
        count: Tasks it ended.
        recent: Those of the last seven counted days.
        first: First day of the window on which it was seen.
        trend: `new`, `rising` or `steady`.
        answers: Who answers for it, in words.
        trace: A trace of it, the newest.
    """

    kind: FailureKind
    count: int
    recent: int
    first: date
    trend: str
    answers: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Scored tasks of one task type in its last counted window.

    Attributes:
        task_type: Task type.
        days: Counted days of the window.
        until: The last of them.
        tasks: Tasks that could be scored.
        scored: Those that were: by the system of record, by a judge, or by people.
        labelled: Those that people labelled.
        declared: Share that must be scored, or None while it is open; every task at low volume.
        least: Least number of scored tasks in a window, or None while it is open.
        by: What scores them.
    """

    task_type: str
    days: int
    until: date
    tasks: int
    scored: int
    labelled: int
    declared: float | None
    least: int | None
    by: str

    @property
    def is_enough(self) -> bool | None:
        """Whether share and number are reached; None while nothing is declared or there was no task."""
        if not self.tasks or (self.declared is None and self.least is None):
            return None
        wanted = max((self.declared or 0.0) * self.tasks, min(self.least or 0, self.tasks))
        return self.scored >= wanted - 1e-9
