# SPDX-License-Identifier: Apache-2.0
"""The page, and its form, on which the person responsible for reviews assigns them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.errors import UsageError
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.ports.clock import Clock
from pilothouse.reports.hand_out import COUNTS
from pilothouse.workflows.review.hand_out import HandOut, Slice

__all__ = ["HandOutRoom"]


class HandOutRoom:
    """The assignment of reviews of one agent."""

    def __init__(self, desk: HandOut, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the form."""

        def show(visit: Visit) -> Response:
            agent, said = visit.path("agent"), visit.request.query_params
            person = visit.visitor
            given = said.get("given", "")
            page = self._desk.show(
                agent,
                self._clock.now().replace(second=0, microsecond=0),
                may_give=person is not None and self._desk.directory.may(person, agent, Action.ASSIGN),
                item=said.get("item", ""),
                given=int(given) if given.isascii() and given.isdigit() and len(given) < len("1000") else 0,
            )
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        path = "/agents/{agent}/reviews"
        return (
            *page_at(path, show),
            PageRoute(path=path, answer=self._give, action=Action.ASSIGN, writes=True),
        )

    def _give(self, visit: Visit) -> Response:
        agent, form = visit.path("agent"), visit.form
        count = form.get("count", str(COUNTS[-1]))
        if count not in {str(one) for one in COUNTS}:
            raise UsageError(
                f"at most {COUNTS[-1]} items are given at once", remedy="Choose a number on the page."
            )
        wanted = Slice(
            item=form.get("item", ""),
            task_type=form.get("task_type", ""),
            given_to=form.get("given_to", ""),
            count=int(count),
        )
        given = self._desk.give(visit.person, agent, wanted, form.get("to", ""), self._clock.now())
        return see_other(f"/agents/{quote(agent, safe='')}/reviews", given=str(given))
