# SPDX-License-Identifier: Apache-2.0
"""Joins what finds damaged files of the lake, what takes them out, and the ledger that has it on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock

if TYPE_CHECKING:
    from pilothouse.lake.repair import LakeLook
    from pilothouse.settings import Settings
    from pilothouse.workflows.server.checkup import Check

__all__ = ["lake_checks", "repair_lake"]


def repair_lake(settings: Settings, *, take_out: bool, actor: str) -> LakeLook:
    """Look for damaged files of the lake, and take them out of their tables if asked to.

    Args:
        settings: Values in force.
        take_out: Whether they are set aside.
        actor: Who asked.
    """
    from pilothouse.lake.repair import look_at_files, set_aside
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.traces.set_aside import record_set_aside

    found = look_at_files(settings.lake_folder, is_whole=True)
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


def lake_checks(settings: Settings) -> Iterator[Check]:
    """Yield a failed check for each file of the lake whose end cannot be read.

    Args:
        settings: Values in force.
    """
    from pilothouse.lake.repair import look_at_files
    from pilothouse.workflows.server.checkup import Check

    for one in look_at_files(settings.lake_folder, is_whole=False).damaged:
        yield Check(
            name=f"file of {one.table}",
            state="failed",
            sentence=f"{one.path} ({one.rows:,} rows of {one.day}) cannot be read: {one.fault}",
            remedy="pilothouse repair",
        )
