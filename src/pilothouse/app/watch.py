# SPDX-License-Identifier: Apache-2.0
"""Composes the watch: the detectors over one installation, with everything that a warning or alarm triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.control_room import control_room
from pilothouse.app.opening import open_stores

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.runlog import RunLog
    from pilothouse.settings import Settings
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.people.people import Directory
    from pilothouse.workflows.watch.room import WatchRoom

__all__ = ["open_watch", "watch_room", "watch_ticks"]


def watch_room(room: ControlRoom, ledger: SqlLedger, directory: Directory) -> WatchRoom:
    """Return the watch over an opened ledger.

    Args:
        room: Opened parts.
        ledger: The same ledger, as its class.
        directory: The charters, kept parsed.
    """
    from pilothouse.ledger.feedback import SqlFeedback
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.watch.room import WatchRoom

    return WatchRoom(
        room=room,
        queue=SqlReviewQueue(ledger.database),
        said=SqlFeedback(ledger.database),
        directory=directory,
    )


def watch_ticks(watch: WatchRoom, run_log: RunLog) -> tuple[Tick, ...]:
    """Return the recurring looks of the watch: at finished days, and at what models read of their inputs."""
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.watch.context import CONTEXT_EVERY_S, ContextWatch
    from pilothouse.workflows.watch.tick import WATCH_EVERY_S, run_watch

    context = ContextWatch(watch.room.watch, watch.room.installation.ledger, run_log)
    return (
        Tick(name="watch", every_s=WATCH_EVERY_S, run=lambda now: run_watch(watch, now)),
        Tick(name="context", every_s=CONTEXT_EVERY_S, run=context.look),
    )


@contextmanager
def open_watch(settings: Settings) -> Iterator[WatchRoom]:
    """Open the watch for the time of a command."""
    from pilothouse.workflows.people.people import Directory

    with open_stores(settings) as (installation, ledger):
        yield watch_room(control_room(installation, ledger), ledger, Directory(ledger))
