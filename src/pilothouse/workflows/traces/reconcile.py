# SPDX-License-Identifier: Apache-2.0
"""Watch our own books: acknowledged telemetry that no query finds for a minute is an alert on ourselves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.dates import minute, second
from pilothouse.core.evidence.fold import Window
from pilothouse.ports.lake import LakeHealth
from pilothouse.ports.ledger import Decision, Ledger
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent

__all__ = [
    "GAP_KIND",
    "INSTALLATION",
    "RECONCILE_EVERY_S",
    "GapAlert",
    "GapWatch",
    "gap_alerts",
    "gap_notes",
    "open_gap_incidents",
]

GAP_KIND = "telemetry.gap"
"""Kind of the decision that opens or closes an alert."""

INSTALLATION = "*"
"""Stands for the agent where a decision is about all of them; no agent id may be written so."""

GAP_S = 60.0
"""Counters of several threads are read one after another and may disagree for an instant; a minute is a loss."""

RECONCILE_EVERY_S = 5.0
"""How often the books are compared; counting rows of files costs a look at their list."""

NOTES_MAX = 3
"""Alerts that a verdict names; `doctor` names further ones."""

ALERTS_MAX = 20
"""Alerts that are shown; all of them stay in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapAlert:
    """One time that the books did not close.

    Attributes:
        opened_at: When it was raised, aware UTC.
        items: Acknowledged items that were nowhere (negative: found more often than acknowledged).
        closed_at: When the books closed again or their counters began anew, or None.
        began_anew: The process ended before its books closed: what was missing stays unexplained.
    """

    opened_at: datetime
    items: int
    closed_at: datetime | None = None
    began_anew: bool = False

    @property
    def what(self) -> str:
        """What did not add up."""
        if self.items > 0:
            return f"{self.items:,} acknowledged items were in no table and no queue"
        return f"{-self.items:,} items were found more often than they were acknowledged"

    @property
    def sentence(self) -> str:
        """The alert in one sentence."""
        state = "still open"
        if self.closed_at:
            how = "never explained; a new start counts anew since" if self.began_anew else "closed at"
            state = f"{how} {second(self.closed_at)}"
        return f"{self.what} (raised at {second(self.opened_at)}, {state})"


class GapWatch:
    """Raises one alert when the gap lasts, and closes it when the books do.

    Args:
        health: Reads the counters.
        ledger: Where alerts are recorded.
        on_note: Told in one sentence what was raised or closed.
        on_alert: Told each alert that is raised and when, so that somebody is called.
        monotonic: Seconds that no change of the wall clock touches.
    """

    def __init__(
        self,
        health: Callable[[], LakeHealth],
        ledger: Ledger,
        on_note: Callable[[str], None] = lambda _text: None,
        on_alert: Callable[[GapAlert, datetime], None] = lambda _alert, _now: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._ledger = ledger
        self._on_note = on_note
        self._on_alert = on_alert
        self._monotonic = monotonic
        self._since: float | None = None
        self._open = False
        self._left_open = any(alert.closed_at is None for alert in gap_alerts(ledger)[:1])

    @property
    def is_open(self) -> bool:
        """Whether an alert is raised now."""
        return self._open

    def look(self, now: datetime) -> None:
        """Compare the books once."""
        found = self._health()
        if self._left_open:
            self._record(now, found, "restarted")
            self._left_open = False
        if not found.gap:
            self._since = None
            if self._open:
                self._record(now, found, "closed")
                self._open = False
                self._on_note("telemetry: the books close again.")
            return
        at = self._monotonic()
        self._since = at if self._since is None else self._since
        if at - self._since > GAP_S and not self._open:
            self._record(now, found, "raised")
            self._open = True
            alert = GapAlert(opened_at=now, items=found.gap)
            self._on_note(f"telemetry: {alert.sentence}; see /health.")
            self._on_alert(alert, now)

    def _record(self, now: datetime, found: LakeHealth, state: str) -> None:
        document = {
            "state": state,
            "gap": found.gap,
            "rows": found.rows,
            "pending": found.pending,
            "counters": dict(found.counters),
        }
        self._ledger.record(
            kind=GAP_KIND,
            agent=INSTALLATION,
            at=now,
            actor="pilothouse up",
            document=json.dumps(document, sort_keys=True),
        )


def open_gap_incidents(room: ControlRoom, alert: GapAlert, now: datetime) -> None:
    """Open an incident for every agent with a charter in force: none of their figures can be trusted till then.

    Args:
        room: Opened parts.
        alert: What was raised.
        now: The moment, aware UTC.
    """
    sentence = f"Telemetry does not add up: {alert.sentence}. Run `pilothouse doctor`."
    alert_for_every_agent(
        room, lambda record: (Firing(agent=record.agent, metric=GAP_KIND, sentence=sentence, once=True),), now
    )


def gap_notes(ledger: Ledger, window: Window) -> tuple[str, ...]:
    """Return what a verdict says whose window an alert falls into, the newest first: its figures may miss tasks.

    Args:
        ledger: Where alerts are recorded.
        window: What the verdict looks back on; what was recorded after it changes nothing.
    """
    found = [
        alert
        for alert in gap_alerts(ledger)
        if alert.opened_at <= window.end and (alert.closed_at is None or alert.closed_at >= window.start)
    ]
    return tuple(
        f"Telemetry of this window did not add up at {minute(alert.opened_at)}: {alert.what}, so figures may miss tasks. "
        "`pilothouse doctor` says what became of it."
        for alert in found[:NOTES_MAX]
    )


def gap_alerts(ledger: Ledger) -> tuple[GapAlert, ...]:
    """Return the latest alerts, newest first.

    Args:
        ledger: Where they are recorded.
    """
    alerts: list[GapAlert] = []
    found: Sequence[Decision] = ledger.decisions(INSTALLATION, kind=GAP_KIND, limit=2 * ALERTS_MAX)
    for decision in reversed(found):
        document = json.loads(decision.document)
        if document["state"] == "raised":
            alerts.append(GapAlert(opened_at=decision.at, items=int(document["gap"])))
        elif alerts and alerts[-1].closed_at is None:
            last = alerts[-1]
            alerts[-1] = GapAlert(
                opened_at=last.opened_at,
                items=last.items,
                closed_at=decision.at,
                began_anew=document["state"] == "restarted",
            )
    return tuple(reversed(alerts))[:ALERTS_MAX]
