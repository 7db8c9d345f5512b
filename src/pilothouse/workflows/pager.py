# SPDX-License-Identifier: Apache-2.0
"""The pager: it sends what is due, and decides what follows when people cannot be reached or do not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pilothouse.core.action.escalation import next_level, start_level
from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import Conflict
from pilothouse.ports.contacts import Message
from pilothouse.ports.controls import Pause
from pilothouse.ports.incidents import IncidentChange
from pilothouse.ports.work import Job, Lease, Timer, WorkChange
from pilothouse.workflows.control_room import ControlRoom
from pilothouse.workflows.in_force import charter_of
from pilothouse.workflows.paging import (
    CUT_OFF,
    LOUD,
    NOTE,
    addresses_of,
    call_level,
    incident_key,
    page_key,
)
from pilothouse.workflows.work import Courier, Delivery, Worker, retry_at

__all__ = ["ROUNDS_MAX", "Pager"]

ROUNDS_MAX = 3
"""How often the whole path is called; who stayed silent three times is not reached by a fourth."""

NOTED = "note.sent"
"""Kind of the record that says whom a note reached, and how."""

OVER = "it had ended before"
"""Why an errand was not run: after a pause of the worker its incident may be over, and a late pause would stop good work."""

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

    def worker(self, on_point: Callable[[str], None] = lambda _name: None) -> Worker:
        """Return a worker that fires the clocks of incidents and sends their pages.

        Args:
            on_point: Told the name of each point at which a kill is interesting.
        """
        return Worker(
            self._room.work,
            timers={"incident.ack": self.on_silence, "incident.resolve": self.on_overdue},
            couriers={
                "page": Courier(send=self.send, settle=self.settle),
                "pause": Courier(send=self.pause, settle=self.settle_pause),
                NOTE: Courier(send=self.send, settle=self.settle_note),
            },
            on_note=self._on_note,
            on_point=on_point,
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
            return self._escalated(incident, now, f"Level {incident.level} did not answer in time.", fired)

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
        if self._is_over(document):
            return Delivery(ok=False, final=True, said=OVER)
        if document["drill"] == CUT_OFF:
            return Delivery(ok=False, final=True, said="the pager is cut off by the drill")
        person, charter = document["person"], self._charter(document["agent"])
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
            if delivery.said == OVER:
                return _not_needed(incident, job, f"{person} was not called", now)
            if delivery.ok:
                reached = IncidentEvent(
                    at=now, kind="page", actor="pager", text=f"{person} was reached by {delivery.said}."
                )
                return IncidentChange(
                    incident=incident, events=(reached,), work=WorkChange(finished=(job.key,))
                )
            return self._unreached(incident, job, document, delivery.said, now)

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
            self._room.work.commit(lease, WorkChange(finished=(job.key,)))
            self._room.installation.ledger.record(
                kind=NOTED,
                agent=agent,
                at=now,
                actor="pilothouse",
                document=canonical_json({"note": job.key, "person": person, "via": delivery.said}),
            )
        else:
            self._room.work.commit(lease, WorkChange(dead=((job.key, delivery.said),)))
            self._on_note(f"{document['title']}: {person} cannot be told: {delivery.said}")

    def pause(self, job: Job) -> Delivery:
        """Pause the agent of an incident whose severity asks for it."""
        document = json.loads(job.document)
        if self._is_over(document):
            return Delivery(ok=False, final=True, said=OVER)
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
        if not delivery.ok and not delivery.final:
            self._room.work.retry(lease, job.key, run_after=retry_at(job, now) or now, error=delivery.said)
            return

        def decide(incident: Incident) -> IncidentChange:
            if delivery.said == OVER:
                return _not_needed(incident, job, f"{incident.agent} was not paused", now)
            text = f"{incident.agent} is paused; `pilothouse resume {incident.agent}` lets it act again."
            event = IncidentEvent(at=now, kind="note", actor="pager", text=text)
            return IncidentChange(incident=incident, events=(event,), work=WorkChange(finished=(job.key,)))

        self._decided(number, decide, lease)

    def _unreached(
        self, incident: Incident, job: Job, document: dict[str, object], said: str, now: datetime
    ) -> IncidentChange:
        person, level = str(document["person"]), incident.level
        event = IncidentEvent(at=now, kind=LOUD, actor="pager", text=f"{person} cannot be reached: {said}")
        dead = WorkChange(dead=((job.key, said),))
        charter = self._charter(incident.agent)
        keys = {one.key: one.state for one in self._room.work.jobs(incident.name) if one.action == "page"}
        substitute = (
            known(charter.people[person].substitute) if charter and person in charter.people else None
        )
        if substitute is not None and page_key(incident, level, substitute) not in keys:
            page = replace(
                job,
                key=page_key(incident, level, substitute),
                document=canonical_json({**document, "person": substitute}),
                run_after=now,
                attempts=0,
                state="ready",
            )
            called = IncidentEvent(
                at=now, kind="page", actor="pager", text=f"{substitute} is called for {person}."
            )
            return IncidentChange(incident=incident, events=(event, called), work=replace(dead, jobs=(page,)))
        prefix = incident_key(incident, f"r{incident.round}", f"L{level}", "")
        hopeful = [
            key
            for key, state in keys.items()
            if key.startswith(prefix) and key != job.key and state != "dead"
        ]
        if incident.state is not IncidentState.OPEN or hopeful or not job.key.startswith(prefix):
            return IncidentChange(incident=incident, events=(event,), work=dead)
        change = self._escalated(incident, now, f"Nobody on level {level} can be reached.", dead)
        cancelled = (incident_key(incident, f"r{incident.round}", f"L{level}", "ack"),)
        return replace(change, events=(event, *change.events), work=replace(change.work, cancelled=cancelled))

    def _escalated(self, incident: Incident, now: datetime, why: str, work: WorkChange) -> IncidentChange:
        charter = self._charter(incident.agent)
        following = next_level(charter, incident.level) if charter and incident.drill != "page" else None
        if charter is not None and following is not None:
            step = replace(incident, level=following)
            return self._calling(charter, step, now, why, work)
        loud = f"{why} There is no further level."
        if charter is None or incident.drill == "page" or incident.round + 1 >= ROUNDS_MAX:
            loud += " Nobody is called any more; somebody has to look by themselves."
            self._on_note(f"{incident.name} of {incident.agent}: {loud}")
            event = IncidentEvent(at=now, kind=LOUD, actor="pager", text=loud)
            return IncidentChange(incident=incident, events=(event,), work=work)
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
            incident=step,
            events=(event, *called.events),
            work=replace(work, timers=called.timers, jobs=called.jobs),
        )

    def _is_over(self, document: Mapping[str, Any]) -> bool:
        """Whether the incident of an errand has ended; a note has none."""
        if "incident" not in document:
            return False
        incident = self._room.incidents.incident(document["incident"])
        return incident is not None and not incident.is_active

    def _charter(self, agent: str) -> Charter | None:
        record = self._room.installation.ledger.charter(agent)
        return None if record is None else charter_of(record)

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


def _not_needed(incident: Incident, job: Job, what: str, now: datetime) -> IncidentChange:
    event = IncidentEvent(at=now, kind="note", actor="pager", text=f"{what}: {OVER}.")
    return IncidentChange(incident=incident, events=(event,), work=WorkChange(finished=(job.key,)))


def _number(name: str) -> int:
    return int(name.partition("-")[2])
