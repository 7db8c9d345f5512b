# SPDX-License-Identifier: Apache-2.0
"""Fold the spans of one trace into its task row: the same row for any order, batching or duplication of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from pilothouse.core.evidence.claim import OTHER_CLAIMS
from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, TaskResult, TaskState
from pilothouse.core.evidence.trial_trace import TRIAL, is_trial
from pilothouse.lake.columns import TIME_FUTURE, TIME_INVERTED, CoreSpan, TaskRow
from pilothouse.lake.limits import TRACE_SPANS_MAX
from pilothouse.lake.semconv import TOOL_OPERATIONS, is_model_call
from pilothouse.lake.trace_tokens import counted_calls, sum_tokens
from pilothouse.lake.trace_tree import TraceTree

__all__ = ["fold_trace", "has_work", "same_task"]

RETRIEVALS = ("retrieval", "search_memory")

_COLUMN = {name: itemgetter(number) for number, name in enumerate(CoreSpan._fields)}
"""Column → what reads it from a row; a loop in C over the spans of a trace is three times as fast as one here."""

_identity = itemgetter(*map(CoreSpan._fields.index, ("span_id", "record_id")))
_arrival = itemgetter(*map(CoreSpan._fields.index, ("received_ns", "seq")))
_order = itemgetter(*map(CoreSpan._fields.index, ("start_ns", "span_id", "record_id")))

MCP_GREETINGS = frozenset(
    f"{how}{method}"
    for how in ("MCP send ", "")
    for method in (
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "notifications/initialized",
    )
) | {"MCP send initialize", "MCP send ping"}
"""Spans with which a client of MCP gets to know a server, as its SDK and the conventions of OpenTelemetry name them. Outside of
a task each is a trace of its own, and would be a task that was done."""

DAY_NS = 86_400 * 1_000_000_000
RESULTS = frozenset(TaskResult)


def has_work(spans: Iterable[CoreSpan]) -> bool:
    """Return whether a trace is a task: more than log records or a protocol handshake.

    Args:
        spans: Spans and log records of one trace.
    """
    return any(
        span.record == "span" and (span.operation != "other" or span.name not in MCP_GREETINGS)
        for span in spans
    )


def fold_trace(spans: Iterable[CoreSpan], *, state: TaskState, reason: str, closed_ns: int) -> TaskRow:
    """Fold spans into revision 0 of a task row.

    Args:
        spans: Spans and log records of one trace, any order; repeated ones count once, the one received
            first wins. At least one.
        state: Whether the trace is complete.
        reason: Why it was closed.
        closed_ns: When, Unix nanoseconds UTC.
    """
    kept, logs = _distinct(spans)
    flags: list[str] = []
    tree = TraceTree(kept, flags)
    root, parents = tree.root, tree.parents
    task = tree.task
    if task is None:
        task = root
        flags.append("no_agent_span")
    if task.time_flags & TIME_INVERTED:
        flags.append("inverted_time")
    if task.time_flags & TIME_FUTURE:
        flags.append("clock_ahead")
    if len(kept) > TRACE_SPANS_MAX:
        flags.append("oversize")
    operations = [span.operation for span in kept]
    model_spans = [
        span for span in kept if is_model_call(span.operation, has_usage=span.tokens_basis is not None)
    ]
    calls = counted_calls(model_spans, parents)
    tokens = sum_tokens(kept, calls, parents, flags)
    tools = _each_call_once([span for span in kept if span.operation in TOOL_OPERATIONS], parents)
    first = _own_spans(task, root, kept)
    if len(first) < 2 + len(kept):
        flags.append("other_agents")
    result = _result(first, root if root.parent_span_id is None else None, flags)
    claim = _first("task_claim", first)
    if any(span.task_claim is not None and span.task_claim != claim for span in first):
        flags.append(OTHER_CLAIMS)
    end = task.end_ns if task.end_ns is not None else max(span.end_ns or span.start_ns for span in kept)
    received = [span.received_ns for span in kept]
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
        version_digest=_first("version_digest", first),
        task_type=_first("task_type", first) or UNDECLARED_TASK_TYPE,
        conversation_id=_first("conversation_id", first),
        user_id=_first("user_id", first),
        environment=TRIAL if is_trial(task.trace_id) else _first("environment", first),
        source=root.source,
        start_ns=task.start_ns,
        end_ns=max(end, task.start_ns),
        duration_ns=task.duration_ns,
        first_received_ns=min(received),
        last_received_ns=max(received),
        closed_ns=closed_ns,
        result=result,
        error_type=(task.error_type or root.error_type) if result == TaskResult.FAILED else None,
        claim=claim,
        confidence=next((span.task_confidence for span in first if span.task_confidence is not None), None),
        spans=len(kept),
        model_calls=len(calls),
        model_errors=_errors(calls),
        tool_calls=len(tools),
        tool_errors=_errors(tools),
        retrievals=sum(map(operations.count, RETRIEVALS)),
        agent_runs=operations.count("invoke_agent"),
        models=sorted({span.response_model for span in calls if span.response_model and span.status != 2}),
        tools=sorted({span.tool_name or span.name for span in tools}),
        hosts=_hosts(kept, parents),
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
        input_preview=task.input_preview or _first("input_preview", said) or "",
        output_preview=task.output_preview or _first("output_preview", said[::-1]) or "",
        flags=sorted(flags),
        day=day_ns // DAY_NS,
    )


def same_task(one: TaskRow, other: TaskRow) -> bool:
    """Return whether two rows are equal apart from when, why and how often they were written.

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
    """Return deduplicated spans and log records, each by (start, id); spans replace logs where there are none."""
    given = list(spans)
    once = {_identity(span): span for span in given}
    if len(once) < len(given):
        by_arrival = sorted(
            given, key=_arrival
        )  # stable: of two that arrived together the one given first wins
        by_arrival.reverse()
        once = {_identity(span): span for span in by_arrival}
    ordered = sorted(once.values(), key=_order)
    kept = [span for span in ordered if span.record == "span"]
    logs = [] if len(kept) == len(ordered) else [span for span in ordered if span.record != "span"]
    return (kept, logs) if kept else (logs[:1], logs)


