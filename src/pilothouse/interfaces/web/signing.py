# SPDX-License-Identifier: Apache-2.0
"""The Signing page and its form: read the exact text, press one button."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at, see_other
from pilothouse.ports.clock import Clock
from pilothouse.ports.ledger import Ledger
from pilothouse.reports.signing import build_signing
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.people.signing import asked_of, sign, signatures

__all__ = ["SigningRoom"]


class SigningRoom:
    """Signatures of one agent."""

    def __init__(self, ledger: Ledger, directory: Directory, clock: Clock) -> None:
        self._ledger = ledger
        self._directory = directory
        self._clock = clock

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the page, its JSON, and the form."""

        def show(visit: Visit) -> Response:
            agent, now = visit.path("agent"), self._clock.now().replace(second=0, microsecond=0)
            charter = self._directory.charter(agent)
            asked = signatures(self._ledger, agent, now)
            person = visit.visitor.persons.get(agent) if visit.visitor else None
            mine = frozenset(one.key for one in asked if person and asked_of(charter, one, person))
            name = visit.visitor.name if visit.visitor else ""
            page = build_signing(charter, asked, now, mine=mine, visitor=name, person=person or "")
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        agent = "/agents/{agent}"
        return (
            *page_at(f"{agent}/sign", show),
            PageRoute(path=f"{agent}/sign", answer=self._sign, action=Action.SIGN, writes=True),
        )

    def _sign(self, visit: Visit) -> Response:
        agent = visit.path("agent")
        keys = [text for name, text in visit.form.items() if name.startswith("key")]
        sign(
            self._ledger,
            agent,
            visit.form.get("item", ""),
            person=visit.person.person(agent),
            actor=visit.person.identity,
            source=f"page /agents/{agent}/sign",
            now=self._clock.now(),
            keys=keys,
        )
        return see_other(f"/agents/{quote(agent, safe='')}/sign")
