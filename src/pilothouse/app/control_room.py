# SPDX-License-Identifier: Apache-2.0
"""Opens the control room: an installation with everything that pauses, pages and drills need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.opening import open_stores, simulated_now

if TYPE_CHECKING:
    from datetime import datetime

    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.controls import Controls
    from pilothouse.settings import Settings
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.reports.show import Shows
    from pilothouse.workflows.verdict.assess import Assessment

__all__ = [
    "alert_ticks",
    "control_room",
    "note_ticks",
    "open_control_room",
    "running_controls",
    "running_pager",
]

ALERTS_EVERY_S = 30.0
"""A breach is frozen every five minutes at most; half a minute later it is an incident and people are called."""


@contextmanager
def open_control_room(settings: Settings) -> Iterator[ControlRoom]:
    """Open lake, ledger and controls for the time of a command."""
    with open_stores(settings) as (installation, ledger):
        yield control_room(installation, ledger)


def control_room(installation: Installation, ledger: SqlLedger) -> ControlRoom:
    """Return the control room of an opened installation."""
    from pilothouse.connectors.apprise_notifier import AppriseNotifier
    from pilothouse.ledger.contacts import SqlContacts
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.ledger.incidents import SqlIncidents
    from pilothouse.ledger.leases import SqlWork
    from pilothouse.ledger.watch import SqlWatch
    from pilothouse.workflows.ground.control_room import ControlRoom

    work = SqlWork(ledger.database, simulated_now())
    return ControlRoom(
        installation=installation,
        controls=SqlControls(ledger.database),
        incidents=SqlIncidents(ledger.database, work.now),
        work=work,
        contacts=SqlContacts(ledger.database),
        notifier=AppriseNotifier(),
        watch=SqlWatch(ledger.database),
    )


@contextmanager
def running_controls(
    ledger: SqlLedger, on_note: Callable[[str], None] = lambda _text: None
) -> Iterator[Controls]:
    """Keep what is paused or rolled back in memory, at most a second behind the ledger.

    Args:
        ledger: Where it is kept.
        on_note: Told when it cannot be read: a pause that is typed then is not obeyed.
    """
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.workflows.controls.controls import ControlsCache

    cache = ControlsCache(SqlControls(ledger.database), state=ledger.database.state, on_note=on_note)
    cache.start()
    try:
        yield cache
    finally:
        cache.stop()


@contextmanager
def running_pager(room: ControlRoom, on_note: Callable[[str], None]) -> Iterator[None]:
    """Fire the clocks of incidents and send their pages in the background, unless another process does.

    Args:
        room: Opened parts.
        on_note: Told what must not be missed even if nobody can be paged.
    """
    from pilothouse.workflows.incidents.pager import Pager

    worker = Pager(room, on_note).worker()
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def alert_ticks(room: ControlRoom) -> tuple[Tick, ...]:
    """Return the recurring looks at new verdicts: for breaches to page about, and for what has to be done."""
    from pilothouse.workflows.gateway.provider_signs import SIGNS_EVERY_S
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.ground.work import new_holder
    from pilothouse.workflows.incidents.alerts import alert_on_verdicts
    from pilothouse.workflows.phases.demote import act_on_verdicts
    from pilothouse.workflows.server.rollout_watch import WATCH_EVERY_S, watch_rollout
    from pilothouse.workflows.watch.ownership_watch import OWNERSHIP_WATCH_EVERY_S, watch_ownership
    from pilothouse.workflows.watch.provider_watch import watch_providers
    from pilothouse.workflows.watch.verifier_watch import VERIFIERS_EVERY_S, VerifierWatch

    holder = new_holder()
    return (
        Tick(name="alerts", every_s=ALERTS_EVERY_S, run=lambda now: alert_on_verdicts(room, now)),
        Tick(
            name="demotion",
            every_s=ALERTS_EVERY_S,
            run=lambda now: act_on_verdicts(room, now, holder=holder),
        ),
        Tick(
            name="ownership",
            every_s=OWNERSHIP_WATCH_EVERY_S,
            run=lambda now: watch_ownership(room, now),
        ),
        Tick(name="rollout", every_s=WATCH_EVERY_S, run=lambda now: watch_rollout(room, now)),
        Tick(name="providers", every_s=SIGNS_EVERY_S, run=lambda now: watch_providers(room, now)),
        Tick(name="verifiers", every_s=VERIFIERS_EVERY_S, run=VerifierWatch(room).look),
    )


def note_ticks(room: ControlRoom, ledger: SqlLedger, shows: Shows) -> tuple[Tick, ...]:
    """Return the recurring looks whether the weekly note of an agent is due, and a reminder of evidence that lapses.

    Args:
        room: Opened parts.
        ledger: The ledger, as its class.
        shows: Keeps assessments.
    """
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.curation.corrections_week import corrections_of_note, corrections_week
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.reports.lapse_reminders import REMINDERS_EVERY_S, LapseReminders
    from pilothouse.workflows.reports.retirement_reminders import (
        RETIREMENTS_EVERY_S,
        remind_of_retirements,
    )
    from pilothouse.workflows.reports.weekly_notes import NOTES_EVERY_S, WeeklyNotes

    queue, made = SqlReviewQueue(ledger.database), SqlCuration(ledger.database)

    def corrections(agent: str, until: datetime) -> str:
        return corrections_of_note(corrections_week(ledger, queue, made, agent, until))

    def judge(agent: str) -> Assessment:
        return shows.judged(room.installation, agent, room.installation.clock.now())

    return (
        Tick(name="weekly-notes", every_s=NOTES_EVERY_S, run=WeeklyNotes(room, judge, corrections).look),
        Tick(name="lapse-reminders", every_s=REMINDERS_EVERY_S, run=LapseReminders(room, judge).look),
        Tick(
            name="retirement-reminders",
            every_s=RETIREMENTS_EVERY_S,
            run=lambda now: remind_of_retirements(room, now),
        ),
    )