def _hosts(kept: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[str]:
    """Return the servers named by tool spans and by the requests directly below them."""
    found = set()
    for span in kept:
        if span.server is not None:
            parent = parents.get(span.span_id)
            if span.operation in TOOL_OPERATIONS or (parent and parent.operation in TOOL_OPERATIONS):
                found.add(span.server)
    return sorted(found)


def _each_call_once(tools: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Leave out spans that wrap a span of the same tool: the framework reports the call, and the inner layer its result."""
    around = set()
    for span in tools:
        parent = parents.get(span.span_id)
        if parent is not None and parent.operation in TOOL_OPERATIONS and _bare(span) == _bare(parent):
            around.add(parent.span_id)
    return [span for span in tools if span.span_id not in around]


def _bare(span: CoreSpan) -> str:
    """Return `find` of `crm.find@1`: the function of a tool has its last word as name."""
    return (span.tool_name or span.name).partition("@")[0].rpartition(".")[2]


def _own_spans(task: CoreSpan, root: CoreSpan, kept: Sequence[CoreSpan]) -> list[CoreSpan]:
    """Return the spans that may speak for the task, its own and the root first: an agent of another name and version speaks for itself."""
    versions = {None, task.version_digest or root.version_digest}
    return [
        task,
        *(one for one in (root, *kept) if one.agent == task.agent or one.version_digest in versions),
    ]


def _errors(spans: Sequence[CoreSpan]) -> int:
    return [span.status for span in spans].count(2)


def _result(first: Sequence[CoreSpan], root: CoreSpan | None, flags: list[str]) -> str:
    said: str | None = _first("task_result", first)
    if said in RESULTS:
        return said
    if said is not None:
        flags.append("unknown_result")
        return TaskResult.UNKNOWN.value
    if root is None:
        return TaskResult.UNKNOWN.value
    failed = root.status == 2 or first[0].status == 2
    return TaskResult.FAILED.value if failed else TaskResult.COMPLETED.value


def _first(name: str, spans: Sequence[CoreSpan]) -> Any:
    """Return the first non-empty value of a column."""
    return next(filter(None, map(_COLUMN[name], spans)), None)
