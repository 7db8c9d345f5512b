# SPDX-License-Identifier: Apache-2.0
"""Pages made of sections: Audit, Settings with its test notes, Evals, Integrations, Ownership, Runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.errors import Denied, UsageError
from pilothouse.interfaces.web.forms import word_of
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at
from pilothouse.reports.audit import RecordsWanted
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Page
from pilothouse.workflows.people.contacts import agents_of, identity_of, try_contact
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.shows.desk import AGENT_PAGES, PageDesk

__all__ = ["SectionRoom"]

PLACE_MAX = (1 << 63) - 1
"""Greatest place in a list, the number of a record or the nanoseconds of a run: more hold neither ledger nor run log."""

BY_THEMSELVES = frozenset({"controls", "runs", "waivers"})
"""Pages of an agent that are rooms of their own, because forms stand on them, or that are read page by page."""


class SectionRoom:
    """The pages of one installation that are read, and the one form on them."""

    def __init__(self, desk: PageDesk) -> None:
        self._desk = desk

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return each page with its JSON."""

        def pair(path: str, show: Callable[[Visit], Page]) -> tuple[PageRoute, ...]:
            def answer(visit: Visit) -> Response:
                page = show(visit)
                governed = page.agent is None or self._is_governed(page.agent)
                return frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)

            return page_at(path, answer)

        def of_agent(name: str) -> Callable[[Visit], Page]:
            def show(visit: Visit) -> Page:
                agent = visit.path("agent")
                return self._desk.show(name, agent, person=visit.person_id(agent))

            return show

        agent = "/agents/{agent}"
        pages = [pair(f"{agent}/{name}", of_agent(name)) for name in AGENT_PAGES if name not in BY_THEMSELVES]
        pages += [
            pair(
                f"{agent}/runs",
                lambda visit: self._desk.recorded(visit.path("agent"), before_ns=_before(visit.request)),
            ),
            pair("/audit", lambda visit: self._desk.audit(_records_wanted(visit.request))),
            pair("/settings", lambda visit: self._desk.settings(operated=self._operated(visit))),
            pair("/tour", lambda visit: self._desk.show("tour", word_of(visit.request, "agent") or None)),
        ]

        def tried(visit: Visit) -> Response:
            return frame.answer(visit.request, self._try(visit), governed=False, viewer=visit.viewer)

        form = PageRoute(path="/settings", answer=tried, action=Action.OPERATE, writes=True)
        return [form, *(route for both in pages for route in both)]

    def _operated(self, visit: Visit) -> tuple[str, ...]:
        directory = Directory(self._desk.installation.ledger)
        return directory.agents_for(visit.visitor, Action.OPERATE) if visit.visitor else ()

    def _try(self, visit: Visit) -> Page:
        """Send a test note to somebody whose agent the visitor operates, and return Settings with what came of it."""
        room, operated = self._desk.control_room, self._operated(visit)
        identity = identity_of(room, visit.form.get("person", ""))
        if agents_of(room, identity).isdisjoint(operated):
            raise Denied(
                f"{foreign_line(identity, chars_max=80)!r} is no person of an agent that you operate",
                remedy="Choose somebody on the page: /settings",
            )
        found = try_contact(room, identity, actor=visit.person.identity, now=room.installation.clock.now())
        said = "; ".join(f"{way} {f'not taken: {why}' if why else 'taken'}" for way, why in found.items())
        return self._desk.settings(operated=operated, tried=f"Test note to {identity}: {said}.")

    def _is_governed(self, agent: str) -> bool:
        return self._desk.installation.ledger.charter(agent) is not None


def _records_wanted(request: Request) -> RecordsWanted:
    return RecordsWanted(
        kind=word_of(request, "kind"), agent=word_of(request, "agent"), before=_before(request)
    )


def _before(request: Request) -> int | None:
    """Return the place in a list before which it is asked for; None for its newest page."""
    before = word_of(request, "before")
    if before and not (before.isascii() and before.isdigit() and int(before) <= PLACE_MAX):
        raise UsageError(
            "`before` is no place in the list", remedy="Follow the link Older, or leave `before` out."
        )
    return int(before) if before else None
