# SPDX-License-Identifier: Apache-2.0
"""What a drill found, and how it is put on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import UNKNOWN, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.workflows.ground.control_room import ControlRoom

__all__ = ["DrillResult", "record_drill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """What a drill found.

    Attributes:
        name: The drill.
        passed: Whether everything happened that had to.
        sentence: What happened, with its numbers.
        incidents: Numbers of the incidents it opened.
    """

    name: str
    passed: bool
    sentence: str
    incidents: tuple[int, ...] = ()


def record_drill(
    room: ControlRoom,
    charter: Charter,
    name: str,
    now: datetime,
    *,
    passed: bool | None,
    said: str,
    scope: Scope | None = None,
    person: str | None = None,
) -> None:
    """Put what a drill found on record.

    Args:
        room: Opened parts.
        charter: The charter in force.
        name: Kind of evidence.
        now: The moment, aware UTC.
        passed: Whether everything happened that had to; None where nobody knows.
        said: What happened, with its numbers.
        scope: Part that the kind is about, or None.
        person: Person that the kind is about, or None.
    """
    record = recorded(
        name,
        charter,
        now,
        command="pilothouse drill",
        scope=scope,
        person=person,
        n=1,
        passed=passed,
        counts={UNKNOWN: 1} if passed is None else {},
        detail=said,
    )
    room.installation.ledger.add_evidence([record])
