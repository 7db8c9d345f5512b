# SPDX-License-Identifier: Apache-2.0
"""The opened parts of one installation, handed to every use case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports.approvals import WaitingCalls
    from pilothouse.ports.clock import Clock
    from pilothouse.ports.controls import ControlStore
    from pilothouse.ports.dockets import Dockets
    from pilothouse.ports.incidents import IncidentStore
    from pilothouse.ports.lake import Lake
    from pilothouse.ports.ledger import Ledger
    from pilothouse.ports.review import ReviewQueue
    from pilothouse.settings import Settings

__all__ = ["Installation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What `app.py` opens and everything else is given.

    Attributes:
        settings: Values in force.
        clock: The time.
        lake: Telemetry.
        ledger: Decisions.
        dockets: Items that were decided before, or None where every verdict decides all of them anew.
        controls: What is paused and rolled back, or None where nothing can be.
        incidents: Incidents, or None where nobody can look them up.
        reviews: What people are asked, or None where nobody can look it up.
        calls: Calls that wait for a yes or no, or None where nobody can look them up.
    """

    settings: Settings
    clock: Clock
    lake: Lake
    ledger: Ledger
    dockets: Dockets | None = None
    controls: ControlStore | None = None
    incidents: IncidentStore | None = None
    reviews: ReviewQueue | None = None
    calls: WaitingCalls | None = None
