# SPDX-License-Identifier: Apache-2.0
"""Composes what pages made of sections are gathered from: for a server, or for a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.boundary import audit_log
from pilothouse.app.control_room import control_room
from pilothouse.app.opening import SystemClock
from pilothouse.app.runs import open_run_log

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.runlog import RunLog
    from pilothouse.settings import Settings
    from pilothouse.workflows.assess import Assessment
    from pilothouse.workflows.control_room import ControlRoom
    from pilothouse.workflows.shows.desk import PageDesk

    Judge = Callable[[str], Assessment]

__all__ = ["open_page_desk", "page_desk"]


def page_desk(room: ControlRoom, ledger: SqlLedger, runs: RunLog, *, judge: Judge | None = None) -> PageDesk:
    """Return the desk of an opened installation.

    Args:
        room: Its control room.
        ledger: Its ledger, as its class.
        runs: Its run log.
        judge: Gives assessments; None computes each anew.
    """
    from pilothouse.ledger.approvals import SqlApprovals
    from pilothouse.ledger.gateway import SqlGatewayStore
    from pilothouse.ledger.steady_clock import SteadyClock
    from pilothouse.workflows.boundary_room import BoundaryRoom
    from pilothouse.workflows.shows.desk import PageDesk

    installation = room.installation
    log = audit_log(ledger, installation.settings)
    boundary = BoundaryRoom(
        installation=installation,
        log=log,
        approvals=SqlApprovals(log, SteadyClock(installation.clock, log.latest_at())),
    )
    return PageDesk(
        control_room=room,
        boundary=boundary,
        gateway=SqlGatewayStore(ledger.database),
        runs=runs,
        judge=judge,
    )


@contextmanager
def open_page_desk(settings: Settings) -> Iterator[PageDesk]:
    """Open everything a page is gathered from, for the time of a command.

    Args:
        settings: Values in force.
    """
    from pilothouse.lake.store import open_lake
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.installation import Installation

    clock = SystemClock()
    with open_ledger(settings.ledger_url) as ledger, open_run_log(settings) as runs:
        lake = open_lake(settings.lake_folder, clock)
        try:
            installation = Installation(settings=settings, clock=clock, lake=lake, ledger=ledger)
            yield page_desk(control_room(installation, ledger), ledger, runs)
        finally:
            lake.close()
