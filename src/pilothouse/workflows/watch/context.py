# SPDX-License-Identifier: Apache-2.0
"""Context loss: every finished run of the gateway is read once for inputs of which a server read less than was sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.run_log import RunSummary
from pilothouse.core.evidence.unix_time import midnight, moment_of, unix_ns
from pilothouse.errors import Conflict, UnknownName
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.runlog import RUNS_PAGE_MAX, RunLog
from pilothouse.ports.watch import WatchState, WatchStep, WatchStore
from pilothouse.runtime.context.counting import ContextCounter
from pilothouse.workflows.gateway.context_reading import (
    ContextCount,
    WindowUse,
    idle_edits,
    read_run,
    truncation_terms,
    windows_of,
)
from pilothouse.workflows.ground.every_agent import for_every_agent

__all__ = ["CONTEXT", "CONTEXT_EVERY_S", "ENDED_AFTER", "ContextDays", "ContextWatch"]

CONTEXT = "context"
"""Name of the detector in the watch's store."""

CONTEXT_EVERY_S = 600.0

ENDED_AFTER = timedelta(hours=1)
"""A run that began an hour ago is over or counts as abandoned: its calls are all there."""

RUNS_AT_ONCE = 200
"""Runs that are opened in one look of one agent, evenly spread over those that ended since the last; a second of work."""

FIRST_LOOK = timedelta(days=7)
"""How far the first look goes back."""

WINDOW_DAYS = 30
"""Days of one record, as MON-11 accepts it."""

RUNS_NAMED_MAX = 50


@dataclass(slots=True, kw_only=True)
class ContextDays:
    """What is remembered of an agent's inputs; JSON in the ledger.

    Attributes:
        to_us: Runs that began before it were looked at, Unix microseconds: JSON keeps no larger numbers exactly.
        days: Counts by day and version: inputs, cut, unknown, edited, opaque; older ones without the last.
        skipped: Runs that ended and were not opened, by day.
        runs: Runs with a cut input and their day, newest last.
        version: Version of the newest run.
        said: Day on which the last record was written, or empty.
        terms: Digest of what the charter said while they were sent, or empty.
        since: Day on which counting under these terms began; empty where an older program began it.
        fired: Edits of the charter that took something out, and the newest day on which each did.
        window: How full the window was, by day: calls, those that reached each level, refused, highest share in thousandths.
    """

    to_us: int
    days: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    runs: list[tuple[str, str]] = field(default_factory=list)
    version: str = ""
    said: str = ""
    terms: str = ""
    since: str = ""
    fired: dict[str, str] = field(default_factory=dict)
    window: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, document: str) -> ContextDays:
        """Return what was stored."""
        fields = json.loads(document)
        return cls(**{**fields, "runs": [(day, run) for day, run in fields["runs"]]})

    def count(self, version: str | None = None) -> ContextCount:
        """Return the inputs of all days, or only those of one version."""
        whole = ContextCount()
        for versions in self.days.values():
            for name, (inputs, cut, unknown, edited, *more) in versions.items():
                if version in {None, name}:
                    kept = ContextCount(
                        inputs=inputs, cut=cut, unknown=unknown, edited=edited, opaque=sum(more)
                    )
                    whole = whole.plus(kept)
        return whole

    def add(self, summary: RunSummary, found: ContextCount) -> None:
        """Count one run on the day on which it began."""
        day = moment_of(summary.opened_ns).date().isoformat()
        self.version = summary.version or ""
        versions = self.days.setdefault(day, {})
        counts = (found.inputs, found.cut, found.unknown, found.edited, found.opaque)
        kept = [*versions.get(self.version, ()), 0, 0, 0, 0, 0][: len(counts)]
        versions[self.version] = [one + more for one, more in zip(kept, counts, strict=True)]
        self.fired |= {name: max(day, self.fired.get(name, day)) for name in found.fired}
        use = self.use(day).plus(found.window)
        if use != WindowUse():
            self.window[day] = [use.calls, *use.over, use.refused, use.highest]
        if found.cut:
            self.runs = [*self.runs, (day, summary.run)][-RUNS_NAMED_MAX:]

    def use(self, *days: str) -> WindowUse:
        """Return how full the window was on some days; on all that are remembered without one."""
        whole = WindowUse()
        for day in days or self.window:
            if day in self.window:
                calls, *over, refused, highest = self.window[day]
                use = WindowUse(calls=calls, over=tuple(over), refused=refused, highest=highest)
                whole = whole.plus(use)
        return whole

    def forget(self, before: date) -> None:
        """Drop the days before one."""
        kept = before.isoformat()
        self.days = {day: value for day, value in self.days.items() if day >= kept}
        self.skipped = {day: value for day, value in self.skipped.items() if day >= kept}
        self.runs = [one for one in self.runs if one[0] >= kept]
        self.fired = {name: day for name, day in self.fired.items() if day >= kept}
        self.window = {day: use for day, use in self.window.items() if day >= kept}

    def idle(self, charter: Charter) -> tuple[str, ...]:
        """Return the edits of a charter that took nothing out in a whole window; none before it is over.

        Args:
            charter: The charter in force.
        """
        until = moment_of(1_000 * self.to_us).date()
        began = date.fromisoformat(self.since or min(self.days, default=until.isoformat()))
        is_over = until - began >= timedelta(days=WINDOW_DAYS) and self.count().inputs
        return idle_edits(charter, self.fired) if is_over else ()

    def document(self) -> str:
        """Return it as it is stored."""
        return canonical_json(
            {
                "to_us": self.to_us,
                "days": self.days,
                "skipped": self.skipped,
                "runs": self.runs,
                "version": self.version,
                "said": self.said,
                "terms": self.terms,
                "since": self.since,
                "fired": self.fired,
                "window": self.window,
            }
        )


