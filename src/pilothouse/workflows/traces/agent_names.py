# SPDX-License-Identifier: Apache-2.0
"""Watch that no sender names more agents than a day may have: what comes after them is nobody's evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pilothouse.ports.lake import OVERFLOW_AGENT, LakeHealth
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent
from pilothouse.workflows.traces.reconcile import INSTALLATION

__all__ = ["NAMES_KIND", "NAMES_LOOK_EVERY_S", "NamesWatch"]

NAMES_KIND = "telemetry.agent_names"
"""Kind of the decision that says it, once a day, and metric of the incident."""

NAMES_LOOK_EVERY_S = 60.0

COUNTER = "over_agent_names"


@dataclass(slots=True)
class NamesWatch:
    """Says once a day that names were replaced, and calls who answers for each agent: its tasks may be among them.

    Attributes:
        health: Reads the counters.
        room: Opened parts with incidents.
        on_note: Told it in one sentence.
        seen: Items that were counted at the last look.
    """

    health: Callable[[], LakeHealth]
    room: ControlRoom
    on_note: Callable[[str], None] = lambda _text: None
    seen: int = 0

    def look(self, now: datetime) -> None:
        """Look once."""
        items = dict(self.health().counters).get(COUNTER, 0)
        fresh, self.seen = items - self.seen, items
        ledger = self.room.installation.ledger
        said = ledger.decisions(INSTALLATION, kind=NAMES_KIND, limit=1)
        if fresh <= 0 or any(one.at.date() == now.date() for one in said):
            return
        sentence = (
            "An ingest key named more than 1,000 agents today: what it sends under further names is stored under "
            f"{OVERFLOW_AGENT} and counts for no agent. Give agents few names, or a key each."
        )
        self.on_note(f"telemetry: {sentence}")
        firing = Firing(agent="", metric=NAMES_KIND, sentence=sentence, once=True)
        alert_for_every_agent(self.room, lambda record: (replace(firing, agent=record.agent),), now)
        # Last: a kill before it says the same again, which changes nothing.
        ledger.record(
            kind=NAMES_KIND,
            agent=INSTALLATION,
            at=now,
            actor="pilothouse up",
            document=json.dumps({"items": fresh}),
        )
