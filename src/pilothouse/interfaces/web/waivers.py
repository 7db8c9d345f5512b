# SPDX-License-Identifier: Apache-2.0
"""The Waivers page and its form: the sponsor lets one requirement pass for some days, and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.core.verdict.waiver import end_of_waiver
from pilothouse.errors import UsageError
from pilothouse.interfaces.web.forms import read_reason
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.reports.waivers import WAIVER_DAYS
from pilothouse.workflows.ground.agents import choose_agent
from pilothouse.workflows.people.signing import waive
from pilothouse.workflows.shows.desk import PageDesk

__all__ = ["WaiverRoom"]


class WaiverRoom:
    """Waivers of one agent.

    Args:
        desk: What pages are gathered from.
        forget: Judges an agent anew at the next page.
    """

    def __init__(self, desk: PageDesk, forget: Callable[[str], None]) -> None:
        self._desk = desk
        self._forget = forget

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the form."""

        def show(visit: Visit) -> Response:
            agent = choose_agent(self._desk.installation, visit.path("agent"))
            item = visit.request.query_params.get("item", "")
            page = self._desk.waivers(agent, person=visit.person_id(agent), item=item)
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        path = "/agents/{agent}/waivers"
        return (
            *page_at(path, show),
            PageRoute(path=path, answer=self._waive, action=Action.SIGN, writes=True),
        )

    def _waive(self, visit: Visit) -> Response:
        installation = self._desk.installation
        agent = choose_agent(installation, visit.path("agent"))
        item, days = visit.form.get("item", ""), visit.form.get("days", "")
        if days not in {str(one) for one in WAIVER_DAYS}:
            raise UsageError("a waiver ends after 7, 14 or 30 days", remedy="Choose one of them on the page.")
        reason, now = read_reason(visit.form), installation.clock.now()
        found = self._desk.assessment(agent)
        waive(
            installation.ledger,
            found.verdict,
            item,
            further=found.further,
            person=visit.person.person(agent),
            actor=visit.person.identity,
            reason=reason,
            until=end_of_waiver((now + timedelta(days=int(days))).date(), now),
            now=now,
            seen=visit.form.get("seen", ""),
        )
        self._forget(agent)
        return see_other(f"/agents/{quote(agent, safe='')}/waivers")
