# SPDX-License-Identifier: Apache-2.0
"""The people of the story: they answer the pager, take the next step of an incident, and say what would have been right."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from pilothouse.core.action.incident import Incident, IncidentState
from pilothouse.demo.parts import DemoParts
from pilothouse.demo.place import AGENT, DemoPlace
from pilothouse.errors import Conflict
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.incidents import move
from pilothouse.workflows.review.queue import Workbench

__all__ = ["people_who_answer"]

ANSWER_EVERY_S = 0.05
"""How fast the people of the story answer; nobody waits for them longer than that."""

CALLED = {1: "sam", 2: "dana", 3: "vp"}
"""Who answers at each level of the escalation path."""

REVIEWER = "lee"

NAMED_BY = {"completion": "completion fell", "cost": "the cost went up", "truth": "a claim was false"}
"""What the team calls a planted fault, by the runbook that its incident names."""

_DOCUMENT = re.compile(r"D-\d+")


OF_FAULTS = frozenset({"completion-drop", "cost-burst"})
"""Drills that plant a fault and see whom the alert reaches."""


@contextmanager
def people_who_answer(parts: DemoParts, place: DemoPlace, moment: datetime) -> Iterator[None]:
    """Let the people of the charter answer whoever asks them, for the time of a block.

    Args:
        parts: From the composition root.
        place: The demo's folder.
        moment: The simulated moment.
    """
    ended = threading.Event()

    def answer() -> None:
        with (
            parts.open_control_room(place.settings) as room,
            parts.open_workbench(place.settings) as bench,
        ):
            while not ended.wait(ANSWER_EVERY_S):
                for incident in room.incidents.incidents(agent=AGENT, active=True):
                    _take_the_next_step(room, incident, moment)
                _review(bench, place.erp)

    with parts.at_simulated(moment):
        thread = threading.Thread(target=answer, name="people-of-the-demo", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _take_the_next_step(room: ControlRoom, incident: Incident, moment: datetime) -> None:
    """Acknowledge what is open, and resolve a rehearsal when its steps were followed or its fault was found."""
    person = CALLED[incident.level]
    with contextlib.suppress(Conflict):  # the drill may have closed it meanwhile
        if incident.state is IncidentState.OPEN:
            events = room.incidents.events(incident.number) if incident.drill in OF_FAULTS else ()
            if incident.drill in OF_FAULTS and not any(" was reached by " in one.text for one in events):
                return  # nobody takes what nobody has told them; such a drill asks whether anybody was told
            move(room, incident.number, IncidentState.ACKNOWLEDGED, person=person, text="", now=moment)
        elif incident.drill.startswith(("runbook", "game-day")):
            followed = NAMED_BY.get(Path(incident.runbook).stem, "")
            said = f"followed its steps; {followed}" if followed else "followed its steps"
            move(room, incident.number, IncidentState.RESOLVED, person=person, text=said, now=moment)


def _review(bench: Workbench, erp: Path) -> None:
    """Answer what waits for a reviewer, with what accounts payable booked in the end."""
    visitor = bench.directory.find(REVIEWER)
    while (record := bench.take_next(visitor)) is not None:
        right = _booked(record, erp)
        if right is None:
            bench.answer(visitor, record.item.item_id, "unsure", note="not booked yet")
        elif all(f'\\"{value}\\"' in record.item.proposal for value in right.values()):
            bench.answer(visitor, record.item.item_id, "accept")
        else:
            bench.answer(visitor, record.item.item_id, "correct", correction=json.dumps(right))


def _booked(record: ItemRecord, erp: Path) -> dict[str, str] | None:
    document = _DOCUMENT.search(record.item.input)
    if document is None:
        return None
    with closing(sqlite3.connect(f"file:{erp}?mode=ro", uri=True)) as connection:
        row = connection.execute(
            "SELECT queue, po_number FROM bookings WHERE document = ?", (document[0],)
        ).fetchone()
    return None if row is None else {"queue": row[0], "po_number": row[1]}
