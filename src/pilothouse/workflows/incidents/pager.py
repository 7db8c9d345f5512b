# SPDX-License-Identifier: Apache-2.0
"""The pager: it sends what is due, and decides what follows when people cannot be reached or do not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState, Named
from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import Conflict
from pilothouse.ports.contacts import Message
from pilothouse.ports.controls import Pause
from pilothouse.ports.incidents import IncidentChange
from pilothouse.ports.work import Job, Lease, Timer, WorkChange
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.ground.work import Courier, Delivery, Worker, retry_at
from pilothouse.workflows.incidents.pager_path import EscalationPath
from pilothouse.workflows.incidents.paging import (
    CUT_OFF,
    LOUD,
    NOTE,
    addresses_of,
    calls_a_level,
)

__all__ = ["Pager"]

NOTED = "note.sent"
"""Kind of the record that says whom a note reached, and how."""

NO_LONGER = Delivery(ok=True, said="no longer needed", needed=False)
"""What comes of a job whose incident ended, or was taken in hand, while no worker ran, or between two tries."""

ATTEMPTS_MAX = 20
"""Several pages of one incident settle at once, each by its own thread; every one gets its turn long before this."""


class Pager:
    """The decisions and errands of the worker that concern incidents.

    Args:
        room: Opened parts.
        on_note: Told what must not be missed even if nobody can be paged.
    """

    def __init__(self, room: ControlRoom, on_note: Callable[[str], None] = lambda _text: None) -> None:
        self._room = room
        self._on_note = on_note
        self._path = EscalationPath(room, on_note)

    def worker(self) -> Worker:
        """Return a worker that fires the clocks of incidents and sends their pages."""
        return Worker(
            self._room.work,
            timers={"incident.ack": self.on_silence, "incident.resolve": self.on_overdue},
            couriers={
                "page": Courier(send=self.send, settle=self.settle),
                "pause": Courier(send=self.pause, settle=self.settle_pause),
                NOTE: Courier(send=self.send, settle=self.settle_note),
            },
            on_note=self._on_note,
        )

    def on_silence(self, timer: Timer, lease: Lease) -> None:
        """The time of a level has passed: call the next one, unless somebody has acknowledged."""

        def decide(incident: Incident) -> IncidentChange:
            now = self._room.work.now()
            fired = WorkChange(fired=timer.key)
            if incident.state is not IncidentState.OPEN or not timer.key.endswith(
                f"/r{incident.round}/L{incident.level}/ack"
            ):
                return IncidentChange(incident=incident, work=fired)
            return self._path.escalated(
                incident, now, f"Level {incident.level} did not answer in time.", fired
            )

        self._decided(_number(timer.subject), decide, lease)

    def on_overdue(self, timer: Timer, lease: Lease) -> None:
        """The time to resolve has passed: say so, loudly, once."""

        def decide(incident: Incident) -> IncidentChange:
            events: tuple[IncidentEvent, ...] = ()
            if incident.is_active:
                text = f"The time to resolve a {incident.severity} has passed."
                events = (IncidentEvent(at=self._room.work.now(), kind=LOUD, actor="pager", text=text),)
                self._on_note(f"{incident.name} of {incident.agent}: {text}")
            return IncidentChange(incident=incident, events=events, work=WorkChange(fired=timer.key))

        self._decided(_number(timer.subject), decide, lease)

    def send(self, job: Job) -> Delivery:
        """Try a person's channels, those of the level first, until one takes the message."""
        document = json.loads(job.document)
        if self._is_over(document) or (calls_a_level(job.key) and self._is_in_hand(document)):
            return NO_LONGER
        if document["drill"] == CUT_OFF:
            return Delivery(ok=False, final=True, said="the pager is cut off by the drill")
        person = document["person"]
        charter = charter_if_any(self._room.installation.ledger, document["agent"])
        if charter is None or person not in charter.people:
            return Delivery(ok=False, final=True, said=f"nobody is called {person!r} in the charter in force")
        addresses = {one.channel: one for one in addresses_of(self._room, charter, person)}
        if not addresses:
            return Delivery(
                ok=False, final=True, said=f"no address is known: `pilothouse contact set {person} URL`"
            )
        order = [way for way in document["via"] if way in addresses]
        order += [way for way in addresses if way not in order]
        message = Message(key=job.key, title=document["title"], body=document["body"])
        said = []
        for way in order:
            refused = self._room.notifier.send(addresses[way].url, message)
            if not refused:
                return Delivery(ok=True, said=way)
            said.append(f"{way}: {refused}")
        return Delivery(ok=False, said="; ".join(said))

    def settle(self, job: Job, delivery: Delivery, lease: Lease) -> None:
        """Write down who was reached; who cannot be is replaced by a substitute, or by the next level."""
        now = self._room.work.now()
        if not delivery.ok and not delivery.final:
            again = retry_at(job, now)
            if again is not None:
                self._room.work.retry(lease, job.key, run_after=again, error=delivery.said)
                return
        document = json.loads(job.document)
        person = document["person"]

        def decide(incident: Incident) -> IncidentChange:
            if not delivery.needed:
                return _no_longer(incident, job, (Named(person), " is not called any more"), now)
            if delivery.ok:
                said = (Named(person), f" was reached by {delivery.said}.")
                reached = IncidentEvent.telling(*said, at=now, kind="page", actor="pager")
                return IncidentChange(
                    incident=incident, events=(reached,), work=WorkChange(finished=(job.key,))
                )
            return self._path.unreached(incident, job, document, delivery.said, now)

        self._decided(document["incident"], decide, lease)

    def settle_note(self, job: Job, delivery: Delivery, lease: Lease) -> None:
        """Write down whom a note reached; one that reaches nobody is told to whoever watches the server, and no more."""
        now = self._room.work.now()
        again = None if delivery.ok or delivery.final else retry_at(job, now)
        if again is not None:
            self._room.work.retry(lease, job.key, run_after=again, error=delivery.said)
            return
        document = json.loads(job.document)
        agent, person = document["agent"], document["person"]
        if delivery.ok:
            # The record first: a kill in between sends again under the same key, and loses no word of the first.
            self._room.installation.ledger.record(
                kind=NOTED,
                agent=agent,
                at=now,
                actor="pilothouse",
                document=canonical_json({"note": job.key, "person": person, "via": delivery.said}),
            )
            self._room.work.commit(lease, WorkChange(finished=(job.key,)))
        else:
            self._room.work.commit(lease, WorkChange(dead=((job.key, delivery.said),)))
            self._on_note(f"{document['title']}: {person} cannot be told: {delivery.said}")

    def pause(self, job: Job) -> Delivery:
        """Pause the agent of an incident whose severity asks for it, unless the incident ended before its turn came."""
        document = json.loads(job.document)
        if self._is_over(document):
            return NO_LONGER
        reason = f"{document['reason']} (severity asks for a pause)"
        self._room.controls.pause(
            Pause(
                agent=document["agent"],
                tool=None,
                reason=reason,
                actor=f"INC-{document['incident']}",
                at=self._room.work.now(),
            )
        )
        return Delivery(ok=True, said="paused")

    def settle_pause(self, job: Job, delivery: Delivery, lease: Lease) -> None:
        """Write down that the agent was paused, or try again."""
        now, number = self._room.work.now(), json.loads(job.document)["incident"]
        if not delivery.ok:
            self._room.work.retry(lease, job.key, run_after=retry_at(job, now) or now, error=delivery.said)
            return

        def decide(incident: Incident) -> IncidentChange:
            if not delivery.needed:
                return _no_longer(incident, job, (f"{incident.agent} is not paused",), now)
            text = f"{incident.agent} is paused; `pilothouse resume {incident.agent}` lets it act again."
            event = IncidentEvent(at=now, kind="note", actor="pager", text=text)
            return IncidentChange(incident=incident, events=(event,), work=WorkChange(finished=(job.key,)))

        self._decided(number, decide, lease)

    def _is_over(self, document: Mapping[str, Any]) -> bool:
        """Whether the incident of a job ended meanwhile; a note is about none."""
        incident = self._incident_of(document)
        return incident is not None and not incident.is_active

    def _is_in_hand(self, document: Mapping[str, Any]) -> bool:
        """Whether somebody has taken the incident of a job, so that nobody else is called."""
        incident = self._incident_of(document)
        return incident is not None and incident.state is not IncidentState.OPEN

    def _incident_of(self, document: Mapping[str, Any]) -> Incident | None:
        number = document.get("incident")
        return None if number is None else self._room.incidents.incident(number)

    def _decided(self, number: int, decide: Callable[[Incident], IncidentChange], lease: Lease) -> None:
        """Decide on what stands now and write it; whoever was first makes us decide again."""
        for attempt in range(ATTEMPTS_MAX):
            incident = self._room.incidents.incident(number)
            if incident is None:
                return
            try:
                self._room.incidents.change(decide(incident), lease)
            except Conflict as error:
                if error.subject != incident.name or attempt + 1 == ATTEMPTS_MAX:
                    raise
            else:
                return


def _no_longer(incident: Incident, job: Job, what: tuple[str | Named, ...], now: datetime) -> IncidentChange:
    """End a job whose incident was over, or in somebody's hands, before its turn came, with a line that says so."""
    why: tuple[str | Named, ...] = (f"{incident.name} ended before its turn came.",)
    if incident.is_active:
        why = (Named(incident.acknowledged_by or "nobody"), f" has {incident.name} in hand.")
    said = ("No longer needed: ", *what, ", for ", *why)
    event = IncidentEvent.telling(*said, at=now, kind="note", actor="pager")
    return IncidentChange(incident=incident, events=(event,), work=WorkChange(finished=(job.key,)))


def _number(name: str) -> int:
    return int(name.partition("-")[2])
