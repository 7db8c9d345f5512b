# SPDX-License-Identifier: Apache-2.0
"""Waiting for people and processes in a drill, while the work of a server goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.errors import Conflict, UsageError
from pilothouse.interruption import unbroken
from pilothouse.ports.controls import Rollback
from pilothouse.ports.incidents import IncidentChange
from pilothouse.workflows.controls.controls import ControlsCache
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import AlertAnswer, Firing, raise_alert
from pilothouse.workflows.incidents.pager import Pager

__all__ = [
    "EFFECTIVE_WITHIN_S",
    "REAL_TIME",
    "STEP_S",
    "Pace",
    "close_rehearsal",
    "rehearsed",
    "seconds_to_roll_back",
    "seconds_until",
    "wait_for",
]

EFFECTIVE_WITHIN_S = 2.0
"""Within which a pause must have reached gateway and tools."""

CLOSE_ATTEMPTS_MAX = 10
"""Steps that people and the pager take while a drill is ended; each happens once."""

STEP_S = 0.25
"""Between two looks while people are waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How time passes in a drill.

    Attributes:
        monotonic: Monotonic seconds.
        sleep: Lets seconds pass.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL_TIME = Pace()


def wait_for(
    room: ControlRoom,
    number: int,
    wait_s: float,
    tell: Callable[[str], None],
    done: Callable[[Incident], bool],
    *,
    pace: Pace = REAL_TIME,
) -> Incident:
    """Work as the server does until something is so, or the time is over; a running server does its part too.

    Args:
        room: Opened parts.
        number: Incident that is waited for.
        wait_s: How long at most, seconds.
        tell: Told what must not be missed.
        done: Whether it is so.
        pace: How time passes.
    """
    worker = Pager(room, tell).worker()
    end = pace.monotonic() + wait_s
    try:
        while True:
            worker.beat()
            worker.tick()
            worker.settle_all()
            found = room.incidents.incident(number)
            if found is None:
                raise UsageError(
                    f"INC-{number} is gone", remedy="`pilothouse incident list --all`", subject="drill"
                )
            if done(found) or pace.monotonic() >= end:
                return found
            pace.sleep(STEP_S)
    finally:
        worker.stop()


@contextlib.contextmanager
def rehearsed(room: ControlRoom, firing: Firing, now: datetime) -> Iterator[AlertAnswer]:
    """Raise the alert of a drill for a block; its incident ends with it, also when somebody stops the drill.

    Args:
        room: Opened parts.
        firing: What the drill lets a detector find.
        now: The moment, aware UTC.
    """
    opened = None
    try:
        with unbroken():  # a stop while it is opened comes when its end is sure
            answer = raise_alert(room, firing, now)
            opened = answer.incident
        yield answer
    finally:
        with unbroken():
            if opened is not None:
                close_rehearsal(room, opened)


def close_rehearsal(room: ControlRoom, incident: Incident) -> None:
    """End the incident of a drill, unless people have: nobody is called any more, and nothing waits for ever."""
    for _ in range(CLOSE_ATTEMPTS_MAX):
        found = room.incidents.incident(incident.number) or incident
        if not found.is_active:
            return
        event = IncidentEvent(at=room.work.now(), kind="state", actor="drill", text="The drill is over.")
        closed = replace(found, state=IncidentState.RESOLVED, resolved_at=event.at)
        with contextlib.suppress(Conflict):  # somebody took a step at the same moment
            room.incidents.change(IncidentChange(incident=closed, events=(event,)))


def seconds_to_roll_back(
    room: ControlRoom, cache: ControlsCache, shadow: str, *, drill: str, actor: str, now: datetime
) -> tuple[float | None, float | None]:
    """Roll a shadow of an agent back and end that; return after how many seconds each was obeyed, None where it was not.

    Args:
        room: Opened parts.
        cache: What gateway and tools obey, as they see it.
        shadow: Name of the shadow.
        drill: Name of the drill.
        actor: Who does it.
        now: The moment, aware UTC.
    """
    reason = f"drill {drill}"
    room.controls.roll_back(
        Rollback(
            agent=shadow,
            to_version="before",
            from_version="candidate",
            reason=reason,
            actor=actor,
            at=now,
        )
    )
    back_s = seconds_until(lambda: cache.state().rollbacks.get(shadow) is not None)
    room.controls.end_rollback(shadow, reason=reason, actor=actor, at=now)
    return back_s, seconds_until(lambda: cache.state().rollbacks.get(shadow) is None)


def seconds_until(true: Callable[[], bool], pace: Pace = REAL_TIME) -> float | None:
    """Return after how many seconds something became so, or None when it did not within `EFFECTIVE_WITHIN_S`."""
    began = pace.monotonic()
    while pace.monotonic() - began <= EFFECTIVE_WITHIN_S:
        if true():
            return pace.monotonic() - began
        pace.sleep(0.02)
    return None
