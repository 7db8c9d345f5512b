# SPDX-License-Identifier: Apache-2.0
"""The opened parts with which people keep agents in hand: everything of an installation, and its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports.contacts import ContactStore, Notifier
    from pilothouse.ports.controls import ControlStore
    from pilothouse.ports.incidents import IncidentStore
    from pilothouse.ports.watch import WatchStore
    from pilothouse.ports.work import WorkStore
    from pilothouse.workflows.ground.installation import Installation

__all__ = ["ControlRoom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRoom:
    """What commands and pages about a running agent are given.

    Attributes:
        installation: Opened lake and ledger.
        controls: What is paused or rolled back.
        incidents: Incidents and their timelines.
        work: Leases, timers and the outbox.
        contacts: Addresses of people.
        notifier: Carries a message to an address.
        watch: What the detectors remember and said.
    """

    installation: Installation
    controls: ControlStore
    incidents: IncidentStore
    work: WorkStore
    contacts: ContactStore
    notifier: Notifier
    watch: WatchStore
