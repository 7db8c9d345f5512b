# SPDX-License-Identifier: Apache-2.0
"""One tick of the watch: count what is finished, look at the whole, let warnings and alarms act, write the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.watch.effects import Settled, settle_all
from pilothouse.workflows.watch.every_day import advance_all
from pilothouse.workflows.watch.evidence import record_watch_evidence
from pilothouse.workflows.watch.missed import MissedAlarm
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.whole import look_at_whole

__all__ = ["WATCH_EVERY_S", "WatchTick", "run_watch"]

WATCH_EVERY_S = 60.0
"""A day is finished once; a tick that finds nothing reads a few rows for each agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTick:
    """What a tick did.

    Attributes:
        days: Days that were counted, one for each agent and closing.
        opened: Incidents that were opened.
        evidence: Records that are new.
        missed: Alarms that called nobody, because their day was counted too late.
    """

    days: int
    opened: int
    evidence: int
    missed: tuple[MissedAlarm, ...] = ()


def run_watch(watch: WatchRoom, now: datetime) -> WatchTick:
    """Run one tick; running it again at once changes nothing.

    Raises:
        Exception: The first fault at one agent, after everything else was done for all.
    """
    faults, days, evidence = Faults(), 0, 0
    settled = Settled(opened=0, missed=())
    with faults.apart():
        days = advance_all(watch, now)
    with faults.apart():
        look_at_whole(watch, now)
    with faults.apart():
        settled = settle_all(watch, now)
    with faults.apart():
        evidence = record_watch_evidence(watch, now)
    faults.raise_first()
    return WatchTick(days=days, opened=settled.opened, evidence=evidence, missed=settled.missed)