class ContextWatch:
    """Looks at the runs of every agent since the last look, and keeps the count as evidence.

    Args:
        store: Where counts stand between looks.
        ledger: Charters and evidence.
        log: The runs.
    """

    def __init__(self, store: WatchStore, ledger: Ledger, log: RunLog) -> None:
        self._store = store
        self._ledger = ledger
        self._log = log
        self._counters: dict[str, ContextCounter] = {}

    def look(self, now: datetime) -> int:
        """Look once; return how many runs were opened.

        Raises:
            PilothouseError: The first agent for which it failed, after all others have been looked at.
        """
        whole = self._store.whole()
        return for_every_agent(
            self._ledger, lambda record: self._agent(record.agent, whole.get(record.agent, {}), now)
        )

    def _agent(self, agent: str, states: Mapping[str, WatchState], now: datetime) -> int:
        kept = states.get(CONTEXT)
        terms = truncation_terms(self._ledger, agent)
        days = None if kept is None else ContextDays.read(kept.document)
        if days is None or days.terms != (
            terms.digest or ""
        ):  # what was sent under other terms says nothing of these
            since = now - FIRST_LOOK if terms.since is None else max(terms.since, now - FIRST_LOOK)
            days = ContextDays(
                to_us=unix_ns(since) // 1_000, terms=terms.digest or "", since=since.date().isoformat()
            )
        newest_us = unix_ns(now - ENDED_AFTER) // 1_000
        ended, until_us = self._ended(agent, days.to_us, newest_us)
        if not ended and until_us == newest_us:
            return 0
        chosen = _spread(ended)
        named = {one.run for one in chosen}
        skipped = Counter(
            moment_of(one.opened_ns).date().isoformat() for one in ended if one.run not in named
        )
        days.skipped = dict(Counter(days.skipped) + skipped)
        counter = self._counters.setdefault(agent, ContextCounter())
        window_of = windows_of(self._ledger, agent)
        cut = 0
        for summary in chosen:
            try:
                found, _errors = read_run(counter, self._log.read(summary.run), window_of)
            except UnknownName:
                continue  # its time was over while we looked
            days.add(summary, found)
            cut += found.cut
        days.to_us = until_us
        days.forget(now.date() - timedelta(days=WINDOW_DAYS))
        is_due = cut > 0 or days.said != now.date().isoformat()
        record = _record(agent, days, now) if is_due else None
        if record is not None:
            days.said = now.date().isoformat()
        if record is not None:  # first: a look that is killed here is made again
            self._ledger.add_evidence([record])
        step = WatchStep(
            task_type="",
            detector=CONTEXT,
            before=0 if kept is None else kept.version,
            document=days.document(),
        )
        try:
            self._store.advance(agent, [step])
        except Conflict:
            return 0  # another process looked at the same runs
        return len(chosen)

    def _ended(self, agent: str, since_us: int, newest_us: int) -> tuple[Sequence[RunSummary], int]:
        """Return the next runs with calls, oldest first, and up to when: as many as one answer of the log surely holds.

        After a busy week without a look that is a part of it, and the next looks take the rest.
        """
        low, high = since_us, newest_us
        while True:
            found = self._log.runs(
                agent=agent, since_ns=1_000 * low, until_ns=1_000 * high, limit=RUNS_PAGE_MAX
            )
            if len(found) == RUNS_PAGE_MAX and high - low > 1:
                high = (low + high) // 2
            elif found or high == newest_us:
                return [one for one in reversed(found) if one.calls], high
            else:
                low, high = high, newest_us


def _record(agent: str, days: ContextDays, now: datetime) -> Evidence | None:
    """The count of the version that ran last; None when no provider reported a size, because unknown is not zero."""
    found = days.count(days.version)
    if not found.inputs:
        return None
    first = min(day for day, versions in days.days.items() if days.version in versions)
    skipped = sum(days.skipped.values())
    return bound_record(
        "truncation",
        agent,
        now,
        command="pilothouse up",
        binds=Binding(version=days.version or None, contract=days.terms or None),
        since=midnight(date.fromisoformat(first)),
        until=moment_of(1_000 * days.to_us),
        n=found.inputs,
        good=found.inputs - found.cut,
        detail=f"{found.cut} of {found.inputs} inputs were read short; {found.unknown} more without a reported size; "
        f"{found.edited} were shortened visibly, {found.opaque} more by their provider if it liked; {skipped} runs were not opened.",
        items=tuple(run for _, run in reversed(days.runs)),
        counts={"unreported": found.unknown, "edited": found.edited, "opaque": found.opaque},
    )


def _spread(ended: Sequence[RunSummary]) -> Sequence[RunSummary]:
    step = max(len(ended) / RUNS_AT_ONCE, 1.0)
    return [ended[int(index * step)] for index in range(min(len(ended), RUNS_AT_ONCE))]
