# SPDX-License-Identifier: Apache-2.0
"""Pages made of sections that are only read: Audit, Settings, Evals, Integrations, Ownership, Runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.errors import UsageError
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Page
from pilothouse.workflows.shows.desk import AGENT_PAGES, PageDesk

__all__ = ["ShelfRoom"]

WITH_FORMS = frozenset({"controls", "waivers"})
"""Pages of an agent that are rooms of their own, because forms stand on them."""

WORD_CHARS_MAX = 64
"""Characters of a kind or a run id in a query."""


class ShelfRoom:
    """The pages of one installation that need no forms.

    Args:
        desk: What pages are gathered from.
    """

    def __init__(self, desk: PageDesk) -> None:
        self._desk = desk

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return each page with its JSON."""

        def pair(path: str, show: Callable[[Visit], Page]) -> tuple[PageRoute, PageRoute]:
            def answer(visit: Visit) -> Response:
                page = show(visit)
                governed = page.agent is None or self._is_governed(page.agent)
                return frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)

            return (
                PageRoute(path=f"{path}.json", answer=answer, action=Action.READ),
                PageRoute(path=path, answer=answer, action=Action.READ),
            )

        def of_agent(name: str) -> Callable[[Visit], Page]:
            def show(visit: Visit) -> Page:
                agent = visit.path("agent")
                return self._desk.show(name, agent, person=visit.person_id(agent))

            return show

        agent = "/agents/{agent}"
        pages = [pair(f"{agent}/{name}", of_agent(name)) for name in AGENT_PAGES if name not in WITH_FORMS]
        pages += [
            pair(f"{agent}/runs/{{run}}", self._run),
            pair("/audit", lambda visit: self._desk.audit(kind=_word(visit, "kind"))),
            pair("/settings", lambda _visit: self._desk.show("settings", None)),
            pair("/tour", lambda visit: self._desk.show("tour", _word(visit, "agent") or None)),
        ]
        return [route for both in pages for route in both]

    def _run(self, visit: Visit) -> Page:
        return self._desk.run(
            visit.path("agent"),
            visit.path("run"),
            against=_word(visit, "against"),
            removed=_word(visit, "removed"),
        )

    def _is_governed(self, agent: str) -> bool:
        return self._desk.installation.ledger.charter(agent) is not None


def _word(visit: Visit, name: str) -> str:
    said = visit.request.query_params.get(name, "").strip()
    if len(said) > WORD_CHARS_MAX:
        raise UsageError(
            f"{foreign_line(name)} has {len(said):,} characters, at most {WORD_CHARS_MAX} are read",
            remedy="Follow a link of the page, for example `/audit?kind=call.decided`.",
        )
    return said
