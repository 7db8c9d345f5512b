# SPDX-License-Identifier: Apache-2.0
"""The Incidents page, the page of each incident, and the buttons that take it and end it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from starlette.responses import Response

from pilothouse.core.action.incident import IncidentState
from pilothouse.core.charter.powers import Action
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.reports.incidents import HAND_OVER, build_incident, build_incidents
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.incidents import hand_over, move, names_by_agent, view, with_active

__all__ = ["IncidentRoom"]

LIST_MAX = 100
"""Incidents on the page; older ones stand in `pilothouse incident list --all`."""

NUMBER_DIGITS_MAX = 18
"""Digits of the number of an incident: what a ledger can count to."""

_TAKEN = frozenset({"acknowledged", "mitigated", "resolved"})


class IncidentRoom:
    """Incidents of all agents."""

    def __init__(self, room: ControlRoom) -> None:
        self._room = room

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the two pages, their JSON and PDF, and the form."""

        def show_list(visit: Visit) -> Response:
            newest = self._room.incidents.incidents(limit=LIST_MAX)
            found = with_active(newest, self._room)
            names = names_by_agent(self._room, (one.agent for one in found))
            page = build_incidents(found, self._minute(), names=names, is_cut=len(newest) == LIST_MAX)
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        def show(visit: Visit) -> Response:
            found = view(self._room, _number(visit))
            agent = found.incident.agent
            person = visit.visitor.persons.get(agent, "") if visit.visitor else ""
            page = build_incident(
                found.incident,
                found.events,
                found.handlers,
                self._minute(),
                person=person,
                names=found.names,
                nobody=found.nobody,
            )
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        form = "/agents/{agent}/incidents/{number}"
        return (
            *page_at("/incidents", show_list, is_live=True),
            *page_at("/incidents/{number}", show, is_live=True, has_pdf=True),
            PageRoute(path=form, answer=self._step, action=Action.HANDLE, writes=True),
        )

    def _step(self, visit: Visit) -> Response:
        agent, number, form = visit.path("agent"), _number(visit), visit.form
        page, to, seen, taker = (
            f"/incidents/{number}",
            form.get("to", ""),
            form.get("seen", ""),
            form.get("person", ""),
        )
        if to not in {*_TAKEN, HAND_OVER} or (to in _TAKEN and seen not in list(IncidentState)):
            raise UsageError("that is no step", remedy=f"Open the page again: {page}")
        incident = view(self._room, number).incident
        if incident.agent != agent:
            raise UnknownName(f"{agent} has no incident {number}", remedy="Start from /incidents")
        now = self._room.installation.clock.now()
        person = visit.person.person(agent)
        # A button that is pressed twice, or by two people, takes its step once; the page says who took it.
        if to == HAND_OVER:
            if not (incident.is_active and incident.acknowledged_by == taker):
                hand_over(self._room, number, taker, person=person, now=now)
        elif to != incident.state:
            move(
                self._room,
                number,
                IncidentState(to),
                person=person,
                text="",
                now=now,
                seen=IncidentState(seen),
            )
        return see_other(page)

    def _minute(self) -> datetime:
        return self._room.installation.clock.now().replace(second=0, microsecond=0)


def _number(visit: Visit) -> int:
    written = visit.path("number")
    if not (written.isascii() and written.isdigit() and len(written) <= NUMBER_DIGITS_MAX):
        raise UnknownName("no incident has this address", remedy="Start from /incidents")
    return int(written)
