# SPDX-License-Identifier: Apache-2.0
"""The page of one recorded run, and its forms: it is played again, or a person says what would have been right and it becomes a case."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.evidence.run_log import RecordedRun
from pilothouse.errors import Conflict, UnknownName
from pilothouse.interfaces.web.forms import word_of
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.ports.curation import CurationStore
from pilothouse.reports.run_page import CaseOffer, ReplayOffer, RunDifference
from pilothouse.reports.sections import SectionsPage
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.workflows.curation.incident_case import is_case, make_incident_case
from pilothouse.workflows.curation.replay_case import Expectation
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.shows.desk import PageDesk
from pilothouse.workflows.shows.played_again import gateway_here, play_again, read_change, told_as_difference
from pilothouse.workflows.shows.runs import run_of, show_run

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
        self._playing = threading.Lock()

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the form."""

        def show(visit: Visit) -> Response:
            against, removed = word_of(visit.request, "against"), word_of(visit.request, "removed")
            return framed(visit, self._page(visit, visit.path("run"), against=against, removed=removed))

        def play(visit: Visit) -> Response:
            return framed(visit, self._play(visit))

        def framed(visit: Visit, page: SectionsPage) -> Response:
            governed = self._desk.installation.ledger.charter(visit.path("agent")) is not None
            return frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)

        path = "/agents/{agent}/runs/{run}"
        return (
            *page_at(path, show),
            PageRoute(path=path, answer=self._make_case, action=Action.CURATE, writes=True),
            PageRoute(path=f"{path}/replay", answer=play, action=Action.OPERATE, writes=True),
        )

    def _page(
        self,
        visit: Visit,
        run: str,
        *,
        against: str = "",
        removed: str = "",
        beside: RunDifference | None = None,
    ) -> SectionsPage:
        """Return the page with what the visitor may do on it, and what was typed before in its form."""
        agent, desk = visit.path("agent"), self._desk
        person, record = visit.person_id(agent), desk.installation.ledger.charter(agent)
        charter = None if record is None else charter_of(record)

        def may(action: Action) -> bool:
            return bool(person) and charter is not None and may_act(charter, person, action)

        return show_run(
            desk.runs,
            agent,
            run,
            desk.now(),
            against=against,
            removed=removed,
            case=None
            if charter is None
            else CaseOffer(
                task_types=tuple(charter.task_types),
                is_made=is_case(self._store, run),
                may_make=may(Action.CURATE),
            ),
            replay=ReplayOffer(
                may_play=may(Action.OPERATE),
                prompt=visit.form.get("prompt") or None,
                model=visit.form.get("model", ""),
                param=visit.form.get("param", ""),
                gateway=gateway_here(desk.installation.settings.home),
            ),
            beside=beside,
        )

    def _play(self, visit: Visit) -> SectionsPage:
        """Play a run again, and return its page with what came of it."""
        desk, recorded = self._desk, self._recorded(visit)
        change = Substitution()
        if visit.form.get("do") == "changed":
            change = read_change(
                recorded,
                model=visit.form.get("model", ""),
                param=visit.form.get("param", ""),
                prompt=visit.form.get("prompt", ""),
            )
        if not self._playing.acquire(blocking=False):
            raise Conflict(
                "another run is being played again at this moment",
                remedy="Wait until it has ended, and send the form again.",
            )
        try:
            report = play_again(desk.installation, desk.gateway, recorded, change)
        finally:
            self._playing.release()
        return self._page(visit, recorded.summary.run, beside=told_as_difference(recorded, report))

    def _recorded(self, visit: Visit) -> RecordedRun:
        return run_of(self._desk.runs, visit.path("agent"), visit.path("run"))

    def _make_case(self, visit: Visit) -> Response:
        agent, installation = visit.path("agent"), self._desk.installation
        record, recorded = installation.ledger.charter(agent), self._recorded(visit)
        if record is None:
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
    """Return a typed value as JSON where it parses, else as text; None for an empty one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or None
