# SPDX-License-Identifier: Apache-2.0
"""How likely each task of a day is drawn for a label: fixed before its first task is looked at, where labels say most."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.evidence.unix_time import midnight, unix_ns
from pilothouse.core.evidence.work import work_of
from pilothouse.core.statistics.allocation import allocate_labels
from pilothouse.core.statistics.quality import Stratum
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import every_page
from pilothouse.workflows.review.load import reviews_per_day
from pilothouse.workflows.review.strata import JUDGED, STRATA, judged_by, strata_of

__all__ = [
    "BURST",
    "DECIDED",
    "RATES",
    "capacity_per_day",
    "label_chances",
    "label_window",
    "labels_per_day",
    "rates_fixed",
    "rates_of_day",
]


@dataclass(slots=True)
class _SeenTasks:
    """What came in a window, counted page by page: a week of a large agent is more than memory holds.

    Attributes:
        first_ns: Start of the first task, or of the window while there is none.
        tasks: Tasks.
        of_type: Tasks of each type.
        judged: Of each type, tasks by what its judge said, as far as one scored any.
        placed: Of each type, tasks by what the system of record says.
    """

    first_ns: int
    tasks: int = 0
    of_type: Counter[str] = field(default_factory=Counter)
    judged: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    placed: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


RATES = "review.sampling"
"""Kind of the decision that fixes the rates of a day."""

BURST = "watch.burst"
"""Kind of the decision that a warning bought labels: task type, labels a day, first and last day."""

DECIDED = (ItemState.ACCEPTED, ItemState.CORRECTED, ItemState.REJECTED)

LABEL_SHARE = 0.5
"""Share of the reviewers' minutes that labels may take: held outputs wait for people and come first."""

LOW_VOLUME_PER_DAY = 50
"""Tasks a day below which every one is asked about: a sample of few is nothing."""

FIRST_HOURS_MIN = 1.0
"""Hours that an agent's first day is taken to have lasted at least, when its volume is guessed from what has come so far."""

WINDOW = timedelta(days=7)
"""Tasks from which the volume and the strata's shares of it are read."""

LABEL_WINDOW = timedelta(days=28)
"""Labels from which it is read where labels say most: a week's are so few that the shares jump, and with them the weights
that the detector counts by; falls were then found later (decision 0132). As long as predictions look back."""

RATES_READ_MAX = 60
"""Days of rates that are looked through: a label term is days, not months."""

BURSTS_READ_MAX = 500
"""Bursts that are looked through: of each of twenty task types two in 20 days, and 20 single days in 40."""


def rates_fixed(ledger: Ledger, agent: str, day: str) -> Mapping[str, Mapping[str, float]] | None:
    """Return the chances of a day as they were fixed, by task type and stratum; None when they never were.

    Args:
        ledger: Where decisions stand.
        agent: Agent id.
        day: Day of the tasks, ISO 8601.
    """
    for decision in ledger.decisions(agent, kind=RATES, limit=RATES_READ_MAX):
        document = json.loads(decision.document)
        if document["day"] == day:
            rates: Mapping[str, Mapping[str, float]] = document["rates"]
            return rates
    return None


def rates_of_day(
    installation: Installation, queue: ReviewQueue, charter: Charter, day: str, now: datetime
) -> Mapping[str, Mapping[str, float]]:
    """Return the chances of a day, fixed now if they never were; nobody to be asked is fixed when the day is over.

    A server is started before its agent, and a charter is filled in while it runs: what the first look finds to be empty
    would keep people from being asked about anything until midnight.

    Args:
        installation: Lake and ledger.
        queue: Labels of the last window.
        charter: The charter in force.
        day: Day of the tasks, ISO 8601.
        now: The moment, aware UTC.
    """
    rates = rates_fixed(installation.ledger, charter.agent, day)
    if rates is None:
        rates = _allocate(installation, queue, charter, day, now)
        if not rates and day >= now.date().isoformat():
            return rates
        installation.ledger.record(
            kind=RATES,
            agent=charter.agent,
            at=now,
            actor="pilothouse",
            document=canonical_json({"day": day, "rates": rates}),
        )
    return rates


def capacity_per_day(charter: Charter) -> float:
    """Return how many labels a day people have time for."""
    return LABEL_SHARE * (reviews_per_day(charter) or 0.0)


def labels_per_day(charter: Charter, name: str, judged: float) -> int:
    """Return how many labels a day are usually asked for where a judge scores: the charter's least per window.

    Args:
        charter: The charter in force.
        name: Task type.
        judged: Tasks that the judge scores a day.
    """
    sampling = charter.task_types[name].sampling
    least, window = known(sampling.min_per_window), known(sampling.window) or WINDOW
    return round(judged if least is None else min(least / (window / timedelta(days=1)), judged))


