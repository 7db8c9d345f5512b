# SPDX-License-Identifier: Apache-2.0
"""Composes the repair of a lake: scrubbing, setting damaged files aside, and recording it in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock
from pilothouse.core.dates import calendar_day

if TYPE_CHECKING:
    from pilothouse.lake.repair import ScrubReport
    from pilothouse.settings import Settings
    from pilothouse.workflows.server.checkup import Check

__all__ = ["lake_checks", "rebuild_tasks", "repair_lake"]

REBUILT = "telemetry.rebuilt"

TRACES_AT_ONCE = 100
"""Trace ids of one decision, so that its record fits into the audit log as it is."""


def repair_lake(settings: Settings, *, take_out: bool, actor: str) -> ScrubReport:
    """Scrub the lake, and set damaged files aside if asked to.

    Args:
        settings: Values in force.
        take_out: Whether they are set aside.
        actor: Who asked.
    """
    from pilothouse.lake.repair import scrub_files, set_aside
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.traces.set_aside import record_set_aside

    found = scrub_files(settings.lake_folder, is_whole=True)
    if found.damaged and take_out:
        with open_ledger(settings.ledger_url) as ledger:
            set_aside(
                settings.lake_folder,
                found.damaged,
                on_record=lambda: record_set_aside(
                    ledger, found.damaged, actor=actor, now=SystemClock().now()
                ),
            )
    return found


def rebuild_tasks(settings: Settings, *, actor: str) -> int:
    """Fold sealed tasks with late spans again, recorded beforehand; return how many changed."""
    from pilothouse.core.charter.digest import canonical_json
    from pilothouse.lake.node import open_node
    from pilothouse.ledger.ledger import open_ledger

    if not settings.lake_folder.is_dir():
        return 0
    clock = SystemClock()
    node = open_node(settings.lake_folder, clock)
    try:
        late = node.late_tasks()
        with open_ledger(settings.ledger_url) as ledger:
            for start in range(0, len(late), TRACES_AT_ONCE):
                document = canonical_json({"traces": list(late[start : start + TRACES_AT_ONCE])})
                ledger.record(
                    kind=REBUILT, agent="pilothouse", at=clock.now(), actor=actor, document=document
                )
        return node.rebuild(late)
    finally:
        node.stop(drain=True)


def lake_checks(settings: Settings) -> Iterator[Check]:
    """Yield a failed check for each file of the lake with an unreadable footer."""
    from pilothouse.lake.repair import scrub_files
    from pilothouse.workflows.server.checkup import Check

    for one in scrub_files(settings.lake_folder, is_whole=False).damaged:
        yield Check(
            name=f"file of {one.table}",
            state="failed",
            sentence=f"{one.path} ({one.rows:,} rows of {calendar_day(date.fromisoformat(one.day))}) cannot be read: {one.fault}",
            remedy="pilothouse repair",
        )
