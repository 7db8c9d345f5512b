# SPDX-License-Identifier: Apache-2.0
"""Draw delivered outputs for labels, each by its own coin, where labels say most, within what reviewers can do."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    ItemState,
    ReviewItem,
    ReviewSource,
    content_digest,
    item_digest,
)
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.statistics.allocation import allocate_labels
from pilothouse.core.statistics.quality import Stratum
from pilothouse.ports import ItemRecord, Lake, ReviewQueue, TaskFilter
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.people import Directory

__all__ = ["STRATA", "draw_for_labels", "item_of_task", "sampled_in", "stratum_of", "task_texts"]

STRATA = ("verified", "contradicted", "unknown")
"""What is known of a task without a person: labels say most where this is least sure."""

SETTLE = timedelta(minutes=15)
"""A task is drawn this long after its start, so that its late spans and a quick verifier are in."""

LABEL_TERM = timedelta(days=5)
"""How long a label may take; the charter's windows are longer."""

LABEL_SHARE = 0.5
"""Share of the reviewers' minutes that labels may take: held outputs wait for people and come first."""

SECOND_SHARE = 0.10
"""Share of drawn items that a second person answers blind, so that agreement is known."""

REPEAT_SHARE = 0.05
"""Share of a reviewer's own answers that come back a week later, so that consistency is known."""

REPEAT_AFTER = timedelta(days=7)
DRAWN_AT_ONCE_MAX = 200
"""Items added by one look; the next look takes the rest, so that no transaction is long."""

WINDOW = timedelta(days=7)
KIND = "review.sampling"
_DECIDED = (ItemState.ACCEPTED, ItemState.CORRECTED, ItemState.REJECTED)


def draw_for_labels(
    installation: Installation, queue: ReviewQueue, directory: Directory, now: datetime
) -> int:
    """Draw from the tasks of the last day, for every agent with a charter; return how many items are new.

    The rates of a day are fixed before its first task is looked at, and kept as a decision.

    Args:
        installation: Lake and ledger.
        queue: Where items go.
        directory: The charters.
        now: The moment.
    """
    new = 0
    for agent, charter in directory.charters().items():
        for day in (now - timedelta(days=1), now):
            rates = _rates_of_day(installation, queue, charter, day.date().isoformat(), now)
            new += _draw_day(installation, queue, charter, rates, day=day, now=now)
        new += _second_looks(queue, agent, now)
    return new


def stratum_of(outcome: Outcome | None) -> str:
    """Return what is known of a task without a person.

    Example:
        >>> stratum_of(None)
        'unknown'
    """
    if outcome is not None and outcome.status is OutcomeStatus.VERIFIED:
        return "verified"
    if outcome is not None and outcome.status is OutcomeStatus.CONTRADICTED:
        return "contradicted"
    return "unknown"


def _tasks(installation: Installation, agent: str, start: datetime, end: datetime) -> Sequence[Task]:
    return installation.lake.window(TaskFilter(agent=agent, from_ns=unix_ns(start), to_ns=unix_ns(end)))


def _rates_of_day(
    installation: Installation, queue: ReviewQueue, charter: Charter, day: str, now: datetime
) -> Mapping[str, Mapping[str, float]]:
    """Return the chance of a label by task type and stratum, fixed once for each day."""
    for decision in installation.ledger.decisions(charter.agent, kind=KIND, limit=10):
        document = json.loads(decision.document)
        if document["day"] == day:
            rates: Mapping[str, Mapping[str, float]] = document["rates"]
            return rates
    rates = _allocate(installation, queue, charter, now)
    installation.ledger.record(
        kind=KIND,
        agent=charter.agent,
        at=now,
        actor="pilothouse",
        document=canonical_json({"day": day, "rates": rates}),
    )
    return rates


