# SPDX-License-Identifier: Apache-2.0
"""The page of one recorded run, and its form: a person says what would have been right, and the run becomes a case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action, may_act
from pilothouse.errors import UnknownName
from pilothouse.interfaces.web.forms import word_of
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.ports.curation import CurationStore
from pilothouse.reports.run_page import CaseOffer
from pilothouse.workflows.curation.incident_case import is_case, make_incident_case
from pilothouse.workflows.curation.replay_case import Expectation
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.shows.desk import PageDesk

__all__ = ["RunRoom"]


class RunRoom:
    """Recorded runs, one page each.

    Args:
        desk: What pages are gathered from.
        store: Keeps what was made of a run.
    """

    def __init__(self, desk: PageDesk, store: CurationStore) -> None:
        self._desk = desk
        self._store = store

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the form."""

        def show(visit: Visit) -> Response:
            agent = visit.path("agent")
            page = self._desk.run(
                agent,
                visit.path("run"),
                against=word_of(visit.request, "against"),
                removed=word_of(visit.request, "removed"),
                case=self._offer(agent, visit.path("run"), visit.person_id(agent)),
            )
            governed = self._desk.installation.ledger.charter(agent) is not None
            return frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)

        path = "/agents/{agent}/runs/{run}"
        return (
            *page_at(path, show),
            PageRoute(path=path, answer=self._make_case, action=Action.CURATE, writes=True),
        )

    def _offer(self, agent: str, run: str, person: str) -> CaseOffer | None:
        record = self._desk.installation.ledger.charter(agent)
        if record is None:
            return None
        charter = charter_of(record)
        return CaseOffer(
            task_types=tuple(charter.task_types),
            is_made=is_case(self._store, run),
            may_make=bool(person) and may_act(charter, person, Action.CURATE),
        )

    def _make_case(self, visit: Visit) -> Response:
        agent, installation = visit.path("agent"), self._desk.installation
        record, recorded = installation.ledger.charter(agent), self._desk.runs.read(visit.path("run"))
        if record is None or recorded.summary.agent != agent:
            raise UnknownName(f"no such run of {agent}", remedy=f"List them: /agents/{quote(agent)}/runs")
        forbidden = tuple(name.strip() for name in visit.form.get("forbid", "").split(",") if name.strip())
        expectation = Expectation(
            by=visit.person.person(agent),
            answer=_answer(visit.form.get("correction", "")),
            forbidden=forbidden,
        )
        make_incident_case(
            recorded,
            record,
            expectation,
            self._store,
            task_type=visit.form.get("task_type") or None,
            now=installation.clock.now(),
        )
        return see_other(f"/agents/{quote(agent, safe='')}/runs/{recorded.summary.run}")


def _answer(text: str) -> Any:
    """Return what was written as JSON where it is some, else as text; None for nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or None
