# SPDX-License-Identifier: Apache-2.0
"""Draw delivered outputs for labels, each by its own coin, where labels say most, within what reviewers can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    ReviewItem,
    ReviewSource,
    content_digest,
    item_digest,
)
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import midnight, unix_ns
from pilothouse.core.evidence.work import work_of
from pilothouse.ports.lake import Lake, TaskFilter
from pilothouse.ports.review import DRAWN_AFTER, ItemRecord, ReviewQueue
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import every_page
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.label_rates import DECIDED, rates_of_day
from pilothouse.workflows.review.second_opinions import (
    LABEL_TERM,
    again,
    ask_about_disputes,
    coin,
    repeat_own_answers,
    reviewers_here,
)
from pilothouse.workflows.review.spoken import as_answered, as_asked
from pilothouse.workflows.review.strata import JUDGED, judged_by, strata_of

__all__ = ["draw_for_labels", "drawn_of", "item_of_task", "sampled_in", "task_texts"]

RATES_AFTER = timedelta(hours=1, minutes=10)
"""When after midnight a day's rates are fixed: the watch has counted the day before, and may have bought labels."""

SECOND_SHARE = 0.10
"""Share of drawn items that a second person answers blind, so that agreement is known."""

LOOKED_UP_AT_ONCE_MAX = 10_000
"""Outcomes of one query: each of the tasks that may win is looked up, or it would pass for one of which nothing is known."""

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
            if day.date() == now.date() and now < midnight(now.date()) + RATES_AFTER:
                continue  # the watch has not looked at the day before yet
            rates = rates_of_day(installation, queue, charter, day.date().isoformat(), now)
            new += _draw_day(installation, queue, charter, rates, day=day, now=now)
        new += repeat_own_answers(queue, agent, now) + ask_about_disputes(installation, queue, charter, now)
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
    start = midnight(day.date())
    end = min(start + timedelta(days=1), now - DRAWN_AFTER)
    if end <= start or not rates:
        return 0
    salt = f"{charter.agent} {start.date()}"
    second_share = SECOND_SHARE if len(reviewers_here(installation.ledger, charter)) > 1 else 0.0
    # The largest chance bounds what can win at all, before anything is looked up or kept.
    most = {name: max(chances.values()) for name, chances in rates.items()}
    wanted = TaskFilter(agent=charter.agent, from_ns=unix_ns(start), to_ns=unix_ns(end))
    lucky = [
        task
        for page in every_page(installation.lake, wanted)
        for task in work_of(charter, page)
        if coin(task.trace_id, salt) < most.get(task.task_type, 0.0)
    ]
    lucky.reverse()  # who came first is asked about first
    strata = _strata_of_lucky(installation, charter, lucky, rates, start=start, now=now)
    items: list[ReviewItem] = []
    for task in lucky:
        stratum = strata.get(task.trace_id)
        chance = 0.0 if stratum is None else rates[task.task_type].get(stratum, 0.0)
        if coin(task.trace_id, salt) >= chance or len(items) >= DRAWN_AT_ONCE_MAX:
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
            if coin(task.trace_id, f"second {salt}") < second_share:
                items.append(again(item, now, salt="second"))
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
    traces = [task.trace_id for task in lucky]
    outcomes: dict[str, Outcome] = {}
    for at in range(0, len(traces), LOOKED_UP_AT_ONCE_MAX):
        outcomes |= installation.ledger.outcomes_of(traces[at : at + LOOKED_UP_AT_ONCE_MAX])
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
    return as_asked(given)[:ITEM_TEXT_CHARS_MAX], as_answered(said)[:ITEM_TEXT_CHARS_MAX], used[:20]


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
    """
    given, said, used = task_texts(lake, task)
    terms = charter.task_type(task.task_type)
    cost = known(terms.cost_of_error) if terms else None
    return ReviewItem(
        item_id=item_digest(source, task.agent, task.trace_id, ""),
        agent=task.agent,
        task_type=task.task_type,
        trace_id=task.trace_id,
        # What people say of a stand-in's answer proves nothing of the pin, not even a threshold.
        version=task.version_digest if own_work(charter, [task]) else None,
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
        conversation=None if task.conversation is None else canonical_digest([task.agent, task.conversation]),
    )


def sampled_in(records: Sequence[ItemRecord], task_type: str, version: str | None) -> list[ItemRecord]:
    """Return the drawn and decided items of one task type and version, second opinions left out."""
    return [record for record in drawn_of(records, task_type, version) if record.state in DECIDED]


def drawn_of(records: Sequence[ItemRecord], task_type: str, version: str | None) -> list[ItemRecord]:
    """Return the drawn items of one task type and version, decided or not, second opinions left out."""
    return [
        record
        for record in records
        if record.item.task_type == task_type
        and record.item.version == version
        and record.item.pair_of is None
    ]
