# SPDX-License-Identifier: Apache-2.0
"""Composes the desk from which section pages are built, for a server or a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.boundary import boundary_room
from pilothouse.app.control_room import control_room
from pilothouse.app.opening import open_stores
from pilothouse.app.runs import open_run_log

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.lake import AgentSeen
    from pilothouse.ports.runlog import RunLog
    from pilothouse.settings import Settings
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.reports.show import Shows
    from pilothouse.workflows.shows.desk import PageDesk

__all__ = ["open_page_desk", "page_desk"]


def page_desk(
    room: ControlRoom,
    ledger: SqlLedger,
    runs: RunLog,
    *,
    shows: Shows | None = None,
    seen: Callable[[], Sequence[AgentSeen]] | None = None,
) -> PageDesk:
    """Return the desk of an opened installation.

    Args:
        room: Its control room.
        ledger: Its ledger, as its class.
        runs: Its run log.
        shows: Keeps assessments and pages for a minute; None makes each anew.
        seen: Gives the agents that telemetry knows; None asks the lake each time.
    """
    from pilothouse.ledger.gateway import SqlGatewayStore
    from pilothouse.workflows.shows.desk import PageDesk

    return PageDesk(
        control_room=room,
        boundary=boundary_room(room.installation, ledger),
        gateway=SqlGatewayStore(ledger.database),
        runs=runs,
        judge=shows.assessment if shows else None,
        keep=shows.page if shows else None,
        seen=seen,
    )


@contextmanager
def open_page_desk(settings: Settings) -> Iterator[PageDesk]:
    """Open the desk of pages for the time of a command."""
    with open_stores(settings) as (installation, ledger), open_run_log(settings) as runs:
        yield page_desk(control_room(installation, ledger), ledger, runs)
