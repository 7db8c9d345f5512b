# SPDX-License-Identifier: Apache-2.0
"""Everything that pages made of sections are gathered from, and the one place that gives each by its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.errors import UnknownName
from pilothouse.reports.audit import RecordsWanted
from pilothouse.reports.waivers import build_waivers
from pilothouse.workflows.ground.agents import choose_agent
from pilothouse.workflows.people.signing import waivable_state
from pilothouse.workflows.shows.agent_pages import (
    show_evals,
    show_integrations,
    show_ownership,
    show_tour,
    show_watch,
)
from pilothouse.workflows.shows.audit import show_audit
from pilothouse.workflows.shows.controls import show_controls
from pilothouse.workflows.shows.runs import show_runs
from pilothouse.workflows.shows.settings import show_settings
from pilothouse.workflows.verdict.assess import Assessment, assess
from pilothouse.workflows.verdict.kept_pages import Make

if TYPE_CHECKING:
    from pilothouse.ports.gateway import GatewayStore
    from pilothouse.ports.lake import AgentSeen
    from pilothouse.ports.runlog import RunLog
    from pilothouse.reports.sections import SectionsPage
    from pilothouse.workflows.ground.boundary_room import BoundaryRoom
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.ground.installation import Installation

__all__ = ["AGENT_PAGES", "HOUSE_PAGES", "PageDesk"]

HOUSE_PAGES = ("audit", "settings", "tour")
"""Pages about the installation."""

AGENT_PAGES = ("controls", "evals", "integrations", "ownership", "runs", "waivers", "watch")
"""Pages about one agent."""


Keeper = Callable[[str, str, Make["SectionsPage"]], "SectionsPage"]
"""Gives the page of an agent by its name, made of its assessment unless it was before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDesk:
    """What pages are gathered from.

    Attributes:
        control_room: Installation, controls, contacts.
        boundary: Audit log and approvals.
        gateway: Keys and providers.
        runs: Recorded runs.
        judge: Gives assessments; a server's keeps them for a minute, None makes each anew.
        keep: Keeps pages that read all tasks of weeks as long as their assessment; None makes each anew.
        seen: Gives the agents that telemetry knows; None asks the lake each time.
    """

    control_room: ControlRoom
    boundary: BoundaryRoom
    gateway: GatewayStore
    runs: RunLog
    judge: Callable[[str], Assessment] | None = None
    keep: Keeper | None = None
    seen: Callable[[], Sequence[AgentSeen]] | None = None

    @property
    def installation(self) -> Installation:
        """Lake and ledger."""
        return self.control_room.installation

    def show(self, name: str, agent: str | None, *, person: str = "") -> SectionsPage:
        """Return a page by its name, as of this minute.

        Args:
            name: One of `AGENT_PAGES` and `HOUSE_PAGES`.
            agent: Agent id, or None for the only one there is; unused for pages about the installation.
            person: Person id of who looks at it, or empty.

        Raises:
            UnknownName: No page or no agent has that name.
        """
        now = self.now()
        if name == "audit":
            return self.audit()
        if name == "settings":
            return self.settings()
        if name not in {*AGENT_PAGES, "tour"}:
            raise UnknownName.among(
                "page",
                name,
                (*AGENT_PAGES, *HOUSE_PAGES),
                remedy=f"There are {', '.join((*AGENT_PAGES, *HOUSE_PAGES))}: `pilothouse show {AGENT_PAGES[0]}`.",
            )
        if name == "runs":
            return self.recorded(agent or choose_agent(self.installation, None))
        if name == "tour" and agent is None:
            # A tour is of some agent; from a page that is of none it leads through the first one.
            agent = next((record.agent for record in self.installation.ledger.charters()), None)
        chosen = choose_agent(self.installation, agent)
        if name == "controls":
            return self.controls(chosen, person=person)
        if name == "waivers":
            return self.waivers(chosen, person=person)
        if name == "tour":
            return self._page(chosen, name, self.tour)
        if name == "integrations":
            return self._page(chosen, name, show_integrations)
        return self._judged(name, self._assessed(chosen, now), person=person)

    def _judged(self, name: str, found: Assessment, *, person: str = "") -> SectionsPage:
        now = self.now()
        if name == "ownership":
            contacts = self.control_room.contacts
            return show_ownership(self.installation, contacts, found, now, person=person)
        if name == "watch":
            spent = self.gateway.spent(now.date()).get(found.charter.agent)
            return show_watch(self.control_room.watch, found, spent, now)
        return show_evals(self.installation, found, now)

    def tour(self, place: Installation, found: Assessment) -> SectionsPage:
        """Return the tour of an assessment.

        Args:
            place: The installation as it is read for this page.
            found: The assessment.
        """
        judged = {name: self._judged(name, found).sentence.plain for name in ("evals", "ownership", "watch")}
        others = {
            "audit": self.audit().sentence.plain,
            "controls": self.controls(found.charter.agent).sentence.plain,
        }
        return show_tour(place, found, {**judged, **others})

    def controls(self, agent: str, *, person: str = "", doing: str = "") -> SectionsPage:
        """Return the Controls page, with what the visitor is about to do.

        Args:
            agent: Agent with a charter in force.
            person: Person id, or empty.
            doing: `pause`, `rollback` or empty.
        """
        return show_controls(
            self.boundary,
            self.control_room.controls,
            agent,
            self.now(),
            seen=self.seen() if self.seen else self.installation.lake.agents(),
            person=person,
            doing=doing,
        )

    def waivers(self, agent: str, *, person: str = "", item: str = "") -> SectionsPage:
        """Return the Waivers page, with what the visitor is about to waive.

        Args:
            agent: Agent with a charter in force.
            person: Person id, or empty.
            item: Requirement id, or empty.
        """
        found = self.assessment(agent)
        is_asked = any(one.requirement == item for one in found.verdict.requirements)
        return build_waivers(
            found.verdict,
            found.charter,
            self.now(),
            ahead=found.ahead,
            person=person,
            item=item,
            state=waivable_state(self.installation.ledger, found.verdict, item, found.further)
            if is_asked
            else "",
        )

    def recorded(self, agent: str, *, before_ns: int | None = None) -> SectionsPage:
        """Return a page of the list of recorded runs.

        Args:
            agent: Agent id.
            before_ns: Only runs opened before this, Unix nanoseconds; None for the newest.
        """
        return show_runs(self.runs, agent, self.now(), before_ns=before_ns)

    def settings(self, *, operated: Collection[str] = (), tried: str = "") -> SectionsPage:
        """Return the Settings page.

        Args:
            operated: Agents that the visitor operates: their people can be sent a test note.
            tried: What came of one that was sent just now.
        """
        room = self.control_room
        return show_settings(
            self.installation,
            self.gateway,
            room.contacts,
            room.notifier,
            self.now(),
            operated=operated,
            tried=tried,
        )

    def assessment(self, agent: str) -> Assessment:
        """Return what is judged of an agent now."""
        return self._assessed(agent, self.now())

    def audit(self, wanted: RecordsWanted | None = None) -> SectionsPage:
        """Return the Audit page.

        Args:
            wanted: Which records are asked for; None for the newest of all.
        """
        return show_audit(self.boundary, self.now(), wanted or RecordsWanted())

    def _page(self, agent: str, name: str, make: Make[SectionsPage]) -> SectionsPage:
        return self.keep(agent, name, make) if self.keep else make(self.installation, self.assessment(agent))

    def _assessed(self, agent: str, now: datetime) -> Assessment:
        if self.judge is not None:
            return self.judge(agent)
        return assess(self.installation, agent, now, freeze=False)

    def now(self) -> datetime:
        """Return the moment of a page: down to the minute, so that equal pages have equal digests."""
        return self.installation.clock.now().replace(second=0, microsecond=0)
