# SPDX-License-Identifier: Apache-2.0
"""Gather the Watch page (detectors' states and readings → view model)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pilothouse.ports.watch import WatchStore
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.watch import DetectorShown, build_watch
from pilothouse.reports.watch_work import CoverageShown, FailureShown, coverage_section, failures_section
from pilothouse.workflows.verdict.assess import Assessment
from pilothouse.workflows.watch.coverage import Coverage
from pilothouse.workflows.watch.errors import FailureGroup
from pilothouse.workflows.watch.missed import missed_sentence
from pilothouse.workflows.watch.row import DROPS, DetectorStatus
from pilothouse.workflows.watch.status import watch_status

__all__ = ["show_watch"]


def show_watch(store: WatchStore, found: Assessment, now: datetime) -> SectionsPage:
    """Return the Watch page.

    Args:
        store: What the detectors remember and said.
        found: Assessment of the agent at the moment.
        now: The moment, aware UTC.
    """
    status = watch_status(store, found.charter, now.date(), verdict=found.verdict)
    detectors = [_shown(one) for one in status.detectors]
    return build_watch(
        found.charter,
        found.verdict,
        detectors,
        now,
        falls=DROPS,
        cost=status.cost,
        further=(
            failures_section(found.charter.agent, [_failure(one) for one in status.failures]),
            coverage_section([_coverage(one) for one in status.coverage]),
        ),
        missed=missed_sentence(status.missed),
    )


def _failure(one: FailureGroup) -> FailureShown:
    return FailureShown(
        error=one.kind.error,
        where=one.kind.where,
        count=one.count,
        recent=one.recent,
        first=one.first,
        trend=one.trend,
        answers=one.answers,
        trace=one.trace,
    )


def _coverage(one: Coverage) -> CoverageShown:
    return CoverageShown(**asdict(one), is_enough=one.is_enough)


def _shown(one: DetectorStatus) -> DetectorShown:
    rate = None
    if one.value is not None and one.low is not None and one.high is not None:
        rate = (one.value, one.low, one.high, one.n)
    return DetectorShown(
        title=one.title,
        task_type=one.task_type,
        rule=one.rule,
        state=one.state,
        rate=rate,
        cases_per_day=one.cases_per_day,
        false_alarms_per_year=one.false_alarms_per_year,
        delays={each.drop: each.days for each in one.delays},
        promised_days=one.promised_days,
        delay_days=one.delay_days,
        counted_to=one.counted_to,
        note=one.note,
    )
