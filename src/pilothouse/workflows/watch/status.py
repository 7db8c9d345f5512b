# SPDX-License-Identifier: Apache-2.0
"""What each detector of an agent says now, how often it cries wolf, and after how many days it would notice what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.watched import Coverage, DetectorStatus, FailureGroup
from pilothouse.core.verdict.task_cost import Spent, TaskCost, task_cost
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.ports.watch import WatchReading, WatchStore
from pilothouse.workflows.review.label_rates import LOW_VOLUME_PER_DAY
from pilothouse.workflows.review.strata import JUDGED
from pilothouse.workflows.watch.count import REVIEWED
from pilothouse.workflows.watch.errors import ERRORS, failure_groups
from pilothouse.workflows.watch.further_cost import FurtherCost, further_costs
from pilothouse.workflows.watch.missed import MissedAlarm, missed_alarms
from pilothouse.workflows.watch.overall import overall_rows
from pilothouse.workflows.watch.row import kept_promise, still_counted
from pilothouse.workflows.watch.rules import watched_rates
from pilothouse.workflows.watch.typed import claim_rows, label_rows, rate_row

__all__ = ["WatchStatus", "read_lately", "watch_status"]

WINDOW_DEFAULT = timedelta(days=7)


WINDOW_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """All detectors of an agent.

    Attributes:
        agent: Agent id.
        detectors: One for each rate and task type, then those of the whole agent.
        failures: Kinds of failure of the last 28 counted days with who answers for them, most frequent first.
        coverage: How many tasks of each task type were scored, against what the charter declares.
        cost: What a task cost all-in in the last 28 counted days, or None before the first task is counted.
        further: The part of it beside model calls, for each finished task of the types whose charter counts it.
        missed: Alarms of the last eight weeks that called nobody, because their day was counted too late.
    """

    agent: str
    detectors: tuple[DetectorStatus, ...]
    failures: tuple[FailureGroup, ...]
    coverage: tuple[Coverage, ...]
    cost: TaskCost | None = None
    further: tuple[FurtherCost, ...] = ()
    missed: tuple[MissedAlarm, ...] = ()


def read_lately(store: WatchStore, agent: str, today: date) -> Sequence[WatchReading]:
    """Return the readings that the last 28 counted days of each detector are among, oldest first.

    Labels take days to come, so their last 28 counted days lie further back than those of traffic.
    """
    return store.readings(agent, since=today - timedelta(days=2 * WINDOW_DAYS))


def watch_status(
    store: WatchStore,
    charter: Charter,
    today: date,
    *,
    verdict: AgentVerdict | None = None,
    readings: Sequence[WatchReading] | None = None,
) -> WatchStatus:
    """Return what the detectors of an agent say.

    Args:
        store: States and readings.
        charter: The charter in force.
        today: The present day, UTC.
        verdict: The newest verdict, for what it looks at itself; None where only delays are asked for.
        readings: What `read_lately` returned, where somebody has read it already.
    """
    states = store.states(charter.agent)
    said: dict[tuple[str, str], list[WatchReading]] = {}
    lately = read_lately(store, charter.agent, today) if readings is None else readings
    for reading in lately:
        said.setdefault((reading.task_type, reading.detector), []).append(reading)
    newest = {key: own[-WINDOW_DAYS:] for key, own in said.items()}
    rows = [
        *(
            rate_row(one, states, newest.get((one.task_type, one.metric), ()))
            for one in watched_rates(charter)
        ),
        *label_rows(charter, states, newest),
        *claim_rows(charter, states, newest),
        *overall_rows(charter, states, newest, verdict),
    ]
    cost = _all_in(charter, newest)
    counted = [one for own in newest.values() for one in own]
    return WatchStatus(
        agent=charter.agent,
        detectors=tuple(still_counted(kept_promise(charter, row), today) for row in rows),
        failures=failure_groups(charter, newest.get(("", ERRORS), ())),
        coverage=tuple(_coverage_of(charter, newest)),
        cost=cost,
        further=tuple(further_costs(charter, cost, counted)),
        missed=missed_alarms(lately),
    )


def _all_in(charter: Charter, newest: Mapping[tuple[str, str], Sequence[WatchReading]]) -> TaskCost | None:
    """The last 28 counted days of traffic, with what people decided on them."""
    traffic = [one for (_, detector), said in newest.items() if detector == "traffic" for one in said]
    days = [one.day for one in traffic]
    documents = [json.loads(one.document) for one in traffic]
    tasks = sum(one["tasks"] for one in documents)
    if not tasks:
        return None
    reviewed = [one for one in newest.get(("", REVIEWED), ()) if min(days) <= one.day <= max(days)]
    whole = len({one.day for one in reviewed}) == len(set(days))
    spent = Spent(
        days=(max(days) - min(days)).days + 1,
        tasks=tasks,
        model_usd=sum(sum(one["usd"]) for one in documents),
        unpriced=sum(one["unpriced"] for one in documents),
        reviewed=sum(sum(json.loads(one.document)["items"].values()) for one in reviewed) if whole else None,
    )
    return task_cost(charter, spent)


def _coverage_of(
    charter: Charter, said: Mapping[tuple[str, str], Sequence[WatchReading]]
) -> Iterator[Coverage]:
    """Yield what was scored of each task type in the last window whose scores are all in.

    Args:
        charter: The charter in force.
        said: Readings of the last counted days by task type and detector, oldest first.
    """
    for name, terms in charter.task_types.items():
        length = (known(terms.sampling.window) or WINDOW_DEFAULT) // timedelta(days=1)
        is_outcome = quality_is_outcome(charter, name)
        counted = said.get((name, "discrepancy" if is_outcome else "quality"), ())
        if not counted:
            continue
        until = counted[-1].day
        window = [one for one in counted if (until - one.day).days < length]
        documents = [json.loads(one.document) for one in window]
        traffic = sum(
            json.loads(one.document)["tasks"]
            for one in said.get((name, "traffic"), ())
            if 0 <= (until - one.day).days < length
        )
        tasks, scored, labelled, by = (
            _by_record(documents, _claims(said, name, until, length))
            if is_outcome
            else _by_labels(documents, traffic)
        )
        share = known(terms.sampling.rate)
        if not is_outcome and 0 < traffic / max(len(window), 1) < LOW_VOLUME_PER_DAY:
            share = 1.0
        yield Coverage(
            task_type=name,
            days=len(window),
            until=until,
            tasks=tasks,
            scored=scored,
            labelled=labelled,
            declared=share,
            least=known(terms.sampling.min_per_window),
            by=by,
        )


def _claims(
    said: Mapping[tuple[str, str], Sequence[WatchReading]], name: str, until: date, length: int
) -> int:
    """Claims of the window, answered by the system of record or not: a task that claims nothing cannot be checked."""
    return sum(
        json.loads(one.document)["n"]
        for one in said.get((name, "unverifiable"), ())
        if 0 <= (until - one.day).days < length
    )


def _by_record(documents: Sequence[Mapping[str, int]], claims: int) -> tuple[int, int, int, str]:
    answered = sum(one["n"] for one in documents)
    return max(claims, answered), answered, 0, "the system of record"


def _by_labels(
    documents: Sequence[Mapping[str, Mapping[str, Sequence[int]]]], traffic: int
) -> tuple[int, int, int, str]:
    tallies = [pair for one in documents for pair in one["tallies"].items()]
    labelled = sum(tally[2] for _, tally in tallies)
    judged = sum(tally[0] for name, tally in tallies if name in JUDGED)
    is_judged = judged > 0
    return traffic, judged if is_judged else labelled, labelled, "a judge" if is_judged else "people"
