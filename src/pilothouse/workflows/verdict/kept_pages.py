# SPDX-License-Identifier: Apache-2.0
"""Assessments, the pages made of them and newest verdicts: kept while young, and made anew before anybody has to wait."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar, cast

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import LimitExceeded, PilothouseError
from pilothouse.ports.lake import AgentSeen, Assigned, Lake, TaskCursor, TaskFilter, TaskPage, TraceView
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.reports.view_models import Page
from pilothouse.workflows.ground.in_force import verdict_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.verdict.assess import Assessment, assess

__all__ = ["MINUTE", "WINDOW", "Judge", "KeptPages", "KeptVerdicts", "Make", "OneReading", "unfrozen"]

MINUTE = timedelta(minutes=1)
"""How long an assessment is shown where nobody makes the next one ahead of time."""

WINDOW = timedelta(days=30)
"""The longest window of tasks that any page of an agent shows."""

AT_ONCE_S = 0.25
"""CPU seconds of a judgement that nobody notices: it is made when somebody looks, and shows what came in until then."""

AGENTS_KEPT_MAX = 256
"""Agents whose assessment or newest verdict is kept: those of the Fleet page and some."""

_MEASURES = frozenset({"cost_per_task"})
"""Kinds whose items Fleet shows beside the first sentence."""

P = TypeVar("P", bound=Page)

Judge = Callable[[Installation, str, datetime], Assessment]
"""Gives the assessment of an agent at a moment."""

Make = Callable[[Installation, Assessment], P]
"""Makes a page of an assessment and what the installation knows."""


def unfrozen(installation: Installation, agent: str, now: datetime) -> Assessment:
    """Judge an agent without writing the verdict down."""
    return assess(installation, agent, now, freeze=False)


@dataclass(slots=True, kw_only=True)
class _Kept:
    """An assessment with the pages that were made of it, each when first asked for."""

    at: datetime
    found: Assessment
    life: timedelta
    pages: dict[str, Page] = field(default_factory=dict)
    makes: dict[str, Make[Page]] = field(default_factory=dict)

    def is_young(self, now: datetime) -> bool:
        return now - self.at < self.life

    def page(self, name: str, make: Make[Page], installation: Installation) -> Page:
        page = self.pages.get(name)
        if page is None:
            page = self.pages[name] = make(installation, self.found)
            self.makes[name] = make
        return page


class KeptPages:
    """Keeps one assessment for each agent, with its pages.

    Judging reads all tasks of weeks. With few of them whoever looks first in a minute pays for it. With many, `renew`
    runs ahead: then everybody is shown the newest one there is, and its moment stands on the page.

    Args:
        installation: Lake and ledger.
        judge: Gives assessments.
        life: Age up to which an assessment that takes long is shown; a server that renews them gives more than a minute.
    """

    def __init__(self, installation: Installation, judge: Judge, *, life: timedelta = MINUTE) -> None:
        self._installation = installation
        self._judge = judge
        self._life = life
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._forgotten: Counter[str] = Counter()

    def assessment(self, record: CharterInForce, now: datetime) -> Assessment:
        """Return the assessment that every page shows now."""
        return self._of(record, now).found

    def young(self, record: CharterInForce, now: datetime) -> Assessment | None:
        """Return the same, or None where it would have to be made first."""
        kept = self._kept.get((record.agent, record.digest))
        return kept.found if kept is not None and kept.is_young(now) else None

    def page(self, record: CharterInForce, name: str, make: Make[P], now: datetime) -> P:
        """Return a page as it was made of that assessment.

        Args:
            record: The charter in force.
            name: Name of the page.
            make: Makes it, and the next one when the assessment is renewed.
            now: The moment, aware UTC.
        """
        return cast("P", self._of(record, now).page(name, make, self._installation))

    def renew(self, record: CharterInForce, now: datetime, makes: Mapping[str, Make[Page]]) -> bool:
        """Judge an agent again, make its pages and every other that somebody ever asked for, and then show these.

        Args:
            record: The charter in force.
            now: The moment, aware UTC.
            makes: Pages that are made in any case, by name.

        Returns:
            Whether it is kept; False where judging is so quick that whoever looks may as well do it.
        """
        key, forgotten = (record.agent, record.digest), self._forgotten[record.agent]
        # All of them read the same weeks: once, in a lake that is let go with this round.
        place = replace(self._installation, lake=OneReading(self._installation.lake))
        with suppress(LimitExceeded):  # then each reads what it needs, and says what is too long
            tasks_between(place.lake, record.agent, now - WINDOW, now)
        fresh, shown = self._made(place, record, now), self._kept.get(key)
        if fresh.life == MINUTE:
            return False
        for name, make in {**makes, **(shown.makes if shown else {})}.items():
            with suppress(PilothouseError):  # whoever opens that page is told what is wrong with it
                fresh.page(name, make, place)
        with self._lock:
            if self._forgotten[record.agent] == forgotten:
                self._keep(key, fresh)
        return True

    def forget(self, agent: str) -> None:
        """Judge an agent anew when it is next asked for, because somebody just decided something about it."""
        with self._lock:
            self._forgotten[agent] += 1
            for key in [key for key in self._kept if key[0] == agent]:
                del self._kept[key]

    def _of(self, record: CharterInForce, now: datetime) -> _Kept:
        key = (record.agent, record.digest)
        kept = self._kept.get(key)
        if kept is not None and kept.is_young(now):
            return kept
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or not kept.is_young(now):
                kept = self._made(self._installation, record, now)
                self._keep(key, kept)
        return kept

    def _made(self, place: Installation, record: CharterInForce, now: datetime) -> _Kept:
        began = time.thread_time()
        found = self._judge(place, record.agent, now)
        takes_long = time.thread_time() - began > AT_ONCE_S
        return _Kept(at=now, found=found, life=self._life if takes_long else MINUTE)

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        if len(self._kept) >= AGENTS_KEPT_MAX:
            self._kept.clear()
        self._kept[key] = kept


class KeptVerdicts:
    """The newest verdict of each agent, parsed when it is another one than before.

    A verdict is some 200 kB of text and several times that in memory, of which Fleet shows two lines: what it does not
    show is not kept.

    Args:
        ledger: Where verdicts stand.
        shown: Requirements whose items are kept, beside the one that decides.
    """

    def __init__(self, ledger: Ledger, *, shown: frozenset[str]) -> None:
        self._ledger = ledger
        self._shown = shown
        self._kept: dict[str, tuple[bytes, AgentVerdict | None]] = {}

    def newest(self, agent: str) -> AgentVerdict | None:
        """Return the newest verdict without most of its items; None when there is none that this program can read."""
        text = self._ledger.latest_verdict(agent)
        if text is None:
            return None
        digest = hashlib.sha256(text.encode()).digest()
        kept = self._kept.get(agent)
        if kept is None or kept[0] != digest:
            kept = (digest, self._without_evidence(verdict_of(text)))
            if len(self._kept) >= AGENTS_KEPT_MAX:
                self._kept.clear()
            self._kept[agent] = kept
        return kept[1]

    def _without_evidence(self, verdict: AgentVerdict | None) -> AgentVerdict | None:
        if verdict is None:
            return None
        requirements = tuple(
            one
            for one in verdict.requirements
            if one.requirement in {verdict.deciding, *self._shown}
            or any(item.kind in _MEASURES for item in one.items)
        )
        return verdict.model_copy(
            update={"requirements": requirements, "gates": (), "domains": (), "additions": ()}
        )


class OneReading:
    """A `ports.Lake` for one piece of work; let it go afterwards, for it holds the tasks it has read.

    Args:
        lake: What is read.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._read: dict[TaskFilter, tuple[int, int, Sequence[Task]]] = {}

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window, out of a longer one that was read before where there is one."""
        if wanted.from_ns is None or wanted.to_ns is None:
            return self._lake.window(wanted)  # which says what is missing
        asked = replace(wanted, from_ns=None, to_ns=None)
        if asked in self._read:
            start, end, tasks = self._read[asked]
            if (start, end) == (wanted.from_ns, wanted.to_ns):
                return tasks
            if start <= wanted.from_ns and wanted.to_ns <= end:
                return tuple(task for task in tasks if wanted.from_ns <= task.start_ns < wanted.to_ns)
        tasks = self._lake.window(wanted)
        self._read[asked] = (wanted.from_ns, wanted.to_ns, tasks)
        return tasks

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first."""
        return self._lake.tasks(wanted, limit=limit, before=before)

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what holds a phrase and belongs to no task."""
        return self._lake.strays(wanted)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace."""
        return self._lake.trace(trace_id, limit=limit)

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return several traces."""
        return self._lake.traces(trace_ids)

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks."""
        return self._lake.agents()

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return which task belongs to which arm of an experiment."""
        return self._lake.assigned(experiment, from_ns=from_ns, to_ns=to_ns)

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return external scores of a window."""
        return self._lake.scores(from_ns=from_ns, to_ns=to_ns)