def _allocate(
    installation: Installation, queue: ReviewQueue, charter: Charter, now: datetime
) -> dict[str, dict[str, float]]:
    tasks = _tasks(installation, charter.agent, now - WINDOW, now)
    outcomes = installation.ledger.outcomes(charter.agent, from_ns=unix_ns(now - WINDOW), to_ns=unix_ns(now))
    found = {outcome.trace_id: outcome for outcome in outcomes}
    minutes, each = known(charter.reviewers.minutes_per_day), known(charter.reviewers.minutes_per_item)
    capacity = LABEL_SHARE * float(minutes or 0) / float(each) if each else 0.0
    labelled = _labelled(queue, charter.agent, now)
    rates: dict[str, dict[str, float]] = {}
    days = WINDOW / timedelta(days=1)
    for name, terms in charter.task_types.items():
        mine = [task for task in tasks if task.task_type == name]
        share = known(terms.sampling.rate)
        if not mine or share is None or not capacity:
            continue
        budget = min(share * len(mine) / days, capacity * len(mine) / len(tasks))
        judged = dict.fromkeys(STRATA, 0)
        for task in mine:
            judged[stratum_of(found.get(task.trace_id))] += 1
        strata = [
            Stratum(
                name=stratum,
                judged=max(judged[stratum], labelled[name, stratum][0]),
                labelled=labelled[name, stratum][0],
                good=labelled[name, stratum][1],
            )
            for stratum in STRATA
        ]
        allocated = allocate_labels(strata, len(mine) / days, budget)
        rates[name] = {rate.name: rate.probability for rate in allocated}
    return rates


def _labelled(queue: ReviewQueue, agent: str, now: datetime) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return labels of the window and good ones among them, by task type and stratum."""
    counts: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    records = queue.items(agent, states=_DECIDED, sources=(ReviewSource.SAMPLED,), since=now - WINDOW)
    for record in records:
        key = (record.item.task_type, record.item.why.removeprefix("drawn from ").split(" ")[0])
        labelled, good = counts[key]
        counts[key] = (labelled + 1, good + (record.state is ItemState.ACCEPTED))
    return counts


def _draw_day(
    installation: Installation,
    queue: ReviewQueue,
    charter: Charter,
    rates: Mapping[str, Mapping[str, float]],
    *,
    day: datetime,
    now: datetime,
) -> int:
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    end = min(start + timedelta(days=1), now - SETTLE)
    if end <= start or not rates:
        return 0
    salt = f"{charter.agent} {start.date()}"
    tasks = [task for task in _tasks(installation, charter.agent, start, end) if task.task_type in rates]
    # The least chance bounds what can win at all, before anything is looked up.
    most = {name: max(chances.values()) for name, chances in rates.items()}
    lucky = [task for task in tasks if _coin(task.trace_id, salt) < most[task.task_type]]
    outcomes = installation.ledger.outcomes_of([task.trace_id for task in lucky][: DRAWN_AT_ONCE_MAX * 10])
    items: list[ReviewItem] = []
    for task in lucky:
        outcome = outcomes.get(task.trace_id)
        if outcome is not None and outcome.status is OutcomeStatus.PENDING:
            continue
        stratum = stratum_of(outcome)
        chance = rates[task.task_type][stratum]
        if _coin(task.trace_id, salt) >= chance or len(items) >= DRAWN_AT_ONCE_MAX:
            continue
        item_id = item_digest(ReviewSource.SAMPLED, task.agent, task.trace_id, "")
        if queue.record(item_id) is None:
            item = item_of_task(
                installation.lake,
                charter,
                task,
                source=ReviewSource.SAMPLED,
                why=f"drawn from {stratum} tasks with probability {chance:.3f}",
                now=now,
                due=now + LABEL_TERM,
                probability=chance,
            )
            items.append(item)
            if _coin(task.trace_id, f"second {salt}") < SECOND_SHARE:
                items.append(_again(item, now, salt="second"))
    return queue.add(items) if items else 0


def _second_looks(queue: ReviewQueue, agent: str, now: datetime) -> int:
    """Give a share of a reviewer's own answers back after a week, unmarked."""
    old = queue.items(
        agent, states=_DECIDED, sources=(ReviewSource.SAMPLED,), since=now - 4 * REPEAT_AFTER, limit=2_000
    )
    again = []
    for record in old:
        decided = record.decided_at
        if decided is None or not REPEAT_AFTER <= now - decided <= 2 * REPEAT_AFTER or record.item.pair_of:
            continue
        if _coin(record.item.item_id, "repeat") < REPEAT_SHARE:
            item = _again(record.item, now, salt="repeat", only_for=record.decided_by)
            if queue.record(item.item_id) is None:
                again.append(item)
    return queue.add(again[:DRAWN_AT_ONCE_MAX]) if again else 0


