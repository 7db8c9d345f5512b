# SPDX-License-Identifier: Apache-2.0
"""The Rollout and Value pages, and the forms that request, approve and take back a phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import get_args
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.charter.powers import Action
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, see_other
from pilothouse.reports.view_models import Page
from pilothouse.workflows.agents import choose_agent
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.phases import approve_phase, request_phase, roll_back_phase
from pilothouse.workflows.rollout import show_rollout
from pilothouse.workflows.value import show_value

__all__ = ["RolloutRoom"]

REASON_MAX = 500
"""Characters of a reason: a sentence or two."""


class RolloutRoom:
    """Where an agent is on its way, and what it is worth.

    Args:
        installation: Lake and ledger.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the pages, their JSON, and the forms."""

        def shown(show: Callable[[Installation, str, datetime], Page]) -> Callable[[Visit], Response]:
            def answer(visit: Visit) -> Response:
                page = show(self._installation, self._agent(visit), self._minute())
                return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

            return answer

        agent = "/agents/{agent}"
        rollout, value = shown(show_rollout), shown(show_value)
        return (
            PageRoute(path=f"{agent}/rollout", answer=rollout, action=Action.READ),
            PageRoute(path=f"{agent}/rollout.json", answer=rollout, action=Action.READ),
            PageRoute(path=f"{agent}/value", answer=value, action=Action.READ),
            PageRoute(path=f"{agent}/value.json", answer=value, action=Action.READ),
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

    def _minute(self) -> datetime:
        """Return the moment of a page: within a minute it is the same page, and a browser need not load it again."""
        return self._installation.clock.now().replace(second=0, microsecond=0)

    def _request(self, visit: Visit) -> Response:
        agent = self._agent(visit)
        request_phase(
            self._installation,
            agent,
            _phase(visit.form.get("phase", "")),
            self._installation.clock.now(),
            actor=visit.person.person(agent),
        )
        return _to_page(agent)

    def _approve(self, visit: Visit) -> Response:
        agent = self._agent(visit)
        approve_phase(self._installation, agent, visit.person.person(agent), self._installation.clock.now())
        return _to_page(agent)

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
        )
        return _to_page(agent)


def _phase(text: str) -> PhaseName:
    for name in get_args(PhaseName):
        if name == text:
            found: PhaseName = name
            return found
    raise UnknownName.among("phase", text, get_args(PhaseName), remedy="Phases are 1, 2 and 3.")


def _to_page(agent: str) -> Response:
    return see_other(f"/agents/{quote(agent, safe='')}/rollout")
