# SPDX-License-Identifier: Apache-2.0
"""Assessments and the pages made of them, kept while they are young, and made anew before anybody has to wait."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar, cast

from pilothouse.errors import LimitExceeded, PilothouseError
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.view_models import Page
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.one_reading import OneReading
from pilothouse.workflows.verdict.assess import Assessment, assess

__all__ = ["MINUTE", "WINDOW", "Judge", "KeptPages", "Make", "unfrozen"]

MINUTE = timedelta(minutes=1)
"""How long an assessment is shown where nobody makes the next one ahead of time."""

WINDOW = timedelta(days=30)
"""The longest window of tasks that any page of an agent shows."""

AT_ONCE_S = 0.25
"""CPU seconds of a judgement that nobody notices: it is made when somebody looks, and shows what came in until then."""

AGENTS_KEPT_MAX = 256
"""Agents whose assessment is kept: those of the Fleet page and some."""

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
