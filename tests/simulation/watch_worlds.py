# SPDX-License-Identifier: Apache-2.0
"""A simulated agent in production before the product's own watch: tasks, a judge, people who label, and the truth.

Tasks and scores come through the port of telemetry; everything else is the product: ledger on SQLite, drawing of
labels, review queue, tick, incidents.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from pilothouse.core.evidence.review import Answer, ItemState, Label
from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.statistics.quality import Stratum, quality_interval
from pilothouse.core.statistics.results import Estimate
from pilothouse.ledger.contacts import SqlContacts
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ledger.watch import SqlWatch
from pilothouse.ports.lake import AgentSeen, TaskFilter, TaskPage
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import PAGE_TASKS
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.label_sampling import draw_for_labels
from pilothouse.workflows.watch.quality import QualityState
from pilothouse.workflows.watch.room import LABELS, WatchRoom
from pilothouse.workflows.watch.tick import run_watch

AGENT = "ap-invoice-triage"
TYPE = "po_invoice"
METRIC = "rubric-v3"
FIRST = date(2026, 1, 1)
QUALITY, SE, SP = 0.94, 0.95, 0.90
JUDGED_SHARE = 0.03
RATES_AT = timedelta(hours=2)
"""When the labels of a day are first drawn: the watch has counted the day before."""
CHARTER = Path(__file__).resolve().parents[1] / "golden" / "charters" / "ap-invoice-triage.yaml"

World = Callable[[int], tuple[float, float, float]]
"""Day of the simulation → true quality, sensitivity and specificity of the judge."""


def charter_text(labels_per_day: int = 20, capacity: int = 60) -> str:
    """One task type whose metric is a judge, with the people's minutes that the wanted labels take."""
    text = CHARTER.read_text(encoding="utf-8")
    head, _, rest = text.partition("\ntask_types:\n")
    tail = rest[rest.index("unknown_task_type") :]
    text = f"{head}\ntask_types:\n  {TYPE}: {{share: 1.0}}\n{tail}"
    return (
        text.replace("metric: routed_correctly", f"metric: {METRIC}")
        .replace("min_per_window: 140", f"min_per_window: {7 * labels_per_day}")
        .replace("quality: {min: 0.95", "quality: {min: 0.90")
        .replace(
            "minutes_per_day: 240, minutes_per_item: 0.7",
            f"minutes_per_day: {2 * capacity}, minutes_per_item: 1.0",
        )
    )


FOREVER_NS = 2**62


class DayLake:
    """`ports.Lake` over the last days of a simulation: what is older has been counted."""

    def __init__(self) -> None:
        self.days: dict[date, list[Task]] = {}
        self.said: dict[date, list[Score]] = {}
        self.first_ns = 0

    def put(self, day: date, tasks: list[Task], scores: list[Score], keep: int = 9) -> None:
        self.days[day], self.said[day] = tasks, scores
        self.first_ns = self.first_ns or tasks[0].start_ns
        # The first week stays: drift is looked for against it.
        for old in [one for one in self.days if (day - one).days > keep and (one - FIRST).days >= 7]:
            del self.days[old], self.said[old]

    def _days(self, from_ns: int, to_ns: int):
        for day in sorted(self.days):
            start = ns(day)
            if start < to_ns and start + 86_400_000_000_000 > from_ns:
                yield day, start >= from_ns and start + 86_400_000_000_000 <= to_ns

    def window(self, wanted: TaskFilter):
        found: list[Task] = []
        for day, whole in self._days(wanted.from_ns, wanted.to_ns):
            tasks = self.days[day]
            found += tasks if whole else [t for t in tasks if wanted.from_ns <= t.start_ns < wanted.to_ns]
        return found

    def scores(self, *, from_ns: int, to_ns: int):
        return [
            one
            for day, _ in self._days(from_ns, to_ns)
            for one in self.said[day]
            if from_ns <= one.at_ns < to_ns
        ]

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: object = None):
        assert before is None, "no window of a simulation is longer than a page"
        whole = replace(wanted, from_ns=wanted.from_ns or 0, to_ns=wanted.to_ns or FOREVER_NS)
        found = self.window(whole)[::-1]
        assert len(found) <= limit or limit < PAGE_TASKS, "whoever reads every page would miss the older ones"
        return TaskPage(tasks=tuple(found[:limit]), next_cursor=None)

    def strays(self, wanted: TaskFilter):
        del wanted
        return ()

    def trace(self, trace_id: str, *, limit: int = 2_000):
        del trace_id, limit

    def traces(self, trace_ids: Sequence[str]):
        """Nothing is kept of spans, as after their retention."""
        del trace_ids
        return {}

    def agents(self):
        return [AgentSeen(agent=AGENT, tasks=1, first_ns=self.first_ns, last_ns=self.first_ns, versions=())]


