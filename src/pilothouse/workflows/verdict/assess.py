# SPDX-License-Identifier: Apache-2.0
"""Judge one agent at one moment: charter in force, telemetry and ledger → evidence → verdict, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pilothouse.core.action.incident import Incident
from pilothouse.core.action.incident_replays import REPLAYED_RUN, REPLAYED_WITHIN, fold_replays
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day, minute
from pilothouse.core.evidence.claim import says_done
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.evidence.fold import (
    Window,
    fold_volume,
    fold_window,
    released_versions,
    version_in_force,
    volume_of,
)
from pilothouse.core.evidence.further_cost import with_further_costs
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.score import fold_scores
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.standing import answers_in_force
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.evidence.truth import TruthCount, count_truth
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import PRODUCTION, WINDOW_DEFAULT, WINDOW_MAX, window_of, work_of
from pilothouse.core.verdict.apart import conclude_addition, counts_apart, summarise_addition
from pilothouse.core.verdict.readiness import conclude, verdict_digest, verdict_document
from pilothouse.core.verdict.rules import LEVEL
from pilothouse.core.verdict.verdict import AdditionVerdict, AgentVerdict, RequirementVerdict
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.controls.policy_change import widening_note
from pilothouse.workflows.controls.stops import stop_notes
from pilothouse.workflows.ground.agents import NAMES_SHOWN_MAX
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import every_page
from pilothouse.workflows.ground.phase_log import additions_of, phase_at
from pilothouse.workflows.integrations.verifiers import verifier_notes
from pilothouse.workflows.people.signing import waivers_of
from pilothouse.workflows.traces.reconcile import gap_notes
from pilothouse.workflows.traces.set_aside import set_aside_notes
from pilothouse.workflows.verdict.accept import rejection_note
from pilothouse.workflows.verdict.docket import decided_items, open_sitting
from pilothouse.workflows.verdict.stability import clock_evidence
from pilothouse.workflows.verdict.unjudged_tasks import (
    beside_notes,
    stand_in_notes,
    tried_elsewhere,
    tried_notes,
)

__all__ = ["Assessment", "assess"]

VOLUME_WINDOW = timedelta(days=28)
"""Window of the production volume, as the framework asks (PROD-1)."""

RELEASED = "release.verdict"
"""The kind that says which versions passed the release gate."""

FURTHER_COSTS = "cost.further"
"""The kind that says what a task costs beside its model calls."""

PRESENT = timedelta(minutes=2)
"""A moment that is not longer ago is the present: pages judge at the full minute."""

INCIDENTS_READ = 20
"""Incidents read at once: the last five that name a task are nearly always among them."""

HALVINGS_MAX = 12
"""A week halved so often is two and a half minutes: whoever has a million tasks in these needs another lake."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A verdict with what it was computed from.

    Attributes:
        charter: The charter that judged.
        in_force: The same as it was accepted: number, path, moment.
        verdict: The verdict; its notes say what limits it.
        ahead: Every requirement as the next gate asks for it.
        truth: Claims against the system of record, by task type, for the judged version and window.
        folded: Records that telemetry was folded into for this verdict; all others stand in the ledger.
        window: The longest window that telemetry was folded over.
        apart: The verdict about each thing that came into the scope and counts apart, by its label.
    """

    charter: Charter
    in_force: CharterInForce
    verdict: AgentVerdict
    ahead: tuple[RequirementVerdict, ...]
    truth: tuple[TruthCount, ...]
    folded: tuple[Evidence, ...]
    window: Window
    apart: Mapping[str, AgentVerdict] = field(default_factory=dict)

    @property
    def further(self) -> tuple[RequirementVerdict, ...]:
        """Requirements as the next gate asks for them, and as what came into the scope is asked for them by itself."""
        return (*self.ahead, *(row for one in self.apart.values() for row in one.requirements))


def assess(
    installation: Installation,
    agent: str,
    now: datetime,
    *,
    notes: Iterable[str] = (),
    freeze: bool = True,
    level: float = LEVEL,
) -> Assessment:
    """Judge an agent.

    For a past moment, hand it in as `now` and do not freeze: the tasks up to then count, with what is
    known about them today. What was said at that moment is the frozen verdict of that time.

    Args:
        installation: Lake and ledger.
        agent: Agent id with a charter in force.
        now: The moment, aware UTC.
        notes: Further limits of the judgement.
        freeze: Whether the verdict is stored.
        level: Confidence at which a rate counts as proved; a planned look at a gate asks for more.

    Returns:
        The verdict, equal for equal contents and moment.

    Raises:
        UsageError: No charter is in force.
        CharterInvalid: This program cannot read the charter in force.
    """
    record, charter_notes = _charter_at(installation, agent, now)
    sitting = open_sitting(installation, record, now)
    charter = sitting.charter
    traffic = _Traffic.load(installation, charter, now)
    released = installation.ledger.evidence(agent, kinds=[RELEASED])
    folded = traffic.fold(charter, now, released_versions(one for one in released if one.recorded_at <= now))
    further = installation.ledger.standing_evidence(
        agent, at=now, version=None, decides=lambda _: True, kinds=[FURTHER_COSTS]
    )
    folded = with_further_costs(charter, folded, further)
    clock = clock_evidence(installation.ledger, charter, now)
    if clock is not None:
        folded = (*folded, clock)
    replays = _replays(installation, agent, now)
    if replays is not None:
        folded = (*folded, replays)
    folded = (*folded, *traffic.fold_scores(installation, charter, now))
    version = version_in_force(traffic.own or traffic.tasks)
    docket, refused = decided_items(installation, sitting, folded, version=version, level=level)
    waivers = tuple(one for one in waivers_of(installation.ledger, agent) if one.signed_at <= now)
    apart = tuple(one for one in additions_of(installation.ledger, agent, at=now) if one.joined_at is None)
    concluded = conclude(
        docket,
        charter,
        now,
        phase=phase_at(installation.ledger, agent, now).phase,
        waivers=waivers,
        refused=refused,
        is_elsewhere=counts_apart(apart, charter),
    )
    verdict = concluded.verdict
    by_itself = {
        one: conclude_addition(docket, charter, now, one, apart=apart, waivers=waivers) for one in apart
    }
    additions = tuple(summarise_addition(found, one, charter) for one, found in by_itself.items())
    all_notes = (
        *charter_notes,
        *set_aside_notes(installation.ledger, now),
        *gap_notes(installation.ledger, traffic.longest),
        *verdict.notes,
        *(_apart_note(one) for one in additions),
        *traffic.notes(installation, charter),
        *beside_notes(traffic.own, version, traffic.longest),
        *stand_in_notes(charter, traffic.tasks, version, traffic.longest),
        *verifier_notes(record, charter, traffic.outcomes),
        *notes,
    )
    verdict = verdict.model_copy(update={"notes": tuple(dict.fromkeys(all_notes)), "additions": additions})
    if freeze:
        installation.ledger.save_verdict(
            agent=agent,
            at=now,
            status=verdict.status.value,
            document=verdict_document(verdict),
            digest=verdict_digest(verdict),
        )
    return Assessment(
        charter=charter,
        in_force=record,
        verdict=verdict,
        ahead=concluded.ahead,
        truth=traffic.truth(charter, version),
        folded=folded,
        window=traffic.longest,
        apart={one.label: found for one, found in by_itself.items()},
    )


def _replays(installation: Installation, agent: str, now: datetime) -> Evidence | None:
    """Return the record about replaying the last incidents; it is folded anew, so that the next incident is asked about at once."""
    known = installation.ledger.evidence(agent, kinds=[REPLAYED_RUN])
    return fold_replays(agent, _incidents(installation, agent, now - REPLAYED_WITHIN), known, now)


def _incidents(installation: Installation, agent: str, since: datetime) -> Iterator[Incident]:
    """Yield the incidents of an agent since a moment, newest first, reading on only while they are asked for."""
    store, below = installation.incidents, None
    while page := store.incidents(agent=agent, below=below, limit=INCIDENTS_READ) if store else ():
        yield from page
        below = page[-1].number
        if page[-1].opened_at <= since:
            return


def _apart_note(one: AdditionVerdict) -> str:
    where = "out of service" if one.phase == "pilot" else f"in phase {one.phase}"
    return f"Counts apart: {one.label}, {where} since {day(one.since)}: {one.word}. {one.sentence}"


def _charter_at(installation: Installation, agent: str, now: datetime) -> tuple[CharterInForce, list[str]]:
    notes: list[str] = []
    # What is in force is in force for all who ask about the present: for gateway, tools and signatures it is the newest, and
    # a page that judges at the full minute, or beside a clock that is behind, must not judge by another.
    is_past = installation.clock.now() - now >= PRESENT
    record = installation.ledger.charter(agent, at=now if is_past else None)
    if record is None:
        record = installation.ledger.charter(agent)
        if record is None:
            raise UsageError(
                f"no charter is in force for {agent!r}",
                remedy="Draft one with `pilothouse init PATH-TO-YOUR-AGENT`, then "
                "`pilothouse verdict --charter PATH-TO-YOUR-AGENT/charter.yaml`.",
                subject=agent,
            )
        notes.append(
            f"No charter was in force at that moment; judged by charter {record.number}, "
            f"accepted on {minute(record.accepted_at)}."
        )
    if not is_past:
        notes += stop_notes(installation, agent)
    rejected = rejection_note(installation.ledger, agent, at=now)
    if rejected:
        notes.append(rejected)
    waiting = widening_note(installation.ledger, record)
    if waiting:
        notes.append(waiting)
    return record, notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traffic:
    """Telemetry of one agent, as far back as any rule looks.

    Attributes:
        tasks: Tasks of the windows and, for types that have vanished from traffic, of their last one; its work alone.
        own: Those of them that no stand-in of the pin answered.
        elsewhere: Tasks of the longest window that ran in another environment and count for nothing, by its name.
        outcomes: Their outcomes.
        windows: Window of each task type: the charter's, or the last one in which it had tasks.
        longest: The longest window that ends now.
        volume: Window of the production volume.
        done: Tasks completed in production in it, where these weeks are more than is read at once; None where `tasks` has them.
        asked: The longest window that the charter asks for, where it is more than is read at once; None where it was read.
    """

    tasks: Sequence[Task]
    own: Sequence[Task]
    elsewhere: Mapping[str, int]
    outcomes: Sequence[Outcome]
    windows: dict[str, Window]
    longest: Window
    volume: Window
    done: int | None = None
    asked: Window | None = None

    @classmethod
    def load(cls, installation: Installation, charter: Charter, now: datetime) -> _Traffic:
        lengths = {name: window_of(charter, name) for name in charter.task_types}
        longest = Window(start=now - max(lengths.values(), default=WINDOW_DEFAULT), end=now)
        volume = Window(start=now - VOLUME_WINDOW, end=now)
        everything = Window(start=min(longest.start, volume.start), end=now)
        done: int | None = None
        asked = longest
        try:
            seen = _tasks_in(installation, charter, everything)
        except LimitExceeded:
            # An agent of 40,000 tasks a day: only the volume looks back so far, and for that counting is enough.
            longest, seen = _as_far_as_read(installation, charter, longest)
            done = _completed(installation, charter, volume)
            lengths = {name: min(length, longest.end - longest.start) for name, length in lengths.items()}
        tasks = work_of(charter, seen)
        elsewhere, tried = tried_elsewhere(charter, seen, longest)
        windows = {}
        for name, length in lengths.items():
            window = Window(start=now - length, end=now)
            if not any(task.task_type == name and window.holds(task.start_ns) for task in tasks):
                last = _last_window(installation, charter, name, length, now)
                if last is not None:
                    window = last
                    tasks += work_of(charter, _tasks_in(installation, charter, last, task_type=name))
            windows[name] = window
        tasks = list({task.trace_id: task for task in tasks}.values())
        starts = [window.start for window in (asked, volume, *windows.values())]
        outcomes = installation.ledger.outcomes(
            charter.agent, from_ns=unix_ns(min(starts)), to_ns=unix_ns(now)
        )
        return cls(
            tasks=tasks,
            own=own_work(charter, tasks),
            elsewhere=elsewhere,
            outcomes=[one for one in answers_in_force(charter, outcomes) if one.trace_id not in tried],
            windows=windows,
            longest=longest,
            volume=volume,
            done=done,
            asked=None if asked == longest else asked,
        )

    def fold(self, charter: Charter, now: datetime, released: Mapping[str, datetime]) -> tuple[Evidence, ...]:
        """Fold each window once; a record of a task type is taken from the window of that type."""
        source = Source(command=f"pilothouse verdict {charter.agent}")
        by_window: dict[Window, set[str | None]] = {self.longest: {None}}
        for name, window in self.windows.items():
            by_window.setdefault(window, set()).add(name)
        records = [
            record
            for window, names in by_window.items()
            for record in fold_window(
                charter,
                self.tasks,
                self.outcomes,
                window,
                now,
                source=source,
                released=released,
                mistakes_since=None
                if self.asked is None or self.asked.start >= window.start
                else self.asked.start,
            )
            if record.scope.task_type in names
        ]
        volume = (
            fold_volume(charter, self.tasks, self.volume, now, source=source)
            if self.done is None
            else volume_of(charter, self.done, self.volume, now, source=source)
        )
        return (*records, *([] if volume is None else [volume]))

    def fold_scores(
        self, installation: Installation, charter: Charter, now: datetime
    ) -> tuple[Evidence, ...]:
        """Fold what evaluators outside sent; a score may come at any time after its task."""
        start = min(window.start for window in (self.longest, *self.windows.values()))
        scores = installation.lake.scores(from_ns=unix_ns(start), to_ns=unix_ns(now))
        return fold_scores(charter, self.own, scores, self.windows, now)

    def truth(self, charter: Charter, version: str | None) -> tuple[TruthCount, ...]:
        """Count the claims that the records about truth rest on."""
        found = {outcome.trace_id: outcome for outcome in self.outcomes}
        counted = [
            task
            for task in self.own
            if task.version_digest == version
            and self.windows.get(task.task_type, self.longest).holds(task.start_ns)
        ]
        return count_truth(counted, found, charter.task_types)

    def notes(self, installation: Installation, charter: Charter) -> list[str]:
        """Say what limits what telemetry can tell."""
        recent = [task for task in self.tasks if self.longest.holds(task.start_ns)]
        tried = tried_notes(self.elsewhere)
        if not self.tasks:
            return tried or [_nothing_arrived(installation, charter)]
        tried += _long_windows(charter)
        if self.asked is not None:
            tried.append(_cut_short(self.asked, self.longest, len(recent)))
        if not recent:
            last = max(task.start_ns for task in self.tasks)
            return [
                *tried,
                f"No task arrived since {minute(EPOCH + timedelta(microseconds=last // 1_000))}.",
            ]
        silent = sum(task.result is TaskResult.UNKNOWN and not says_done(task) for task in recent)
        if silent:
            note = (
                f"{silent:,} of {len(recent):,} tasks say neither how they ended nor what they did; set the span "
                "attributes `pilothouse.task.result` and `pilothouse.task.claim`."
            )
            return [*tried, note]
        return tried


def _long_windows(charter: Charter) -> list[str]:
    names = [
        name
        for name, terms in charter.task_types.items()
        if (known(terms.sampling.window) or WINDOW_MAX) > WINDOW_MAX
    ]
    if not names:
        return []
    return [
        f"`sampling.window` of {', '.join(names)} is longer than {WINDOW_MAX.days} days; the last {WINDOW_MAX.days} count."
    ]


def _nothing_arrived(installation: Installation, charter: Charter) -> str:
    seen = [one.agent for one in installation.lake.agents()]
    if charter.agent in seen:
        return f"No task of {charter.agent!r} counts at this moment: those that have arrived are later, or too old."
    if seen:
        others = ", ".join(map(repr, seen[:NAMES_SHOWN_MAX]))
        return (
            f"No task of {charter.agent!r} has arrived; telemetry came from {others}. Is the name in the "
            "spans (`gen_ai.agent.name` or `pilothouse.agent`) that of the charter? An agent that sends none of its own "
            f"needs a key that makes them: `pilothouse key add {charter.agent}`."
        )
    return (
        f"No task of {charter.agent!r} has arrived. Start `pilothouse up`, then the agent with "
        "`pilothouse run -- COMMAND`, or import what exists with `pilothouse import FILE`."
    )


def _cut_short(asked: Window, read: Window, tasks: int) -> str:
    hours = (read.end - read.start) / timedelta(hours=1)
    return (
        f"In {asked.days:g} days there were more tasks than are read at once: what tasks say here is of the last {hours:.3g} hours, "
        f"{tasks:,} tasks; critical mistakes count for all of the {asked.days:g} days."
    )


def _as_far_as_read(
    installation: Installation, charter: Charter, window: Window
) -> tuple[Window, Sequence[Task]]:
    """Return the newest half, quarter and so on of a window that can be read at once, with its tasks.

    Half a million tasks prove what ten million would; no verdict at all would let everything stand.
    """
    for _ in range(HALVINGS_MAX):
        with suppress(LimitExceeded):
            return window, _tasks_in(installation, charter, window)
        window = Window(start=window.end - (window.end - window.start) / 2, end=window.end)
    return window, _tasks_in(installation, charter, window)


def _tasks_in(
    installation: Installation, charter: Charter, window: Window, *, task_type: str | None = None
) -> Sequence[Task]:
    return installation.lake.window(
        TaskFilter(
            agent=charter.agent,
            task_type=task_type,
            from_ns=unix_ns(window.start),
            to_ns=unix_ns(window.end),
        )
    )


def _completed(installation: Installation, charter: Charter, window: Window) -> int:
    wanted = TaskFilter(
        agent=charter.agent,
        environment=PRODUCTION,
        result=TaskResult.COMPLETED.value,
        from_ns=unix_ns(window.start),
        to_ns=unix_ns(window.end),
    )
    return sum(len(page) for page in every_page(installation.lake, wanted))


def _last_window(
    installation: Installation, charter: Charter, task_type: str, length: timedelta, now: datetime
) -> Window | None:
    """Return the window that ends with the last task of a type, so that its evidence can be seen to age."""
    page = installation.lake.tasks(
        TaskFilter(agent=charter.agent, task_type=task_type, to_ns=unix_ns(now)), limit=1
    )
    if not page.tasks:
        return None
    end = EPOCH + timedelta(microseconds=page.tasks[0].start_ns // 1_000 + 1)
    return Window(start=end - length, end=end)
