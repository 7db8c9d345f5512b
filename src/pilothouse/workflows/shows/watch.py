# SPDX-License-Identifier: Apache-2.0
"""Gather the Watch page (detectors' states and readings → view model)."""

from __future__ import annotations

from datetime import datetime

from pilothouse.ports.watch import WatchStore
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.watch import build_watch
from pilothouse.reports.watch_work import coverage_section, failures_section
from pilothouse.workflows.verdict.assess import Assessment
from pilothouse.workflows.watch.missed import missed_sentence
from pilothouse.workflows.watch.row import DROPS
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
    return build_watch(
        found.charter,
        found.verdict,
        status.detectors,
        now,
        falls=DROPS,
        cost=status.cost,
        further=(
            failures_section(found.charter.agent, status.failures),
            coverage_section(status.coverage),
        ),
        missed=missed_sentence(status.missed),
    )