def _again(item: ReviewItem, now: datetime, *, salt: str, only_for: str | None = None) -> ReviewItem:
    return ReviewItem(
        item_id=item_digest(item.source, item.agent, item.trace_id, item.call_digest, salt),
        agent=item.agent,
        task_type=item.task_type,
        trace_id=item.trace_id,
        version=item.version,
        source=ReviewSource.CANARY if only_for else item.source,
        why="your own answer of a week ago" if only_for else item.why,
        input=item.input,
        proposal=item.proposal,
        used=item.used,
        call_digest=item.call_digest,
        error_cost=item.error_cost,
        created_at=now,
        due_at=now + LABEL_TERM,
        pair_of=item.item_id,
        only_for=only_for,
    )


def _coin(trace_id: str, salt: str) -> float:
    """Return an independent number in [0, 1) for a task and a salt."""
    return int.from_bytes(hashlib.sha256(f"{salt} {trace_id}".encode()).digest()[:8]) / 2**64


def task_texts(lake: Lake, task: Task) -> tuple[str, str, tuple[str, ...]]:
    """Return input, output and the tool results of a task, whole as far as telemetry has them.

    Args:
        lake: Telemetry.
        task: The task; its previews stand in where its spans are gone.
    """
    view = lake.trace(task.trace_id)
    spans = view.spans if view else ()
    outer = next((span for span in spans if span.operation == "invoke_agent"), None)
    models = [span for span in spans if span.operation in {"chat", "text_completion", "generate_content"}]
    given = (outer.input if outer else "") or (models[0].input if models else "") or task.input_preview
    said = (outer.output if outer else "") or (models[-1].output if models else "") or task.output_preview
    used = tuple(f"{span.tool_name}: {span.output}"[:2_000] for span in spans if span.tool_name)
    return given[:ITEM_TEXT_CHARS_MAX], said[:ITEM_TEXT_CHARS_MAX], used[:20]


def item_of_task(
    lake: Lake,
    charter: Charter,
    task: Task,
    *,
    source: ReviewSource,
    why: str,
    now: datetime,
    due: datetime,
    probability: float | None = None,
    salt: str = "",
) -> ReviewItem:
    """Return the item that asks a person about a finished task.

    Args:
        lake: Where its texts are.
        charter: The charter in force.
        task: The task.
        source: Why it is asked about.
        why: The same in one sentence.
        now: The moment.
        due: When it must be answered.
        probability: Chance with which it was drawn, or None.
        salt: Tells wanted repetitions apart.
    """
    given, said, used = task_texts(lake, task)
    terms = charter.task_type(task.task_type)
    cost = known(terms.cost_of_error) if terms else None
    return ReviewItem(
        item_id=item_digest(source, task.agent, task.trace_id, "", salt),
        agent=task.agent,
        task_type=task.task_type,
        trace_id=task.trace_id,
        version=task.version_digest,
        source=source,
        why=why,
        input=given,
        proposal=said,
        used=used,
        call_digest=content_digest(task.task_type, given, said),
        confidence=task.confidence,
        error_cost=None if cost is None else float(cost),
        probability=probability,
        created_at=now,
        due_at=due,
    )


def sampled_in(records: Sequence[ItemRecord], task_type: str, version: str | None) -> list[ItemRecord]:
    """Return the drawn and decided items of one task type and version, second opinions left out."""
    return [
        record
        for record in records
        if record.item.task_type == task_type
        and record.item.version == version
        and record.item.pair_of is None
        and record.state in _DECIDED
    ]
