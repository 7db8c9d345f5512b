# SPDX-License-Identifier: Apache-2.0
"""Fold the spans of one trace into its task row: the same row for any order, split or repetition of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, TaskResult, TaskState
from pilothouse.lake.columns import TIME_FUTURE, TIME_INVERTED, CoreSpan, TaskRow
from pilothouse.lake.limits import TRACE_SPANS_MAX
from pilothouse.lake.semconv import MODEL_OPERATIONS, TOOL_OPERATIONS
from pilothouse.lake.trace_tokens import counted_calls, sum_tokens
from pilothouse.lake.trace_tree import TraceTree

__all__ = ["fold_trace", "same_task"]

RETRIEVALS = ("retrieval", "search_memory")

_identity = itemgetter(*map(CoreSpan._fields.index, ("span_id", "record_id")))
_arrival = itemgetter(*map(CoreSpan._fields.index, ("received_ns", "seq")))
_order = itemgetter(*map(CoreSpan._fields.index, ("start_ns", "span_id", "record_id")))

DAY_NS = 86_400 * 1_000_000_000
RESULTS = frozenset(TaskResult)


def fold_trace(spans: Iterable[CoreSpan], *, state: TaskState, reason: str, closed_ns: int) -> TaskRow:
    """Fold spans into revision 0 of a task row.

    Args:
        spans: Spans and log records of one trace, any order; repeated ones count once, the one received
            first wins. At least one.
        state: Whether the trace is complete.
        reason: Why it was closed.
        closed_ns: When, Unix nanoseconds UTC.

    Returns:
        The row.
    """
    kept, logs = _distinct(spans)
    column: Any = CoreSpan._make(zip(*kept, strict=True))  # each column as one tuple
    flags: list[str] = []
    tree = TraceTree(kept, flags)
    root, parents = tree.root, tree.parents
    task = tree.task
    if task is None:
        task = root
        flags.append("no_agent_span")
    if task.time_flags & TIME_INVERTED:
        flags.append("inverted_time")
    if len(kept) > TRACE_SPANS_MAX:
        flags.append("oversize")
    operations = column.operation
    calls = counted_calls(list(compress(kept, map(MODEL_OPERATIONS.__contains__, operations))), parents)
    tokens = sum_tokens(kept, calls, parents, flags)
    tools = list(compress(kept, map(TOOL_OPERATIONS.__contains__, operations)))
    task_result = task.task_result or root.task_result or _first(column.task_result)
    result = _result(task_result, task, root, flags)
    end = task.end_ns if task.end_ns is not None else max(span.end_ns or span.start_ns for span in kept)
    said = [*calls, *logs]
    day_ns = task.received_ns if task.time_flags & TIME_FUTURE else task.start_ns
    return TaskRow(
        trace_id=task.trace_id,
        revision=0,
        root_span_id=root.span_id,
        state=state.value,
        reason=reason,
        agent=task.agent,
        agent_version=task.agent_version,
        version_digest=task.version_digest or root.version_digest or _first(column.version_digest),
        task_type=task.task_type or root.task_type or _first(column.task_type) or UNDECLARED_TASK_TYPE,
        conversation_id=task.conversation_id or root.conversation_id or _first(column.conversation_id),
        user_id=task.user_id or root.user_id or _first(column.user_id),
        environment=task.environment or root.environment or _first(column.environment),
        source=root.source,
        start_ns=task.start_ns,
        end_ns=max(end, task.start_ns),
        duration_ns=task.duration_ns,
        first_received_ns=min(column.received_ns),
        last_received_ns=max(column.received_ns),
        closed_ns=closed_ns,
        result=result,
        error_type=(task.error_type or root.error_type) if result == TaskResult.FAILED else None,
        claim=task.task_claim or root.task_claim or _first(column.task_claim),
        confidence=_confidence(task, root, column.task_confidence),
        spans=len(kept),
        model_calls=len(calls),
        model_errors=_errors(calls),
        tool_calls=len(tools),
        tool_errors=_errors(tools),
        retrievals=sum(map(operations.count, RETRIEVALS)),
        agent_runs=operations.count("invoke_agent"),
        models=sorted({span.response_model for span in calls if span.response_model and span.status != 2}),
        tools=sorted({span.tool_name or span.name for span in tools}),
        hosts=_hosts(kept, column.server, parents),
        max_depth=tree.max_depth,
        orphan_spans=tree.orphans,
        skewed_spans=tree.skewed,
        tokens_input=tokens.input,
        tokens_cache_read=tokens.cache_read,
        tokens_cache_creation=tokens.cache_creation,
        tokens_output=tokens.output,
        tokens_reasoning=tokens.reasoning,
        calls_without_usage=sum([span.tokens_basis is None for span in calls]),
        cost_usd=tokens.cost_known if tokens.cost_state in ("known", "none") else None,
        cost_known_usd=tokens.cost_known,
        cost_unknown_calls=tokens.cost_unknown_calls,
        cost_state=tokens.cost_state,
        input_preview=task.input_preview or _first([span.input_preview for span in said]) or "",
        output_preview=task.output_preview or _first([span.output_preview for span in reversed(said)]) or "",
        flags=sorted(flags),
        day=day_ns // DAY_NS,
    )


def same_task(one: TaskRow, other: TaskRow) -> bool:
    """Return whether two rows say the same, leaving aside when, why and how often it was said.

    Example:
        >>> same_task.__name__
        'same_task'
    """
    return one._replace(**_UNCOMPARED) == other._replace(**_UNCOMPARED)


_UNCOMPARED: dict[str, Any] = {
    "revision": 0,
    "reason": "",
    "closed_ns": 0,
    "day": 0,
    "first_received_ns": 0,
    "last_received_ns": 0,
}


def _distinct(spans: Iterable[CoreSpan]) -> tuple[list[CoreSpan], list[CoreSpan]]:
    """Return spans and log records, each once, in the order (start, id); spans stand in for logs if none."""
    ordered = sorted(spans, key=_order)
    if len(set(map(_identity, ordered))) < len(ordered):
        ordered.sort(
            key=_arrival, reverse=True
        )  # of two that arrived together the one that starts first wins
        ordered = sorted({_identity(span): span for span in ordered}.values(), key=_order)
    kept = [span for span in ordered if span.record == "span"]
    logs = [] if len(kept) == len(ordered) else [span for span in ordered if span.record != "span"]
    return (kept, logs) if kept else (logs[:1], logs)


def _hosts(
    kept: Sequence[CoreSpan], servers: Sequence[str | None], parents: dict[str, CoreSpan]
) -> list[str]:
    """Return the servers that tool spans, and the requests right below them, name."""
    found = set()
    for span in compress(kept, servers):
        if span.server not in found:
            parent = parents.get(span.span_id)
            if span.operation in TOOL_OPERATIONS or (parent and parent.operation in TOOL_OPERATIONS):
                found.add(span.server)
    return sorted(filter(None, found))


def _errors(spans: Sequence[CoreSpan]) -> int:
    return [span.status for span in spans].count(2)


def _confidence(task: CoreSpan, root: CoreSpan, said: Sequence[float | None]) -> float | None:
    """Return how sure the task was, by its own span, its root, or the first that says so; 0 says something."""
    shares = (task.task_confidence, root.task_confidence, *said)
    return next((share for share in shares if share is not None), None)


def _result(said: str | None, task: CoreSpan, root: CoreSpan, flags: list[str]) -> str:
    if said in RESULTS:
        return str(said)
    if said is not None:
        flags.append("unknown_result")
        return TaskResult.UNKNOWN.value
    if root.parent_span_id is not None:
        return TaskResult.UNKNOWN.value
    failed = root.status == 2 or task.status == 2
    return TaskResult.FAILED.value if failed else TaskResult.COMPLETED.value


def _first(values: Iterable[Any]) -> Any:
    """Return the first value that says something."""
    return next(filter(None, values), None)
