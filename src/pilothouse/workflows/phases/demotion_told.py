# SPDX-License-Identifier: Apache-2.0
"""Tells people what a verdict made necessary: in the incident, and by a page to the owner."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pilothouse.core.action.demotion import Demotion
from pilothouse.core.action.incident import Incident, IncidentEvent
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import Conflict
from pilothouse.ports.incidents import IncidentChange
from pilothouse.ports.work import Job, WorkChange
from pilothouse.workflows.ground.act_log import ACTOR
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import ATTEMPTS_MAX, METRIC_OF_KIND, Firing, raise_alert, said_as
from pilothouse.workflows.incidents.paging import incident_key
from pilothouse.workflows.people.directory import told_for

__all__ = ["tell_of"]


def tell_of(room: ControlRoom, charter: Charter, plan: Demotion, what: str, now: datetime) -> Incident:
    """Open or continue the incident, write into it what was done, and page the owner beside whoever is on call.

    Args:
        room: Opened parts.
        charter: The charter in force.
        plan: What was done, and why.
        what: The same in a few words, for example `triage is paused`.
        now: The moment, aware UTC.
    """
    item = plan.item
    firing = Firing(
        agent=charter.agent,
        metric=METRIC_OF_KIND.get(item.kind, plan.requirement),
        sentence=item.sentence,
        task_type=item.scope.task_type,
        traces=item.items,
        onset=plan.since,
        once=True,
    )
    answer = raise_alert(room, firing, now)
    assert answer.incident is not None  # noqa: S101 - only a warning opens none
    incident = answer.incident
    key = _page_key(incident, plan, what)
    if any(job.key == key for job in room.work.jobs(incident.name)):
        return incident  # said by a process that was killed before it could write down that it did
    text = f"{what} because of {plan.requirement}. What to do: `{plan.remedy}`."
    owner = known(charter.owner.person)
    owner = None if owner is None else told_for(room.installation.ledger, charter, owner)
    for attempt in range(ATTEMPTS_MAX):
        event = IncidentEvent(at=now, kind="loud", actor=ACTOR, text=text)
        jobs = (
            ()
            if owner is None
            else (_page(key, incident, charter.agent, plan, owner=owner, what=what, now=now),)
        )
        try:
            return room.incidents.change(
                IncidentChange(incident=incident, events=(event,), work=WorkChange(jobs=jobs))
            )
        except Conflict:
            found = room.incidents.incident(incident.number)
            if found is None or attempt + 1 == ATTEMPTS_MAX:
                raise
            incident = found
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _page_key(incident: Incident, plan: Demotion, what: str) -> str:
    """Return the key of the page about a step: the same when the step is repeated after a kill."""
    moment = f"{plan.since:%Y%m%dT%H%M%S}"
    said = hashlib.sha256(f"{what}|{plan.version}".encode()).hexdigest()[:12]
    return incident_key(incident, "acted", plan.requirement, plan.move.name.lower(), moment, said)


def _page(
    key: str, incident: Incident, agent: str, plan: Demotion, *, owner: str, what: str, now: datetime
) -> Job:
    lines = (
        said_as(plan.sentence),
        f"What to do: {plan.remedy}",
        f"Where it stands: pilothouse phase status {agent}",
        f"{incident.name}: pilothouse incident show {incident.number}",
    )
    return Job(
        key=key,
        action="page",
        subject=incident.name,
        document=canonical_json(
            {
                "incident": incident.number,
                "agent": agent,
                "level": incident.level,
                "drill": incident.drill,
                "person": owner,
                "via": [],
                "title": f"{what} ({plan.requirement})",
                "body": "\n".join(lines),
            }
        ),
        run_after=now,
    )
