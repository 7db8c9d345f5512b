# SPDX-License-Identifier: Apache-2.0
"""Gather what a page shows: installation → verdict, traffic and outcomes → view model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias, TypeVar

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import minute
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.standing import standing_outcomes
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.phases import approvers_of
from pilothouse.core.verdict.signing import SignatureState
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.errors import InfrastructureError, LimitExceeded, PilothouseError, UnknownName
from pilothouse.ports.lake import AgentSeen, LakeHealth, SpanRecord, TaskCursor, TaskFilter
from pilothouse.ports.ledger import CharterInForce
from pilothouse.ports.work import TickState
from pilothouse.reports.agent import AgentPage, build_agent
from pilothouse.reports.agent_standing import Approval, Standing, standing_facts
from pilothouse.reports.agent_traffic import AgentTraffic
from pilothouse.reports.fleet import VALUE, FleetPage, Governed, build_fleet
from pilothouse.reports.health import build_health
from pilothouse.reports.html import render_report
from pilothouse.reports.next_step import next_step
from pilothouse.reports.portfolio import PortfolioPage, build_portfolio
from pilothouse.reports.readiness import ReadinessPage, build_readiness
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.tasks import ROWS_MAX, TasksPage, build_tasks, build_unread_query
from pilothouse.reports.trace import FIELDS, TracePage, build_trace
from pilothouse.reports.view_models import ActionOffer, Page
from pilothouse.workflows.controls.stops import controls_of
from pilothouse.workflows.ground.in_force import charter_of, newest_verdict
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.phase_log import open_request
from pilothouse.workflows.people.signing import signatures
from pilothouse.workflows.reports.waiting import waiting_by_agent
from pilothouse.workflows.traces.reconcile import gap_alerts
from pilothouse.workflows.verdict.assess import Assessment, assess
from pilothouse.workflows.verdict.kept_pages import (
    MINUTE,
    WINDOW,
    Judge,
    KeptPages,
    KeptVerdicts,
    Make,
    unfrozen,
)
from pilothouse.workflows.verdict.stability import read_clock

__all__ = ["Shows", "report_of"]

FROZEN_MAX = timedelta(minutes=10)
"""A frozen verdict of the Fleet page that is older is computed again, so that nothing old looks fresh."""

PAST_AT_ONCE = 2
"""Past moments judged at once: nothing is kept of them, each reads weeks of tasks, and whoever may read may ask."""

STEPS_KEPT_MAX = 256
"""Next steps kept: one for each agent of the Fleet page and some."""

P = TypeVar("P", bound=Page)

Frozen: TypeAlias = Callable[[str], AgentVerdict | None]
"""Gives the newest stored verdict of an agent: with what Fleet shows of it, or whole."""


def _traffic(installation: Installation, agent: str, now: datetime) -> AgentTraffic:
    start = now - WINDOW
    tasks = tasks_between(installation.lake, agent, start, now)
    outcomes = installation.ledger.outcomes(agent, from_ns=unix_ns(start), to_ns=unix_ns(now))
    return AgentTraffic(
        tasks=tasks,
        outcomes=standing_outcomes(tasks, outcomes),
        window_from=start,
        window_to=now,
    )


def _agent_page(installation: Installation, found: Assessment) -> AgentPage:
    traffic = _traffic(installation, found.charter.agent, found.verdict.as_of)
    standing = _standing(installation, found.charter, found.verdict.as_of)
    return build_agent(found.verdict, found.charter, found.in_force, found.truth, traffic, standing=standing)


def _standing(installation: Installation, charter: Charter, now: datetime) -> Standing:
    """Read what waits for people about an agent, and its clock."""
    ledger, agent = installation.ledger, charter.agent
    waiting = open_request(ledger, agent, now)
    needed = approvers_of(charter, waiting.target) if waiting else ()
    missing = tuple(person for person in needed if waiting and person not in waiting.approved_by)
    return Standing(
        work=waiting_by_agent(installation, [agent], now)(agent),
        approval=Approval(target=waiting.target, people=missing) if waiting and missing else None,
        unsigned=tuple(
            one.person for one in signatures(ledger, agent, now) if one.state is not SignatureState.SIGNED
        ),
        clock=read_clock(ledger, charter, now),
    )


def _readiness_page(_installation: Installation, found: Assessment) -> ReadinessPage:
    return build_readiness(found.verdict, found.charter)


_OWN: Mapping[str, Make[Page]] = {"agent": _agent_page, "readiness": _readiness_page}


def report_of(installation: Installation, found: Assessment) -> str:
    """Return Agent and Readiness of an assessment as one HTML file that needs nothing else.

    Args:
        installation: Lake and ledger, for the chart.
        found: The assessment.
    """
    return render_report((_agent_page(installation, found), _readiness_page(installation, found)))


class Shows:
    """Answers what each page shows; pages of one moment show one assessment.

    Args:
        installation: Lake and ledger.
        judge: Gives assessments.
        health: Reads the lake's counters; None where this process takes no telemetry in.
        work: Reads how recurring work is doing.
        life: Age up to which an assessment is shown; more than a minute where `renew` runs ahead.
        seen: Gives the agents that telemetry knows; None asks the lake each time.
        recorded: Says whether a run of an id is recorded; None where no run log is open.
        state: Gives what is equal as long as nobody wrote to the ledger; None makes Fleet anew at each look.
    """

    def __init__(
        self,
        installation: Installation,
        judge: Judge = unfrozen,
        *,
        health: Callable[[], LakeHealth] | None = None,
        work: Callable[[], Sequence[TickState]] = tuple,
        life: timedelta = MINUTE,
        seen: Callable[[], Sequence[AgentSeen]] | None = None,
        recorded: Callable[[str], bool] | None = None,
        state: Callable[[], object] | None = None,
    ) -> None:
        self._installation = installation
        self._state = state
        self._fleet: tuple[object, FleetPage] | None = None
        self._frozen = KeptVerdicts(installation.ledger, shown=frozenset({VALUE}))
        self._recorded = recorded
        self._ask_seen = seen
        self._past = threading.BoundedSemaphore(PAST_AT_ONCE)
        self._health = health
        self._work = work
        self._kept = KeptPages(installation, judge, life=life)
        self._steps: dict[tuple[str, str, datetime], ActionOffer | None] = {}

    def now(self) -> datetime:
        """Return the moment of a page: the present, down to the minute, so that equal pages have equal digests."""
        return self._installation.clock.now().replace(second=0, microsecond=0)

    def fleet(self) -> FleetPage:
        """Return the Fleet page; the one before while it would be equal."""
        # The state is read first: what is written while the page is made is seen by the next look.
        now, notices = self.now(), []
        state = object() if self._state is None else self._state()
        try:
            seen = self._seen()
        except InfrastructureError as error:
            seen = ()
            notices.append(f"Telemetry did not answer: {error.message}.")
        looked, kept = (state, now, tuple(seen), tuple(notices)), self._fleet
        if kept is not None and kept[0] == looked:
            return kept[1]
        governed = self._all(now, self._frozen.newest)
        page = build_fleet(governed, seen, now, notices=tuple(notices), step=self._step)
        self._fleet = looked, page
        return page

    def portfolio(self) -> PortfolioPage:
        """Return the portfolio; an agent that cannot be judged stands in it with the reason."""
        now = self.now()
        return build_portfolio(self._all(now, partial(newest_verdict, self._installation.ledger)), now)

    def agent(self, agent: str) -> AgentPage:
        """Return the Agent page.

        Raises:
            UnknownName: No charter has that name.
        """
        page = self.page(agent, "agent", _agent_page)
        found = self.assessment(agent)
        # The rest of the page is kept with its assessment; what waits is read at each look, because somebody may have acted.
        standing = _standing(self._installation, found.charter, page.as_of.at)
        facts = standing_facts(found.verdict, found.charter, standing, page.as_of.at)
        if facts == page.standing:
            return page
        kept = {name: getattr(page, name) for name in AgentPage.model_fields}
        return AgentPage(**{**kept, "standing": facts})

    def readiness(
        self,
        agent: str,
        show: Status | None = None,
        unfold: str = "",
        *,
        past: tuple[str, datetime] | None = None,
    ) -> ReadinessPage:
        """Return the Readiness page.

        Args:
            agent: Agent id.
            show: Only requirements of this status, or None for all.
            unfold: The requirement whose parts are shown, `all`, or empty.
            past: A past moment, as it was typed and as a time, or None for the present.

        Raises:
            UnknownName: No charter or no requirement has that name.
        """
        if past:
            self._governs(agent)
            notes = [f"Judged as of {minute(past[1])}, with what is known today of what came until then."]
            if not self._past.acquire(blocking=False):
                raise LimitExceeded(
                    f"{PAST_AT_ONCE} past moments are being judged already",
                    remedy="Ask again in a few seconds.",
                )
            try:
                found = assess(self._installation, agent, past[1], notes=notes, freeze=False)
            finally:
                self._past.release()
            return build_readiness(found.verdict, found.charter, show=show, unfold=unfold, past=past[0])
        if show or unfold:
            found = self.assessment(agent)
            return build_readiness(found.verdict, found.charter, show=show, unfold=unfold)
        return self.page(agent, "readiness", _readiness_page)

    def page(self, agent: str, name: str, make: Make[P]) -> P:
        """Return a page that is read from telemetry, as it was made of the assessment that is shown now.

        Pages on which people act are not kept: what they did must stand there at once.

        Args:
            agent: Agent id.
            name: Name of the page.
            make: Makes it of an assessment.

        Raises:
            UnknownName: No charter has that name.
        """
        return self._kept.page(self._governs(agent), name, make, self.now())

    def assessment(self, agent: str) -> Assessment:
        """Return the assessment of an agent that every page shows now.

        Raises:
            UnknownName: No charter has that name.
        """
        return self._kept.assessment(self._governs(agent), self.now())

    def judged(self, installation: Installation, agent: str, now: datetime) -> Assessment:
        """Return the assessment that pages show while it is young, else make one without keeping it."""
        return self._kept.young(self._governs(agent), self.now()) or unfrozen(installation, agent, now)

    def renew(self, agent: str, makes: Mapping[str, Make[Page]]) -> bool:
        """Judge an agent and make its pages before anybody asks; return whether that was worth keeping.

        Raises:
            UnknownName: No charter has that name.
        """
        return self._kept.renew(self._governs(agent), self.now(), {**_OWN, **makes})

    def _seen(self) -> Sequence[AgentSeen]:
        return self._ask_seen() if self._ask_seen else self._installation.lake.agents()

    def _step(self, verdict: AgentVerdict, charter: Charter) -> ActionOffer | None:
        key = (verdict.agent, verdict.charter_digest, verdict.as_of)
        if key not in self._steps:
            if len(self._steps) >= STEPS_KEPT_MAX:
                self._steps.clear()
            whole = verdict if verdict.gates else newest_verdict(self._installation.ledger, verdict.agent)
            self._steps[key] = next_step(whole or verdict, charter)
        return self._steps[key]

    def forget(self, agent: str) -> None:
        """Judge an agent anew at the next page, because somebody just changed its phase."""
        self._kept.forget(agent)
        for step in [step for step in tuple(self._steps) if step[0] == agent]:
            self._steps.pop(step, None)

    def tasks(
        self, wanted: TaskFilter, before: TaskCursor | None = None, typed: Mapping[str, str] | None = None
    ) -> TasksPage:
        """Return a page of tasks.

        Args:
            wanted: The query; its agent is required.
            before: Where the page before ended, or None for the newest.
            typed: What stands in the fields of the page, by name; None shows what `wanted` says.

        Raises:
            UnknownName: Neither a charter nor a task has that name.
        """
        agent = wanted.agent or ""
        record = self._installation.ledger.charter(agent)
        page = self._installation.lake.tasks(wanted, limit=ROWS_MAX, before=before)
        if record is None and not page.tasks:
            self._need_seen(agent)
        outcomes = self._installation.ledger.outcomes_of([task.trace_id for task in page.tasks])
        return build_tasks(
            agent,
            page,
            outcomes,
            self.now(),
            wanted=wanted,
            task_types=tuple(charter_of(record).task_types) if record else (),
            first=before is None,
            typed=typed,
        )

    def unread_query(self, agent: str, error: PilothouseError, typed: Mapping[str, str]) -> TasksPage:
        """Return the page of a query that cannot be read, with what was typed in its fields.

        Args:
            agent: Agent name.
            error: What cannot be read.
            typed: What stands in the fields, by name.

        Raises:
            UnknownName: Neither a charter nor a task has that name.
        """
        record = self._installation.ledger.charter(agent)
        if record is None:
            self._need_seen(agent)
        types = tuple(charter_of(record).task_types) if record else ()
        return build_unread_query(agent, error, self.now(), task_types=types, typed=typed)

    def trace(self, agent: str, trace_id: str) -> TracePage:
        """Return the Trace page.

        Raises:
            UnknownName: Nothing has that id.
        """
        view = self._installation.lake.trace(trace_id)
        if view is None or (view.task is not None and view.task.agent != agent):
            raise UnknownName(
                f"no task {trace_id!r} of {agent!r}",
                remedy=f"Run `pilothouse traces --agent {agent}` to list its tasks.",
                subject=trace_id,
            )
        outcome: Outcome | None = self._installation.ledger.outcomes_of([trace_id]).get(trace_id)
        is_recorded = self._recorded(trace_id) if self._recorded else None
        return build_trace(agent, trace_id, view, outcome, self.now(), is_recorded=is_recorded)

    def span_text(self, agent: str, trace_id: str, span_id: str, field: str) -> str:
        """Return one whole text of a span, for download.

        Args:
            agent: Agent name.
            trace_id: Whole trace id.
            span_id: Span id.
            field: One of `reports.trace.FIELDS`.

        Raises:
            UnknownName: Nothing has that id, or a span has no such text.
        """
        view = self._installation.lake.trace(trace_id)
        spans: tuple[SpanRecord, ...] = view.spans if view else ()
        span = next((span for span in spans if span.span_id == span_id), None)
        if span is None or field not in FIELDS:
            raise UnknownName(
                f"no text {field!r} of span {span_id!r}",
                remedy=f"Open the task: /agents/{agent}/tasks/{trace_id}",
                subject=span_id,
            )
        text: str = getattr(span, field)
        return text

    def health(self) -> SectionsPage:
        """Return the Health page."""
        alerts = gap_alerts(self._installation.ledger)
        return build_health(
            None if self._health is None else self._health(),
            self._work(),
            tuple(alert.sentence for alert in alerts),
            self.now(),
            is_alert_open=bool(alerts) and alerts[0].closed_at is None,
        )

    def known_agents(self) -> tuple[str, ...]:
        """Return every agent that has a page, by name; without the lake's when it does not answer."""
        names = {record.agent for record in self._installation.ledger.charters()}
        with suppress(InfrastructureError):
            names |= {seen.agent for seen in self._seen()}
        return tuple(sorted(names))

    def is_governed(self, agent: str) -> bool:
        """Return whether a charter is in force for an agent."""
        return self._installation.ledger.charter(agent) is not None

    def _governs(self, agent: str) -> CharterInForce:
        record = self._installation.ledger.charter(agent)
        if record is None:
            self._need_seen(agent)
            raise UnknownName(
                f"agent {agent!r} sends tasks, and no charter says what must hold for it",
                remedy="Draft one from its repository: `pilothouse init PATH-TO-THE-AGENT`.",
                subject=agent,
            )
        return record

    def _need_seen(self, agent: str) -> None:
        known = self.known_agents()
        if agent not in known:
            raise UnknownName.among("agent", agent, known, remedy="Run `pilothouse traces` to list agents.")

    def _all(self, now: datetime, frozen: Frozen) -> list[Governed]:
        """Every agent with a charter, with what keeps it from serving and what waits for people."""
        stopped = controls_of(self._installation).stopped_word
        records = self._installation.ledger.charters()
        waiting = waiting_by_agent(self._installation, [record.agent for record in records], now)
        return [
            replace(
                self._governed(record, now, frozen), stopped=stopped(record.agent), work=waiting(record.agent)
            )
            for record in records
        ]

    def _governed(self, record: CharterInForce, now: datetime, frozen: Frozen) -> Governed:
        try:
            charter = charter_of(record)
        except PilothouseError as error:
            return Governed(agent=record.agent, charter=None, verdict=None, problem=error.message)
        try:
            kept = self._kept.young(record, now)
            verdict = (
                (kept.verdict if kept else None)
                or _young(frozen(record.agent), record, now)
                or self._kept.assessment(record, now).verdict
            )
        except PilothouseError as error:
            return Governed(agent=record.agent, charter=charter, verdict=None, problem=error.message)
        clock = read_clock(self._installation.ledger, charter, now)
        return Governed(agent=record.agent, charter=charter, verdict=verdict, clock=clock)


def _young(verdict: AgentVerdict | None, record: CharterInForce, now: datetime) -> AgentVerdict | None:
    if verdict is None or now - verdict.as_of > FROZEN_MAX or verdict.charter_digest != record.digest:
        return None
    return verdict
