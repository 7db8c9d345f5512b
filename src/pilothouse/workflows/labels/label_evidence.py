# SPDX-License-Identifier: Apache-2.0
"""Turn labels into evidence: quality of production from drawn items, and whether the queue keeps its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.fold import version_in_force
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.review import OPEN_STATES, ItemState, ReviewSource
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.standing import answers_in_force
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import window_of, work_of
from pilothouse.core.statistics.clusters import DesignEffect, label_design_effect
from pilothouse.core.statistics.daily import RESPONSE_MIN
from pilothouse.core.statistics.drawn_labels import stratum_of_labels
from pilothouse.core.statistics.intervals import jeffreys_lower, jeffreys_upper
from pilothouse.core.statistics.judging import JudgeCard, judge_card
from pilothouse.core.statistics.quality import Stratum, quality_interval
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.ports.curation import ERASED
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.review import ITEMS_READ_MAX, ItemRecord, ReviewQueue
from pilothouse.workflows.gate.judge_cards import IN_PRODUCTION, card_evidence
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.labels.routing_threshold import routing_evidence
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.label_rates import DECIDED
from pilothouse.workflows.review.label_sampling import drawn_of
from pilothouse.workflows.review.label_thinning import drawn_labels
from pilothouse.workflows.review.strata import JUDGED, judged_by, strata_of
from pilothouse.workflows.review.trusted_labels import by_rubric_in_force

__all__ = ["as_counts", "label_evidence", "production_card", "record_label_evidence", "record_queue_evidence"]

WINDOW_DEFAULT = timedelta(days=7)
ITEMS_NAMED_MAX = 50
REVIEW = "pilothouse review"
"""The command behind what people said."""

PROMISED = (ReviewSource.HELD, ReviewSource.FLAGGED, ReviewSource.DISPUTED)
"""Sources with a time that somebody counts on; labels are due in days, and their own rules watch them."""


def record_label_evidence(
    installation: Installation, queue: ReviewQueue, directory: Directory, now: datetime
) -> int:
    """Write what labels say about every agent; equal contents count once. Return how many records are new."""
    records = [
        record
        for charter in directory.charters().values()
        for record in label_evidence(installation, queue, charter, now)
    ]
    return installation.ledger.add_evidence(records) if records else 0


def label_evidence(
    installation: Installation, queue: ReviewQueue, charter: Charter, now: datetime
) -> Iterator[Evidence]:
    """Yield the records that the labels of an agent make now."""
    yield from _queue_evidence(queue, charter, now)
    yield from routing_evidence(installation.ledger, queue, charter, now)
    for name in charter.task_types:
        if not quality_is_outcome(charter, name):
            start = now - window_of(charter, name)
            yield from _quality_evidence(installation, queue, charter, name, start=start, now=now)


def _quality_evidence(
    installation: Installation,
    queue: ReviewQueue,
    charter: Charter,
    name: str,
    *,
    start: datetime,
    now: datetime,
) -> Iterator[Evidence]:
    wanted = TaskFilter(agent=charter.agent, task_type=name, from_ns=unix_ns(start), to_ns=unix_ns(now))
    tasks = own_work(charter, work_of(charter, installation.lake.window(wanted)))
    version = version_in_force(tasks)
    tasks = [task for task in tasks if task.version_digest == version]
    if not tasks:
        return
    records = by_rubric_in_force(
        queue, charter, queue.items(charter.agent, sources=(ReviewSource.SAMPLED,), since=start), start
    )
    ours = {task.trace_id for task in tasks}
    drawn = [one for one in drawn_of(records, name, version) if one.item.trace_id in ours]
    labelled = {one.item.trace_id: one for one in drawn if one.state in DECIDED}
    if not labelled:
        return
    silent = {one.item.trace_id: one for one in drawn if _is_silent(one, now)}
    is_heard = len(labelled) >= RESPONSE_MIN * (len(labelled) + len(silent))
    outcomes = installation.ledger.outcomes(charter.agent, from_ns=unix_ns(start), to_ns=unix_ns(now))
    found = {outcome.trace_id: outcome for outcome in answers_in_force(charter, outcomes)}
    judged = judged_by(charter, installation.lake.scores(from_ns=unix_ns(start), to_ns=unix_ns(now)))
    names, placed = strata_of(charter, name, tasks, found, judged)
    strata_with = partial(_strata, names, placed, labelled, silent)
    strata = strata_with(None)
    effect = _together(labelled, {task.trace_id: task.conversation for task in tasks})
    alike = effect.value if isinstance(effect, DesignEffect) else 1.0
    estimate = quality_interval(strata, design_effect=alike) if isinstance(effect, DesignEffect) else effect
    if not is_heard and isinstance(estimate, Estimate):
        estimate = _whatever_they_would_say(estimate, strata_with(False), strata_with(True), alike)
    scope = Scope(task_type=name)
    record = partial(
        recorded, charter=charter, now=now, command=REVIEW, scope=scope, version=version, since=start
    )
    scored = sum(one.judged for one in strata) if names == JUDGED else len(labelled)
    yield record("sampling", n=len(tasks), good=scored)
    metric = str(charter.task_types[name].metric)
    is_carded = names == JUDGED and isinstance(effect, DesignEffect)
    card = production_card(charter, metric, strata, now, alike) if is_carded else None
    if card is not None and (is_heard or not card.passed):
        yield card
    if isinstance(estimate, Estimate):
        n, good = as_counts(estimate)
        wrong = [one for one, answered in labelled.items() if answered.state is not ItemState.ACCEPTED]
        yield record(
            "quality",
            n=n,
            good=good,
            items=tuple(wrong[:ITEMS_NAMED_MAX]),
            counts={"labels": len(labelled), "tasks": len(tasks)},
            method=f"labels of people, weighted by stratum and chance ({estimate.method.value})",
            detail=f"{len(labelled):,} labels over {len(tasks):,} tasks are worth {n:,} drawn without strata and with one chance: "
            f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
            + ("" if alike == 1.0 else f"; those of one conversation count as {1 / alike:.2f} each")
            + ("" if is_heard else f"; {len(silent):,} were never answered and may be anything"),
        )


def _together(
    labelled: Mapping[str, ItemRecord], conversations: Mapping[str, str | None]
) -> DesignEffect | NotEnoughEvidence:
    """Return what it costs that labels are of turns of the same conversations; 1 where each is of another one."""
    return label_design_effect(
        [one.state is ItemState.ACCEPTED for one in labelled.values()],
        [conversations.get(trace) for trace in labelled],
    )


def _is_silent(record: ItemRecord, now: datetime) -> bool:
    """Whether an item stayed without an answer: nobody could give one, or its time is over. Of what was erased nobody was asked."""
    unanswered = record.state is ItemState.UNSURE or (record.state.is_open and record.item.due_at <= now)
    return unanswered and record.item.proposal != ERASED


def _strata(
    names: Sequence[str],
    placed: Mapping[str, str],
    labelled: Mapping[str, ItemRecord],
    silent: Mapping[str, ItemRecord],
    as_if: bool | None,
) -> list[Stratum]:
    """Return what labels say of each stratum that has tasks; silent ones as if they were good or bad, or left out."""
    strata = []
    for name in names:
        here = [trace for trace, stratum in placed.items() if stratum == name]
        labels = drawn_labels([labelled[one] for one in here if one in labelled])
        if as_if is not None:
            labels += drawn_labels([silent[one] for one in here if one in silent], as_if=as_if)
        if here:
            strata.append(stratum_of_labels(name, len(here), labels))
    return strata


def _whatever_they_would_say(
    estimate: Estimate, as_bad: Sequence[Stratum], as_good: Sequence[Stratum], alike: float
) -> Estimate:
    """Return a range that is right whatever the silent ones are: people may be silent where it is hard to say."""
    low, high = (quality_interval(one, design_effect=alike) for one in (as_bad, as_good))
    assert isinstance(low, Estimate) and isinstance(high, Estimate), "more labels are enough, too"  # noqa: PT018, S101 - facts for the type checker
    return replace(estimate, low=min(low.low, estimate.low), high=max(high.high, estimate.high))


def as_counts(estimate: Estimate) -> tuple[int, int]:
    """Return the plain sample that is worth as much: rules of rates count cases and cannot weigh them.

    The size begins with that of a sample with an equally wide normal interval and falls until the interval of the plain
    counts holds the whole interval of the strata; the good ones are rounded down. So no conversion ever proves a floor
    that the strata do not prove.

    Args:
        estimate: Quality from strata, with its interval.

    Returns:
        Cases and good ones among them.
    """
    half = max((estimate.high - estimate.low) / 2, 1e-6)
    spread = max(estimate.value * (1 - estimate.value), 1 / (4 * max(estimate.n, 1)))
    most = max(1, min(math.floor(spread * (1.96 / half) ** 2), 8 * estimate.n))
    low, high = 1, most
    while low < high:  # the largest size that is wide enough: width falls with the size
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _is_as_wide(estimate, middle) else (low, middle - 1)
    return low, _good_of(estimate, low)


def _good_of(estimate: Estimate, n: int) -> int:
    return min(n, math.floor(estimate.value * n))


def _is_as_wide(estimate: Estimate, n: int) -> bool:
    good, tail = _good_of(estimate, n), (1 + estimate.level) / 2
    return jeffreys_lower(good, n, tail) <= estimate.low and jeffreys_upper(good, n, tail) >= estimate.high


def record_queue_evidence(
    installation: Installation, queue: ReviewQueue, directory: Directory, now: datetime
) -> int:
    """Write where a queue is late, as soon as it is and whenever it gets later; return how many records are new.

    The record breaches its requirement, the breach opens an incident, and the incident calls people level by level.
    """
    records = []
    for charter in directory.charters().values():
        for record in _queue_evidence(queue, charter, now):
            said = installation.ledger.evidence(
                charter.agent, since=now - WINDOW_DEFAULT, kinds=[record.kind]
            )
            known_late = said[-1].items if said else ()
            if not record.passed and set(record.items) - set(known_late):
                records.append(record)
    return installation.ledger.add_evidence(records) if records else 0


def _queue_evidence(queue: ReviewQueue, charter: Charter, now: datetime) -> Iterator[Evidence]:
    """Yield whether held outputs, and what users flagged or people dispute, were decided in time."""
    start = now - WINDOW_DEFAULT
    promised = queue.items(charter.agent, sources=PROMISED, since=start)
    if len(promised) == ITEMS_READ_MAX:  # what came before was not looked at
        start = promised[-1].item.created_at
    # What was never answered is late however long ago it came.
    waiting = queue.items(charter.agent, states=OPEN_STATES, sources=PROMISED)
    looked_at = {record.item.item_id: record for record in (*promised, *waiting)}.values()
    due = [record for record in looked_at if record.item.due_at <= now or not record.state.is_open]
    if not due:
        return
    late = [
        record
        for record in due
        if record.state is ItemState.EXPIRED or record.state.is_open or _was_late(record)
    ]
    yield recorded(
        "review.queue",
        charter,
        now,
        command=REVIEW,
        since=start,
        n=len(due),
        passed=not late,
        detail=f"{len(due) - len(late):,} of {len(due):,} held, flagged or disputed outputs were decided in time",
        items=_traces(late),
    )


def _was_late(record: ItemRecord) -> bool:
    return record.decided_at is not None and record.decided_at > record.item.due_at


def _traces(records: Sequence[ItemRecord]) -> tuple[str, ...]:
    return tuple(record.item.trace_id for record in records[:ITEMS_NAMED_MAX])


def production_card(
    charter: Charter, metric: str, strata: Sequence[Stratum], now: datetime, alike: float = 1.0
) -> Evidence | None:
    """Return the card of the judge that is named like the metric it scores, or None.

    Labels are drawn at random within what the judge passed and what it failed, which is what a card asks for.

    Args:
        charter: The charter in force; its judges have names.
        metric: Name of the metric, and of the scores that arrive.
        strata: The verdicts `pass` and `fail` of a window, with the labels in each.
        now: The moment.
        alike: What it costs that labels are of turns of the same conversations.
    """
    judges = () if is_open(charter.model.judges) else charter.model.judges or ()
    if metric not in {str(one.name) for one in judges}:
        return None  # nothing says which judge speaks
    card = judge_card(strata, identity=f"{IN_PRODUCTION}{metric}", design_effect=alike)
    if not isinstance(card, JudgeCard):
        return None
    return card_evidence(
        card,
        agent=charter.agent,
        judge=metric,
        command="pilothouse review",
        at=now,
        answers=(),
        charter=charter,
    )