def _allocate(
    installation: Installation, queue: ReviewQueue, charter: Charter, day: str, now: datetime
) -> dict[str, dict[str, float]]:
    capacity = capacity_per_day(charter)
    if not capacity:
        return {}
    # The day's own tasks must not decide their chances, so the week ends at its midnight (decision 0154).
    until = midnight(date.fromisoformat(day))
    seen = _seen_between(installation, charter, until - WINDOW, until, now)
    is_first = not seen.tasks
    if is_first:
        until = now  # nothing came before it: its own first hours must do
        seen = _seen_between(installation, charter, until - WINDOW, until, now)
    bursts = _bursts(installation.ledger, charter.agent, day)
    labelled = _labelled(queue, charter.agent, now)
    # An agent that is younger than the window had its tasks in fewer days, and on its first day in hours.
    least = FIRST_HOURS_MIN / 24 if is_first else 1.0
    days = max((unix_ns(until) - seen.first_ns) / 86_400e9, least)
    rates: dict[str, dict[str, float]] = {}
    for name in charter.task_types:
        mine = seen.of_type[name]
        if not mine:
            continue
        names = JUDGED if seen.judged[name] else STRATA
        counts = seen.judged[name] or seen.placed[name]
        window = label_window(
            {one: counts[one] for one in names}, {one: labelled[name, one] for one in names}
        )
        chances = label_chances(
            charter,
            name,
            window,
            counts.total() / days,
            bought=bursts.get(name),
            capacity=capacity * mine / seen.tasks,
            is_low=counts.total() / max(days, 1.0) < LOW_VOLUME_PER_DAY,
        )
        if chances:
            rates[name] = chances
    return rates


def label_window(judged: Mapping[str, int], labelled: Mapping[str, tuple[int, int]]) -> tuple[Stratum, ...]:
    """Return the strata as allocation wants them: shares of the volume by the last week, answers by the last four.

    Args:
        judged: Tasks of `WINDOW` by stratum.
        labelled: Labels of `LABEL_WINDOW` and good ones among them, by stratum.
    """
    weeks = LABEL_WINDOW // WINDOW
    return tuple(
        Stratum(
            name=name,
            judged=max(weeks * count, labelled[name][0]),
            labelled=labelled[name][0],
            good=labelled[name][1],
        )
        for name, count in judged.items()
    )


def label_chances(
    charter: Charter,
    name: str,
    window: Sequence[Stratum],
    per_day: float,
    *,
    bought: int | None,
    capacity: float,
    is_low: bool = False,
) -> dict[str, float]:
    """Return how likely a task of each stratum is drawn on one day; empty when nobody is asked.

    Args:
        charter: The charter in force.
        name: Task type.
        window: What is known and labelled of the last days, one for each stratum.
        per_day: Tasks a day that belong to a stratum.
        bought: Labels a day that a warning bought for this day, or None.
        capacity: Labels a day that people have time for.
        is_low: Whether so few tasks came that people are asked about all of them, as far as their time goes.
    """
    is_judged = tuple(one.name for one in window) == JUDGED
    wanted = _budget(charter, name, per_day, is_judged=is_judged, bought=bought, is_low=is_low)
    budget = min(wanted, per_day, capacity)
    if budget <= 0:
        return {}
    return {rate.name: rate.probability for rate in allocate_labels(window, per_day, budget)}


def _budget(
    charter: Charter, name: str, per_day: float, *, is_judged: bool, bought: int | None, is_low: bool
) -> float:
    """Labels a day of one task type, before people's time is looked at."""
    if is_judged:
        return float(max(bought or 0, labels_per_day(charter, name, per_day)))
    share = known(charter.task_types[name].sampling.rate)
    if share is None:
        return 0.0
    if is_low:
        return per_day
    least = known(charter.task_types[name].sampling.min_per_window)
    floor = 0 if least is None else labels_per_day(charter, name, per_day)
    return max(share * per_day, floor, bought or 0)


def _bursts(ledger: Ledger, agent: str, day: str) -> dict[str, int]:
    """Return the labels that warnings have bought for a day, by task type."""
    bought: dict[str, int] = {}
    for decision in ledger.decisions(agent, kind=BURST, limit=BURSTS_READ_MAX):
        document = json.loads(decision.document)
        if document["from"] <= day <= document["to"]:
            name = document["task_type"]
            bought[name] = max(bought.get(name, 0), int(document["labels"]))
    return bought


def _labelled(queue: ReviewQueue, agent: str, now: datetime) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return labels of `LABEL_WINDOW` and good ones among them, by task type and stratum."""
    counts: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    records = queue.items(agent, states=DECIDED, sources=(ReviewSource.SAMPLED,), since=now - LABEL_WINDOW)
    for record in records:
        if record.item.pair_of is not None:
            continue  # another opinion on a label is no other label
        key = (record.item.task_type, record.item.why.removeprefix("drawn from ").split(" ")[0])
        labelled, good = counts[key]
        counts[key] = (labelled + 1, good + (record.state is ItemState.ACCEPTED))
    return counts


def _seen_between(
    installation: Installation, charter: Charter, start: datetime, until: datetime, now: datetime
) -> _SeenTasks:
    """Return what came in a half-open window.

    Args:
        installation: Lake and ledger.
        charter: The charter in force.
        start: Its start, aware UTC.
        until: Its end.
        now: The moment: a judge may speak after the window.
    """
    start_ns = unix_ns(start)
    wanted = TaskFilter(agent=charter.agent, from_ns=start_ns, to_ns=unix_ns(until))
    judged = judged_by(charter, installation.lake.scores(from_ns=start_ns, to_ns=unix_ns(now)))
    seen = _SeenTasks(first_ns=start_ns)
    for read in every_page(installation.lake, wanted):
        page = work_of(charter, read)
        outcomes = installation.ledger.outcomes_of([task.trace_id for task in page]) if page else {}
        seen.tasks += len(page)
        seen.first_ns = page[-1].start_ns if page else seen.first_ns
        for name in charter.task_types:
            mine = [task for task in page if task.task_type == name]
            seen.of_type[name] += len(mine)
            names, strata = strata_of(charter, name, mine, outcomes, judged)
            if names == JUDGED:
                seen.judged[name].update(strata.values())
            seen.placed[name].update(strata_of(charter, name, mine, outcomes, {})[1].values())
    return seen
