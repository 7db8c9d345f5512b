# SPDX-License-Identifier: Apache-2.0
"""Opens the control room: an installation with everything that pauses, pages and drills need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports import Controls
    from pilothouse.settings import Settings
    from pilothouse.workflows.control_room import ControlRoom
    from pilothouse.workflows.installation import Installation

__all__ = ["control_room", "open_control_room", "running_controls"]


@contextmanager
def open_control_room(settings: Settings) -> Iterator[ControlRoom]:
    """Open lake, ledger and controls for the time of a command.

    Args:
        settings: Values in force.
    """
    from pilothouse.lake.store import open_lake
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.installation import Installation

    clock = SystemClock()
    with open_ledger(settings.ledger_url) as ledger:
        lake = open_lake(settings.lake_folder, clock)
        try:
            yield control_room(Installation(settings=settings, clock=clock, lake=lake, ledger=ledger), ledger)
        finally:
            lake.close()


def control_room(installation: Installation, ledger: SqlLedger) -> ControlRoom:
    """Return the control room of an opened installation.

    Args:
        installation: Opened lake and ledger.
        ledger: The same ledger, as its class.
    """
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.workflows.control_room import ControlRoom

    return ControlRoom(installation=installation, controls=SqlControls(ledger.database))


@contextmanager
def running_controls(ledger: SqlLedger) -> Iterator[Controls]:
    """Keep what is paused or rolled back in memory, at most a second behind the ledger.

    Args:
        ledger: Where it is kept.
    """
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.workflows.controls import ControlsCache

    cache = ControlsCache(SqlControls(ledger.database))
    cache.start()
    try:
        yield cache
    finally:
        cache.stop()
