# SPDX-License-Identifier: Apache-2.0
"""Opens lake, ledger and intake of an installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.intake import Intake
    from pilothouse.settings import Settings
    from pilothouse.workflows.ground.installation import Installation

__all__ = ["SystemClock", "at_simulated", "open_installation", "open_intake", "open_stores", "simulated_now"]

_simulated: list[datetime] = []
"""The moment that this process is told to live at; empty outside of the demo. Threads of a command share it."""


class SystemClock:
    """The machine's wall clock, in UTC; in the demo's own process the moment that its story has come to."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return _simulated[-1] if _simulated else datetime.now(UTC)


@contextmanager
def at_simulated(moment: datetime) -> Iterator[None]:
    """Set the simulated time of this process for a block; only the demo does, and no setting can."""
    _simulated.append(moment)
    try:
        yield
    finally:
        _simulated.pop()


def simulated_now() -> Callable[[], datetime] | None:
    """Return the clock for timers under simulated time; None leaves it to the database."""
    return SystemClock().now if _simulated else None


@contextmanager
def open_installation(settings: Settings) -> Iterator[Installation]:
    """Open lake and ledger, and close them afterwards.

    A server may be writing the lake meanwhile; what it has committed is seen.
    """
    with open_stores(settings) as (installation, _):
        yield installation


@contextmanager
def open_stores(settings: Settings) -> Iterator[tuple[Installation, SqlLedger]]:
    """Open an installation and its ledger as a class, for further repositories on it."""
    from pilothouse.app.deciding_code import deciding_code
    from pilothouse.app.lazy_lake import LazyLake
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.ledger.dockets import SqlDockets
    from pilothouse.ledger.incidents import SqlIncidents
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.ledger.waiting_calls import SqlWaitingCalls
    from pilothouse.workflows.ground.installation import Installation

    clock = SystemClock()
    with open_ledger(settings.ledger_url) as ledger:
        lake = LazyLake(settings.lake_folder, clock)
        try:
            yield (
                Installation(
                    settings=settings,
                    clock=clock,
                    lake=lake,
                    ledger=ledger,
                    dockets=SqlDockets(ledger.database, deciding_code),
                    controls=SqlControls(ledger.database),
                    incidents=SqlIncidents(ledger.database),
                    reviews=SqlReviewQueue(ledger.database),
                    calls=SqlWaitingCalls(ledger.database),
                ),
                ledger,
            )
        finally:
            lake.close()


@contextmanager
def open_intake(settings: Settings) -> Iterator[Intake]:
    """Open the intake of telemetry: the running server's, or the lake itself when none runs, with the prices of the ledger."""
    from pilothouse.lake import remote
    from pilothouse.lake.prices import priced_by
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.gateway.price_list import PriceList

    with open_ledger(settings.ledger_url) as ledger:
        prices = priced_by(PriceList(ledger).read)
        with remote.open_intake(settings.lake_folder, SystemClock(), prices) as intake:
            yield intake
