# SPDX-License-Identifier: Apache-2.0
"""Draw delivered outputs for labels, each by its own coin, where labels say most, within what reviewers can do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    ReviewItem,
    ReviewSource,
    content_digest,
    item_digest,
)
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import Lake
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.label_rates import DECIDED, rates_of_day, tasks_between
from pilothouse.workflows.people import Directory
from pilothouse.workflows.strata import JUDGED, judged_by, strata_of

__all__ = ["LABEL_TERM", "agree", "draw_for_labels", "item_of_task", "sampled_in", "task_texts"]

RATES_AFTER = timedelta(hours=1, minutes=10)
"""When after midnight a day's rates are fixed: the watch has counted the day before, and may have bought labels."""

SETTLE = timedelta(minutes=15)
"""A task is drawn this long after its start, so that its late spans and a quick verifier are in."""

LABEL_TERM = timedelta(days=5)
"""How long a label may take; the charter's windows are longer."""

SECOND_SHARE = 0.10
"""Share of drawn items that a second person answers blind, so that agreement is known."""

REPEAT_SHARE = 0.05
"""Share of a reviewer's own answers that come back a week later, so that consistency is known."""

DISPUTED_TERM = timedelta(days=2)
"""How soon a third person decides where two differ: until then nothing is learned from the item."""

REPEAT_AFTER = timedelta(days=7)
DRAWN_AT_ONCE_MAX = 200
"""Items added by one look; the next look takes the rest, so that no transaction is long."""


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
            if day.date() == now.date() and now < _midnight(now) + RATES_AFTER:
                continue  # the watch has not looked at the day before yet
            rates = rates_of_day(installation, queue, charter, day.date().isoformat(), now)
            new += _draw_day(installation, queue, charter, rates, day=day, now=now)
        new += _second_looks(queue, agent, now) + _disputes(queue, agent, now)
    return new


def _draw_day(
    installation: Installation,
    queue: ReviewQueue,
    charter: Charter,
    rates: Mapping[str, Mapping[str, float]],
    *,
    day: datetime,
    now: datetime,
) -> int:
    start = _midnight(day)
    end = min(start + timedelta(days=1), now - SETTLE)
    if end <= start or not rates:
        return 0
    salt = f"{charter.agent} {start.date()}"
    tasks = [
        task for task in tasks_between(installation, charter.agent, start, end) if task.task_type in rates
    ]
    # The largest chance bounds what can win at all, before anything is looked up.
    most = {name: max(chances.values()) for name, chances in rates.items()}
    lucky = [task for task in tasks if _coin(task.trace_id, salt) < most[task.task_type]]
    strata = _strata_of_lucky(installation, charter, lucky, rates, start=start, now=now)
    items: list[ReviewItem] = []
    for task in lucky:
        stratum = strata.get(task.trace_id)
        chance = 0.0 if stratum is None else rates[task.task_type].get(stratum, 0.0)
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


def _strata_of_lucky(
    installation: Installation,
    charter: Charter,
    lucky: Sequence[Task],
    rates: Mapping[str, Mapping[str, float]],
    *,
    start: datetime,
    now: datetime,
) -> dict[str, str]:
    """Return what is known of each task that may be drawn; a pending claim and an unscored task wait."""
    outcomes = installation.ledger.outcomes_of([task.trace_id for task in lucky][: DRAWN_AT_ONCE_MAX * 10])
    judged: dict[str, dict[str, bool]] = {}
    if any(set(chances) == set(JUDGED) for chances in rates.values()):
        judged = judged_by(charter, installation.lake.scores(from_ns=unix_ns(start), to_ns=unix_ns(now)))
    strata: dict[str, str] = {}
    for name, chances in rates.items():
        own = [task for task in lucky if task.task_type == name]
        names, found = strata_of(charter, name, own, outcomes, judged)
        if set(names) == set(chances):
            strata |= found
    return strata


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _second_looks(queue: ReviewQueue, agent: str, now: datetime) -> int:
    """Give a share of a reviewer's own answers back after a week, unmarked."""
    old = queue.items(
        agent, states=DECIDED, sources=(ReviewSource.SAMPLED,), since=now - 4 * REPEAT_AFTER, limit=2_000
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


def _disputes(queue: ReviewQueue, agent: str, now: datetime) -> int:
    """Ask a third person where a second one answered otherwise; whoever answered already is not asked again."""
    since = now - 4 * REPEAT_AFTER
    seconds = [
        record
        for record in queue.items(agent, states=DECIDED, sources=(ReviewSource.SAMPLED,), since=since)
        if record.item.pair_of
    ]
    disputed = []
    for second in seconds:
        first = queue.record(second.item.pair_of or "")
        if first is None or first.state not in DECIDED or agree(first, second):
            continue
        item = replace(
            _again(first.item, now, salt="third"),
            source=ReviewSource.DISPUTED,
            why="two people answered it differently",
            due_at=now + DISPUTED_TERM,
        )
        if queue.record(item.item_id) is None:
            disputed.append(item)
    return queue.add(disputed[:DRAWN_AT_ONCE_MAX]) if disputed else 0


def agree(one: ItemRecord, other: ItemRecord) -> bool:
    """Return whether two people answered the same.

    Args:
        one: An item.
        other: Another opinion on it.
    """
    return (one.state, one.correction) == (other.state, other.correction)


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
        and record.state in DECIDED
    ]
