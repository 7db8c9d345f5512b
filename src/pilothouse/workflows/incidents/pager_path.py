# SPDX-License-Identifier: Apache-2.0
"""The escalation path: who is called next when people cannot be reached or do not answer, and where it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pilothouse.core.action.escalation import next_level, start_level
from pilothouse.core.action.incident import ROUNDS_MAX, Incident, IncidentEvent, IncidentState, Named
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.incidents import IncidentChange
from pilothouse.ports.work import Job, WorkChange
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.incidents.paging import LOUD, call_level, calls_a_level, incident_key, page_key

__all__ = ["EscalationPath"]


class EscalationPath:
    """Decides what follows on a level that does not answer.

    Args:
        room: Opened parts.
        on_note: Told what must not be missed even if nobody can be paged.
    """

    def __init__(self, room: ControlRoom, on_note: Callable[[str], None]) -> None:
        self._room = room
        self._on_note = on_note

    def unreached(
        self, incident: Incident, job: Job, document: dict[str, object], said: str, now: datetime
    ) -> IncidentChange:
        """Replace who cannot be reached by a substitute, or by the next level once nobody is left on this one.

        Args:
            incident: As it stands.
            job: The page that is given up.
            document: What the page said.
            said: Why it is given up.
            now: The moment, aware UTC.
        """
        person, level = str(document["person"]), incident.level
        event = IncidentEvent.telling(
            Named(person), f" cannot be reached: {said}", at=now, kind=LOUD, actor="pager"
        )
        dead = WorkChange(dead=((job.key, said),))
        charter = charter_if_any(self._room.installation.ledger, incident.agent)
        keys = {one.key: one.state for one in self._room.work.jobs(incident.name) if one.action == "page"}
        substitute = charter.substitute_of(person) if charter else None
        of_level = calls_a_level(job.key)
        wanted = incident.state is IncidentState.OPEN or (incident.is_active and not of_level)
        # On the level that was called, which may not be the one that is called now.
        called_on = job.key.rpartition("/")[0]
        key = substitute and (
            f"{called_on}/{substitute}" if of_level else page_key(incident, level, substitute)
        )
        if wanted and substitute is not None and key is not None and key not in keys:
            page = replace(
                job,
                key=key,
                document=canonical_json({**document, "person": substitute}),
                run_after=now,
                attempts=0,
                state="ready",
            )
            words = (Named(substitute), " is called for ", Named(person), ".")
            called = IncidentEvent.telling(*words, at=now, kind="page", actor="pager")
            return IncidentChange(incident=incident, events=(event, called), work=replace(dead, jobs=(page,)))
        prefix = incident_key(incident, f"r{incident.round}", f"L{level}", "")
        hopeful = [
            key
            for key, state in keys.items()
            if key.startswith(prefix) and key != job.key and state != "dead"
        ]
        if incident.state is not IncidentState.OPEN or hopeful or not job.key.startswith(prefix):
            return IncidentChange(incident=incident, events=(event,), work=dead)
        change = self.escalated(incident, now, f"Nobody on level {level} can be reached.", dead)
        cancelled = (incident_key(incident, f"r{incident.round}", f"L{level}", "ack"),)
        return replace(change, events=(event, *change.events), work=replace(change.work, cancelled=cancelled))

    def escalated(self, incident: Incident, now: datetime, why: str, work: WorkChange) -> IncidentChange:
        """Call the next level, or the whole path again; after `ROUNDS_MAX` rounds say loudly that nobody is called.

        Args:
            incident: As it stands.
            now: The moment, aware UTC.
            why: Why this level does not do, one sentence.
            work: What becomes of the timer or job that led here.
        """
        charter = charter_if_any(self._room.installation.ledger, incident.agent)
        following = next_level(charter, incident.level) if charter and incident.drill != "page" else None
        if charter is not None and following is not None:
            step = replace(incident, level=following)
            return self._calling(charter, step, now, why, work)
        loud = f"{why} There is no further level."
        if charter is None or incident.drill == "page" or incident.round_of_turn + 1 >= ROUNDS_MAX:
            loud += " Nobody is called any more; somebody has to look by themselves."
            self._on_note(f"{incident.name} of {incident.agent}: {loud}")
            event = IncidentEvent(at=now, kind=LOUD, actor="pager", text=loud)
            return IncidentChange(incident=incident.given_up(), events=(event,), work=work)
        self._on_note(f"{incident.name} of {incident.agent}: {loud} The path is called again.")
        first = start_level(charter, incident.severity, foreseen=True)
        step = replace(incident, level=first, round=incident.round + 1)
        return self._calling(charter, step, now, f"{loud} The path is called again.", work)

    def _calling(
        self, charter: Charter, step: Incident, now: datetime, why: str, work: WorkChange
    ) -> IncidentChange:
        called = call_level(self._room, charter, step, step.level, now)
        event = IncidentEvent(at=now, kind=LOUD, actor="pager", text=why)
        return IncidentChange(
            incident=called.stands(step),
            events=(event, *called.events),
            work=replace(work, timers=called.timers, jobs=called.jobs),
        )