def ns(day: date) -> int:
    return int(datetime.combine(day, time.min, tzinfo=UTC).timestamp()) * 1_000_000_000


def day_of_tasks(rng, n, quality, se, sp):
    """Of each task of a day: whether it is good, whether the judge looks at it, and what it says."""
    good = rng.random(n) < quality
    judged = rng.random(n) < max(JUDGED_SHARE, min(300 / n, 1.0))
    return good, judged, np.where(good, rng.random(n) < se, rng.random(n) >= sp)


def trace_of(day: date, number: int) -> str:
    return f"{day:%Y%m%d}{number:024x}"


def begins_ns(n: int, number: int) -> int:
    """When a task of a day begins, nanoseconds after midnight; its score comes two seconds later."""
    return number * (86_000_000_000_000 // n)


@dataclass
class Simulation:
    """The agent, its lake and the product around it."""

    watch: WatchRoom
    lake: DayLake
    rng: np.random.Generator
    tasks_per_day: int
    truth: dict[str, bool]
    verdicts: dict[str, bool] = field(default_factory=dict)
    day: date = FIRST
    labels: int = 0

    def live(self, quality: float, se: float = SE, sp: float = SP) -> None:
        """Let one day pass: tasks, the judge's sample, the draw, people's answers, and the ticks of the next night."""
        tasks, scores = self._tasks(quality, se, sp)
        self.lake.put(self.day, tasks, scores)
        midnight = datetime.combine(self.day + timedelta(days=1), time.min, tzinfo=UTC)
        installation, queue = self.watch.room.installation, self.watch.queue
        # Rates are fixed in the morning, before the first task of the day is looked at; then people answer.
        morning = midnight - timedelta(days=1) + RATES_AT
        draw_for_labels(installation, queue, self.watch.directory, morning)
        draw_for_labels(installation, queue, self.watch.directory, midnight + timedelta(minutes=50))
        self._answer(midnight + timedelta(minutes=55))
        run_watch(self.watch, midnight + timedelta(minutes=65))
        self.day += timedelta(days=1)

    def run(self, world: World, days: int, *, until_alarm: bool = False) -> int | None:
        """Let days pass; return after how many the first incident about quality stood, None for never."""
        for number in range(days):
            self.live(*world(number))
            if until_alarm and self.alarms():
                return number + 1
        return None

    def save(self, folder: Path) -> None:
        """Keep what the ledger does not: yesterday's tasks and the truth."""
        kept = (
            self.lake.days,
            self.lake.said,
            self.lake.first_ns,
            self.truth,
            self.verdicts,
            self.day,
            self.labels,
        )
        (folder / "world.pickle").write_bytes(pickle.dumps(kept))

    def load(self, folder: Path) -> None:
        """Go on from where another simulation was saved."""
        kept = pickle.loads((folder / "world.pickle").read_bytes())
        (
            self.lake.days,
            self.lake.said,
            self.lake.first_ns,
            self.truth,
            self.verdicts,
            self.day,
            self.labels,
        ) = kept

    def quality_state(self) -> QualityState:
        """What the watch remembers of the labels."""
        kept = self.watch.room.watch.states(AGENT)[TYPE, LABELS]
        return TypeAdapter(QualityState).validate_json(kept.document)

    def uniform_labels(self, half: float, until: date, days: int = 28) -> int:
        """How many labels drawn without regard to the judge give the same half width, measured on the same tasks."""
        first, last = (until - timedelta(days=days)).strftime("%Y%m%d"), until.strftime("%Y%m%d")
        traces = [one for one in self.verdicts if first <= one[:8] < last]
        low, high = 30, len(traces)
        while high - low > 5:
            middle = (low + high) // 2
            if self._width(traces, middle) <= half:
                high = middle
            else:
                low = middle
        return high

    def _width(self, traces: list[str], n: int, draws: int = 12) -> float:
        widths = []
        for _ in range(draws):
            labelled = {traces[i] for i in self.rng.choice(len(traces), n, replace=False)}
            strata = []
            for name, verdict in (("pass", True), ("fail", False)):
                own = [one for one in traces if self.verdicts[one] is verdict]
                said = [one for one in own if one in labelled]
                good = sum(self.truth[one] for one in said)
                strata.append(Stratum(name=name, judged=len(own), labelled=len(said), good=good))
            estimate = quality_interval(strata)
            widths.append((estimate.high - estimate.low) / 2 if isinstance(estimate, Estimate) else 1.0)
        return float(np.mean(widths))

    def alarms(self, detector: str = "quality") -> list[date]:
        """Days on which a detector raised the alarm."""
        readings = self.watch.room.watch.readings(AGENT, since=FIRST, detector=detector)
        return [one.day for one in readings if one.layer != "quiet"]

    def _tasks(self, quality: float, se: float, sp: float) -> tuple[list[Task], list[Score]]:
        n, start = self.tasks_per_day, ns(self.day)
        good, judged, passed = day_of_tasks(self.rng, n, quality, se, sp)
        tasks, scores = [], []
        for i in range(n):
            trace, begin = trace_of(self.day, i), start + begins_ns(n, i)
            tasks.append(
                Task(
                    trace_id=trace,
                    agent=AGENT,
                    task_type=TYPE,
                    version_digest="v1",
                    result=TaskResult.COMPLETED,
                    start_ns=begin,
                    end_ns=begin + 1_000_000_000,
                    duration_ns=1_000_000_000,
                    input_preview=f"invoice {zlib.crc32(trace.encode())} of supplier {i % 7}",
                )
            )
            if judged[i]:
                self.truth[trace] = bool(good[i])
                self.verdicts[trace] = bool(passed[i])
                scores.append(
                    Score(
                        trace_id=trace,
                        span_id="",
                        name=METRIC,
                        value=float(passed[i]),
                        label="pass" if passed[i] else "fail",
                        explanation="",
                        source="judge",
                        at_ns=begin + 2_000_000_000,
                    )
                )
        return tasks, scores

    def _answer(self, now: datetime) -> None:
        """People answer everything that waits, and are right."""
        waiting = self.watch.queue.items(AGENT, states=(ItemState.WAITING,), since=now - timedelta(days=3))
        for record in waiting:
            item = record.item
            if item.pair_of is not None:
                continue  # the same person's answer settles the second look, which these worlds do not simulate
            good = self.truth.get(item.trace_id, True)
            self.watch.queue.answer(
                Label(
                    item_id=item.item_id,
                    agent=AGENT,
                    reviewer=item.only_for or "lee",
                    answer=Answer.ACCEPT if good else Answer.REJECT,
                    at=now,
                )
            )
            self.labels += 1


class _Clock:
    def __init__(self) -> None:
        self.moment = datetime.combine(FIRST, time.min, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@contextmanager
def simulation(folder: Path, seed: int, *, tasks_per_day: int = 10_000, labels_per_day: int = 20):
    """Open a simulated agent with its charter in force since the first day."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "charter.yaml"
    path.write_text(charter_text(labels_per_day), encoding="utf-8")
    settings = load_settings({}, home=folder / "home")
    clock = _Clock()
    with open_ledger(settings.ledger_url) as ledger:
        ledger.accept_charter(
            agent=AGENT,
            digest="d" * 64,
            text=path.read_text(encoding="utf-8"),
            path=str(path),
            at=clock.moment,
        )
        lake = DayLake()
        installation = Installation(settings=settings, clock=clock, lake=lake, ledger=ledger)
        room = ControlRoom(
            installation=installation,
            controls=SqlControls(ledger.database),
            incidents=SqlIncidents(ledger.database),
            work=SqlWork(ledger.database),
            contacts=SqlContacts(ledger.database),
            notifier=_Silent(),
            watch=SqlWatch(ledger.database),
        )
        watch = WatchRoom(
            room=room,
            queue=SqlReviewQueue(ledger.database),
            said=SqlFeedback(ledger.database),
            directory=Directory(ledger),
        )
        yield Simulation(
            watch=watch,
            lake=lake,
            rng=np.random.default_rng(seed),
            tasks_per_day=tasks_per_day,
            truth={},
        )


class _Silent:
    """A notifier that reaches nobody: the simulation is about what is noticed."""

    def send(self, url: str, message: object) -> str:
        del url, message
        return "simulation"


@contextmanager
def many_agents(folder: Path, agents: int, types: int, tasks: int):
    """Open the watch over many agents with many task types; yields it and a function that lets a day pass."""
    names = [f"agent-{number:03}" for number in range(agents)]
    kinds = [f"type_{number}" for number in range(types)]
    with simulation(folder, 0) as one:
        ledger = one.watch.room.installation.ledger
        listed = "".join(f"  {kind}: {{share: {1 / types}}}\n" for kind in kinds)
        for name in names:
            text = charter_text().replace(f"  {TYPE}: {{share: 1.0}}\n", listed).replace(AGENT, name)
            ledger.accept_charter(
                agent=name, digest=name, text=text, path="c.yaml", at=one.watch.room.installation.clock.now()
            )
        lake = _ManyLake(names, kinds, tasks)
        object.__setattr__(one.watch.room.installation, "lake", lake)
        yield one.watch, lake.live


class _ManyLake(DayLake):
    """Few tasks of many agents; a day is made when it is lived."""

    def __init__(self, names: list[str], kinds: list[str], tasks: int) -> None:
        super().__init__()
        self.names, self.kinds, self.tasks_per_type = names, kinds, tasks
        self.by_agent: dict[tuple[str, date], list[Task]] = {}
        self.day = FIRST

    def live(self) -> None:
        start = ns(self.day)
        for agent in self.names:
            self.by_agent[agent, self.day] = [
                Task(
                    trace_id=f"{agent[-3:]}{self.day:%Y%m%d}{kind[-1]}{number:020x}",
                    agent=agent,
                    task_type=kind,
                    version_digest="v1",
                    result=TaskResult.COMPLETED,
                    start_ns=start + number * 10**12,
                    end_ns=start + number * 10**12 + 10**9,
                    duration_ns=10**9,
                )
                for kind in self.kinds
                for number in range(self.tasks_per_type)
            ]
        self.days[self.day], self.said[self.day] = [], []
        self.day += timedelta(days=1)

    def window(self, wanted: TaskFilter):
        return [
            task
            for day, _ in self._days(wanted.from_ns, wanted.to_ns)
            for task in self.by_agent.get((wanted.agent, day), ())
        ]

    def agents(self):
        return [
            AgentSeen(agent=name, tasks=1, first_ns=ns(FIRST), last_ns=ns(FIRST), versions=())
            for name in self.names
        ]
