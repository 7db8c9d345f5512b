# SPDX-License-Identifier: Apache-2.0
"""The Tasks page: one row for each task, newest first, with what became of its claim (lake, ledger → page)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote, urlencode

from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import CostState, Task, TaskResult, TaskState
from pilothouse.core.verdict.numbers import short_digest, significant
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import PilothouseError
from pilothouse.ports.lake import TaskFilter, TaskPage
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import Moment, at_ns, duration_text, moment
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Link,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    mark_of,
    outcome_mark,
    page_moment,
    shown_text,
    unknown_quantity,
)
from pilothouse.reports.words import RESULT_WORDS, plural

__all__ = [
    "ROWS_MAX",
    "FilterField",
    "TaskRow",
    "TasksPage",
    "build_tasks",
    "build_unread_query",
    "cost_quantity",
    "task_row",
]

ROWS_MAX = 50
"""Rows of one page; a cursor leads on."""


QUERY_EXAMPLE = "words, tool:erp.* cost:>0.05 took:>30s since:7d said:phrase"
"""Shown in the empty field: keys of `workflows.query_line`."""

TEXT_CHARS_MAX = 64
"""Characters of the question in a row: two or three lines, so that a screen holds a dozen tasks."""


class TaskRow(Frozen):
    """One task.

    Attributes:
        link: To its trace.
        at: When it started.
        task_type: Task type.
        result: What the agent says, in words.
        outcome: What the system of record says.
        took: Duration.
        cost: Cost; `unknown` unless every call is priced.
        tokens: All tokens.
        version: Short digest.
        models: Models that answered.
        text: Begin of the last user text.
        notes: Data findings: incomplete, failed calls, flags.
    """

    link: Link
    at: Moment
    task_type: str
    result: str
    outcome: StatusMark
    took: Quantity
    cost: Quantity
    tokens: Quantity
    version: str
    models: str
    text: str
    notes: tuple[str, ...]


_MORE_WORDS = (
    "since:24h",
    "since:7d",
    "state:incomplete",
    "error:*",
    "tool:",
    "model:",
    "cost:>0.05",
    "took:>30s",
    "tokens:>10000",
    "said:",
)
"""Beginnings that are worth completing; `workflows.query_line.QUERY_KEYS` explains each."""

WORDS_TYPES_MAX = 20
"""Task types that are offered; a charter with more is narrowed by its field."""


class FilterField(Frozen):
    """One field of the query, with what was typed; `words` complete it."""

    name: str
    label: str
    value: str
    choices: tuple[str, ...] = ()
    hint: str = ""
    words: tuple[str, ...] = ()


class TasksPage(Page):
    """Tasks of one agent, newest first.

    Attributes:
        filters: The query.
        rows: The tasks.
        older: Link to older ones, or None at the end.
        newest: Link to the first page, or None there.
        empty: What stands there without a task, or None.
    """

    filters: tuple[FilterField, ...]
    rows: tuple[TaskRow, ...]
    older: Link | None
    newest: Link | None
    empty: Empty | None


def cost_quantity(cost: Decimal | None, known: Decimal, state: CostState) -> Quantity:
    """Return the cost of a task as it is shown: unknown is the word, never zero.

    Args:
        cost: Whole cost, or None unless every call is priced.
        known: Cost of the priced calls.
        state: Whether it is known.

    Example:
        >>> cost_quantity(None, Decimal("0.01"), CostState.PARTIAL).shown
        'at least $0.01'
    """
    if state is CostState.NONE:
        return Quantity(value=None, unit="usd", shown="no model call")
    if cost is not None:
        return Quantity(value=float(cost), unit="usd", shown=f"${significant(float(cost))}")
    if state is CostState.PARTIAL:
        return Quantity(
            value=None, unit="usd", low=float(known), shown=f"at least ${significant(float(known))}"
        )
    return unknown_quantity("usd")


def _took(task: Task) -> Quantity:
    if task.duration_ns is None or task.duration_ns < 0:
        return unknown_quantity("seconds")
    seconds = task.duration_ns / 1e9
    return Quantity(value=seconds, unit="seconds", shown=duration_text(seconds))


def _tokens(task: Task) -> Quantity:
    if task.calls_without_usage and not task.tokens.total:
        return unknown_quantity("count")
    least = "at least " if task.calls_without_usage else ""
    return Quantity(value=task.tokens.total, unit="count", shown=f"{least}{task.tokens.total:,}")


def _notes(task: Task) -> tuple[str, ...]:
    notes = []
    if task.state is TaskState.INCOMPLETE:
        notes.append("incomplete")
    if task.error_type:
        notes.append(f"ended with {foreign_line(task.error_type, chars_max=40)}")
    if task.model_errors:
        notes.append(plural(task.model_errors, "model error"))
    if task.tool_errors:
        notes.append(plural(task.tool_errors, "tool error"))
    return (*notes, *(foreign_line(flag, chars_max=40).replace("_", " ") for flag in task.flags))


def task_row(task: Task, outcome: Outcome | None, now: datetime) -> TaskRow:
    """Return one task as a page shows it.

    Args:
        task: The task.
        outcome: What a verifier found, or None.
        now: The page's moment.
    """
    outcome = standing_outcome(task, outcome)
    return TaskRow(
        link=Link(text=task.trace_id[:8], href=f"/agents/{quote(task.agent, safe='')}/tasks/{task.trace_id}"),
        at=moment(at_ns(task.start_ns), now),
        task_type=foreign_line(task.task_type, chars_max=64),
        result=RESULT_WORDS[task.result],
        outcome=outcome_mark(outcome.status if outcome else None),
        took=_took(task),
        cost=cost_quantity(task.cost_usd, task.cost_known_usd, task.cost_state),
        tokens=_tokens(task),
        version=short_digest(task.version_digest),
        models=foreign_line(", ".join(task.models), chars_max=80),
        text=foreign_line(task.input_preview, chars_max=TEXT_CHARS_MAX),
        notes=_notes(task),
    )


def _words(task_types: tuple[str, ...]) -> tuple[str, ...]:
    """What the query line completes its last word with."""
    results = (f"result:{result.value}" for result in TaskResult)
    types = (f"type:{name}" for name in task_types[:WORDS_TYPES_MAX])
    return (*results, *types, *_MORE_WORDS)


def _filters(
    wanted: TaskFilter, task_types: tuple[str, ...], typed: Mapping[str, str] | None
) -> tuple[FilterField, ...]:
    said = {
        "type": wanted.task_type or "",
        "result": wanted.result or "",
        "version": wanted.version_digest or "",
        "text": wanted.text or "",
    } | dict(typed or {})
    results = ("", *(result.value for result in TaskResult))
    return (
        FilterField(name="type", label="Task type", value=said["type"], choices=("", *task_types)),
        FilterField(name="result", label="Result", value=said["result"], choices=results),
        FilterField(name="version", label="Version", value=said["version"]),
        FilterField(
            name="text", label="Query", value=said["text"], hint=QUERY_EXAMPLE, words=_words(task_types)
        ),
    )


def _action(rows: Sequence[TaskRow], here: str, *, is_narrowed: bool) -> ActionOffer | None:
    """Offer the newest task that needs a look; None when no claim and no result on the page does."""
    if not rows:
        if is_narrowed:
            return ActionOffer(label="Show every task.", href=here)
        return ActionOffer(
            label="Let its traces arrive.", command="pilothouse run -- COMMAND-THAT-STARTS-YOUR-AGENT"
        )
    wrong = next((row for row in rows if row.outcome.status is Status.BREACHED), None)
    if wrong is not None:
        return ActionOffer(
            label=f"Open {wrong.link.text}, the newest claim that the system of record contradicts.",
            href=wrong.link.href,
        )
    failed = next((row for row in rows if row.result == RESULT_WORDS[TaskResult.FAILED]), None)
    if failed is not None:
        return ActionOffer(
            label=f"Open {failed.link.text}, the newest task that failed.", href=failed.link.href
        )
    return None


def build_unread_query(
    agent: str,
    error: PilothouseError,
    now: datetime,
    *,
    task_types: tuple[str, ...],
    typed: Mapping[str, str],
) -> TasksPage:
    """Return the page of a query that cannot be read: what is wrong, and everything that was typed in its fields.

    Args:
        agent: Agent name.
        error: What cannot be read, and what to write instead.
        now: The moment, aware UTC.
        task_types: Declared task types, to choose from.
        typed: What stands in the fields, by name.
    """
    said = error.message.rstrip(".")
    return TasksPage(
        name="tasks",
        title=f"Not read · tasks of {foreign_line(agent, chars_max=80)}",
        heading="Tasks",
        agent=agent,
        as_of=page_moment(now),
        mark=mark_of(Status.NO_EVIDENCE, word="Not read"),
        sentence=Sentence(plain=shown_text(f"{said[:1].upper()}{said[1:]}.")),
        notices=(shown_text(error.remedy),),
        filters=_filters(TaskFilter(), task_types, typed),
        rows=(),
        older=None,
        newest=None,
        empty=None,
    )


def build_tasks(
    agent: str,
    found: TaskPage,
    outcomes: Mapping[str, Outcome],
    now: datetime,
    *,
    wanted: TaskFilter,
    task_types: tuple[str, ...] = (),
    first: bool = True,
    typed: Mapping[str, str] | None = None,
) -> TasksPage:
    """Return the Tasks page.

    Args:
        agent: Agent name.
        found: Tasks newest first.
        outcomes: Their outcomes by trace id.
        now: The moment, aware UTC.
        wanted: The query they answer.
        task_types: Declared task types, to choose from.
        first: Whether this is the first page of the query.
        typed: What stands in the fields, by name; None shows what `wanted` says.
    """
    filters = _filters(wanted, task_types, typed)
    query = {field.name: field.value for field in filters if field.value}
    here = f"/agents/{quote(agent, safe='')}/tasks"
    older = None
    if found.next_cursor:
        ended = found.next_cursor
        before = f"{ended.start_ns}-{ended.trace_id}"
        before += "" if ended.corrected_ns is None else f"-{ended.corrected_ns}"
        older = Link(text="Older", href=f"{here}?{urlencode({**query, 'before': before})}")
    rows = tuple(task_row(task, outcomes.get(task.trace_id), now) for task in found.tasks)
    wrong = sum(row.outcome.status is Status.BREACHED for row in rows)
    shown = f"{plural(len(rows), 'task')} shown, newest first"
    what = f"; {plural(wrong, 'claim')} contradicted by the system of record." if wrong else "."
    action = _action(rows, here, is_narrowed=bool(query) or not first)
    empty = None
    if not rows:
        empty = Empty(
            missing="No task matches."
            if query or not first
            else f"No task of {foreign_line(agent)} has arrived.",
            command="pilothouse run -- COMMAND-THAT-STARTS-YOUR-AGENT" if not query else "",
        )
    return TasksPage(
        name="tasks",
        title=f"Tasks of {foreign_line(agent, chars_max=80)}",
        heading="Tasks",
        agent=agent,
        as_of=page_moment(now),
        mark=None if rows else mark_of(Status.NO_EVIDENCE),
        sentence=Sentence(plain=shown + what if rows else empty.missing if empty else ""),
        action=action,
        filters=filters,
        rows=rows,
        older=older,
        newest=None if first else Link(text="Newest", href=f"{here}?{urlencode(query)}" if query else here),
        empty=empty,
    )
