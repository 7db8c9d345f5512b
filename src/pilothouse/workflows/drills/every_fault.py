# SPDX-License-Identifier: Apache-2.0
"""Every drill of a fault one after the other: whether all of what can go wrong would be noticed today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pilothouse.errors import PilothouseError
from pilothouse.workflows.drills.faults import FAULTS, drill_fault
from pilothouse.workflows.drills.records import DrillResult
from pilothouse.workflows.drills.rehearsals import drill_drift
from pilothouse.workflows.drills.waiting import REAL_TIME, Pace
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.paging import CUT_OFF

__all__ = ["drill_all", "drilled"]

Drill = tuple[str, Callable[[], DrillResult]]


def drill_all(
    room: ControlRoom,
    agent: str,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    outages: Sequence[Drill] = (),
    pace: Pace = REAL_TIME,
) -> tuple[DrillResult, ...]:
    """Plant every fault, one after the other; the cut-off pager comes last, so that it silences no other drill.

    One that cannot be held is one that failed, with its reason: what was not rehearsed would not be noticed either.

    Args:
        room: Opened parts.
        agent: Agent id.
        wait_s: How long to wait for people at each drill, seconds.
        tell: Told each step in one sentence.
        outages: Drills with the agent's own command, by name.
        pace: How time passes.
    """

    def fault(name: str) -> Drill:
        return name, lambda: drill_fault(
            room, agent, name, wait_s=wait_s, now=room.work.now(), tell=tell, pace=pace
        )

    drills = (
        *(fault(name) for name in FAULTS if name != CUT_OFF),
        ("drift", lambda: drill_drift(room, agent, now=room.work.now())),
        *outages,
        fault(CUT_OFF),
    )
    found = []
    for name, hold in drills:
        tell(f"{name} …")
        try:
            done = hold()
        except PilothouseError as error:
            done = DrillResult(
                name=name, passed=False, sentence=f"could not be held: {error.message}. {error.remedy}"
            )
        found.append(replace(done, name=name))
    return tuple(found)


def drilled(found: Sequence[DrillResult]) -> str:
    """Return how many drills passed, in one sentence.

    Example:
        >>> drilled([DrillResult(name="drift", passed=True, sentence="seen")])
        '1 of 1 drills passed: everything that was planted was noticed.'
    """
    failed = [one.name for one in found if not one.passed]
    head = f"{len(found) - len(failed)} of {len(found)} drills passed"
    return (
        f"{head}; not {', '.join(failed)}." if failed else f"{head}: everything that was planted was noticed."
    )
