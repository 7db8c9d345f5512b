# SPDX-License-Identifier: Apache-2.0
"""The Rollout, Value, executive, compliance and 30-day pages, and the forms that request, approve and take back a phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.charter.powers import Action
from pilothouse.core.verdict.addition import Addition, AdditionKind
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.web.forms import REASON_MAX
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Page
from pilothouse.workflows.ground.agents import choose_agent
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.phases.additions import find_addition
from pilothouse.workflows.phases.phases import approve_phase, request_phase, roll_back_phase
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.reports.report import show_compliance, show_executive
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.reports.sprint import parse_start, show_sprint
from pilothouse.workflows.reports.value import show_value
from pilothouse.workflows.verdict.assess import Assessment
from pilothouse.workflows.verdict.kept_pages import Make

__all__ = ["RolloutRoom"]

DAY_CHARS_MAX = 40
"""Characters of a typed day that an error repeats; a day has ten."""


class RolloutRoom:
    """The phase of an agent, its value, and its sheets for decision makers.

    Args:
        installation: Lake and ledger.
        shows: Gives the assessment of the minute.
    """

    def __init__(self, installation: Installation, shows: Shows) -> None:
        self._installation = installation
        self._shows = shows

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the pages, their JSON and PDF, and the forms."""

        def shown(show: Callable[[Installation, Assessment], Page]) -> Callable[[Visit], Response]:
            def answer(visit: Visit) -> Response:
                page = show(self._installation, self._shows.assessment(self._agent(visit)))
                return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

            return answer

        def kept(name: str, show: Make[Page]) -> Callable[[Visit], Response]:
            def answer(visit: Visit) -> Response:
                page = self._shows.page(self._agent(visit), name, show)
                return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

            return answer

        agent = "/agents/{agent}"
        rollout = shown(show_rollout)
        value = kept("value", show_value)
        executive = kept("executive", show_executive)
        compliance = kept("compliance", lambda _place, found: show_compliance(found))
        sprint_from_today = kept("sprint", show_sprint)

        def sprint(visit: Visit) -> Response:
            said = visit.request.query_params.get("start", "")
            if not said:
                return sprint_from_today(visit)
            first = parse_start(foreign_line(said, chars_max=DAY_CHARS_MAX))
            return shown(lambda place, found: show_sprint(place, found, first))(visit)

        return (
            *page_at(f"{agent}/rollout", rollout),
            *page_at(f"{agent}/sprint", sprint, has_pdf=True),
            *page_at(f"{agent}/value", value, has_pdf=True),
            *page_at(f"{agent}/executive", executive, has_pdf=True),
            *page_at(f"{agent}/compliance", compliance),
            PageRoute(
                path=f"{agent}/rollout/request", answer=self._request, action=Action.OPERATE, writes=True
            ),
            PageRoute(
                path=f"{agent}/rollout/approve", answer=self._approve, action=Action.APPROVE, writes=True
            ),
            PageRoute(path=f"{agent}/rollout/back", answer=self._back, action=Action.OPERATE, writes=True),
        )

    def _agent(self, visit: Visit) -> str:
        return choose_agent(self._installation, visit.path("agent"))

    def _request(self, visit: Visit) -> Response:
        agent = self._agent(visit)
        request_phase(
            self._installation,
            agent,
            _phase(visit.form.get("phase", "")),
            self._installation.clock.now(),
            actor=visit.person.person(agent),
            person=visit.person.person(agent),
            addition=self._addition(visit, agent),
        )
        return self._to_page(agent)

    def _addition(self, visit: Visit, agent: str) -> Addition | None:
        """Return the addition that a form is about, or None for the agent itself."""
        what, name = visit.form.get("what", ""), visit.form.get("name", "")
        if not what:
            return None
        kinds = list(AdditionKind)
        if what not in kinds:
            raise UnknownName.among("kind of addition", what, kinds, remedy="Use the form of the page.")
        return find_addition(self._installation.ledger, agent, AdditionKind(what), name)

    def _approve(self, visit: Visit) -> Response:
        agent = self._agent(visit)
        approve_phase(
            self._installation,
            agent,
            visit.person.person(agent),
            self._installation.clock.now(),
            addition=self._addition(visit, agent),
            seen=visit.form.get("seen", ""),
        )
        return self._to_page(agent)

    def _back(self, visit: Visit) -> Response:
        agent = self._agent(visit)
        reason = visit.form.get("reason", "").strip()[:REASON_MAX]
        if visit.form.get("confirm", "") != agent or not reason:
            raise UsageError(
                "a rollback needs a reason, and the name of the agent to confirm it",
                remedy=f"Fill in both fields; the name is {agent}.",
            )
        roll_back_phase(
            self._installation,
            agent,
            self._installation.clock.now(),
            person=visit.person.person(agent),
            reason=reason,
            seen=visit.form.get("seen", ""),
        )
        return self._to_page(agent)

    def _to_page(self, agent: str) -> Response:
        self._shows.forget(agent)
        return see_other(f"/agents/{quote(agent, safe='')}/rollout")


def _phase(text: str) -> PhaseName:
    for name in get_args(PhaseName):
        if name == text:
            found: PhaseName = name
            return found
    raise UnknownName.among("phase", text, get_args(PhaseName), remedy="Phases are 1, 2 and 3.")
