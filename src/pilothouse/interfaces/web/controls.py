# SPDX-License-Identifier: Apache-2.0
"""The Controls page and its forms: answer for a call, pause, let act again, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.errors import Conflict, UnknownName, UsageError
from pilothouse.interfaces.web.forms import read_reason
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.workflows.controls.controls import end_rollback, pause_agent, resume_agent, roll_back_agent
from pilothouse.workflows.ground.agents import choose_agent
from pilothouse.workflows.shows.desk import PageDesk

__all__ = ["ControlsRoom"]


class ControlsRoom:
    """The controls of one agent.

    Args:
        desk: What pages are gathered from.
        forget: Judges an agent anew at the next page.
    """

    def __init__(self, desk: PageDesk, forget: Callable[[str], None]) -> None:
        self._desk = desk
        self._forget = forget

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the forms."""

        def show(visit: Visit) -> Response:
            agent = choose_agent(self._desk.installation, visit.path("agent"))
            page = self._desk.controls(
                agent, person=visit.person_id(agent), doing=visit.request.query_params.get("do", "")
            )
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        path = "/agents/{agent}/controls"
        return (
            *page_at(path, show, is_live=True),
            PageRoute(path=path, answer=self._act, action=Action.OPERATE, writes=True),
            PageRoute(path=f"{path}/answer", answer=self._answer, action=Action.APPROVE, writes=True),
        )

    def _act(self, visit: Visit) -> Response:
        agent = choose_agent(self._desk.installation, visit.path("agent"))
        form, room = visit.form, self._desk.control_room
        what, tool = form.get("do", ""), form.get("tool") or None
        page = f"/agents/{quote(agent, safe='')}/controls"
        if what.startswith("ask-"):
            return see_other(page, do=what.removeprefix("ask-"))
        reason, person = read_reason(visit.form), visit.person.person(agent)
        now = room.installation.clock.now()
        if what == "pause":
            pause_agent(room, agent, tool=tool, reason=reason, actor=person, now=now)
        elif what == "resume":
            since = _since(form, page)
            resume_agent(room, agent, tool=tool, reason=reason, actor=person, now=now, since=since)
        elif what == "rollback":
            version, standing = form.get("version") or None, room.controls.read().rollback_of(agent)
            if standing is not None and standing.to_version != version:
                raise Conflict(
                    f"{agent} is rolled back to {short_digest(standing.to_version)} by now: {standing.reason}",
                    remedy=f"Look at it first, and end it there if it is wrong: {page}",
                    subject=agent,
                )
            if standing is None:
                roll_back_agent(room, agent, to_version=version, reason=reason, actor=person, now=now)
        elif what == "undo":
            end_rollback(room, agent, reason=reason, actor=person, now=now, since=_since(form, page))
        else:
            raise UsageError("that is no step", remedy=f"Open the page again: {page}")
        self._forget(agent)
        return see_other(page)

    def _answer(self, visit: Visit) -> Response:
        agent, approvals = visit.path("agent"), self._desk.boundary.approvals
        page = f"/agents/{quote(agent, safe='')}/controls"
        what, ident = visit.form.get("do", ""), visit.form.get("approval", "")
        found = approvals.find(ident)
        if found is None or found.agent != agent:
            raise UnknownName(
                "no call of this agent waits under that id", remedy=f"Open the page again: {page}"
            )
        if what not in {"allow", "deny"}:
            raise UsageError("that is no answer", remedy=f"Open the page again: {page}")
        person, allows = visit.person.person(agent), what == "allow"
        # Whoever presses twice has answered once, and nobody was first.
        if not any((vote.actor, vote.allows) == (person, allows) for vote in found.votes):
            approvals.vote(found.id, actor=person, allows=allows, reason=read_reason(visit.form))
        return see_other(page)


def _since(form: Mapping[str, str], page: str) -> datetime:
    """Return the start of the pause or rollback that the form ends, as the page showed it."""
    try:
        since = datetime.fromisoformat(form.get("since", ""))
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        raise UsageError("the form does not say what it ends", remedy=f"Open the page again: {page}")
    return since
