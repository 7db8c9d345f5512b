# SPDX-License-Identifier: Apache-2.0
"""Fold the spans of one trace into its task row: the same row for any order, split or repetition of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, CostState, TaskResult, TaskState
from pilothouse.lake.columns import COST_PRICED, TIME_FUTURE, TIME_INVERTED, CoreSpan, TaskRow
from pilothouse.lake.limits import TRACE_SPANS_MAX
from pilothouse.lake.semconv import MODEL_OPERATIONS, OUTER_OPERATIONS, TOOL_OPERATIONS

__all__ = ["fold_trace", "same_task"]

AGENT_OPERATIONS = frozenset({"invoke_agent", "invoke_workflow"})
RETRIEVALS = frozenset({"retrieval", "search_memory"})
BETWEEN = OUTER_OPERATIONS | TOOL_OPERATIONS
"""A model call below one of these is separate work from a model call above it."""

SKEW_NS = 1_000_000_000
"""A child this far outside its parent was timed by another clock."""

MISMATCH_SHARE = 0.01
"""Agent totals that differ more than this from the sum of their calls are flagged."""

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
    flags: list[str] = []
    tree = _Tree(kept, flags)
    root = tree.root
    task = tree.task
    if task is None:
        task = root
        flags.append("no_agent_span")
    if task.time_flags & TIME_INVERTED:
        flags.append("inverted_time")
    if len(kept) > TRACE_SPANS_MAX:
        flags.append("oversize")
    calls = _counted_calls(kept, tree.parents)
    tokens = _sum_tokens(kept, calls, tree.parents, flags)
    tools = [span for span in kept if span.operation in TOOL_OPERATIONS]
    first = (task, root, *kept)
    result = _result(first, root if root.parent_span_id is None else None, flags)
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
        version_digest=_first(span.version_digest for span in first),
        task_type=_first(span.task_type for span in first) or UNDECLARED_TASK_TYPE,
        conversation_id=_first(span.conversation_id for span in first),
        user_id=_first(span.user_id for span in first),
        environment=_first(span.environment for span in first),
        source=root.source,
        start_ns=task.start_ns,
        end_ns=max(end, task.start_ns),
        duration_ns=task.duration_ns,
        first_received_ns=min(span.received_ns for span in kept),
        last_received_ns=max(span.received_ns for span in kept),
        closed_ns=closed_ns,
        result=result,
        error_type=(task.error_type or root.error_type) if result == TaskResult.FAILED else None,
        claim=_first(span.task_claim for span in first),
        confidence=_first_number(span.task_confidence for span in first),
        spans=len(kept),
        model_calls=len(calls),
        model_errors=sum(span.status == 2 for span in calls),
        tool_calls=len(tools),
        tool_errors=sum(span.status == 2 for span in tools),
        retrievals=sum(span.operation in RETRIEVALS for span in kept),
        agent_runs=sum(span.operation == "invoke_agent" for span in kept),
        models=sorted({span.response_model for span in calls if span.response_model and span.status != 2}),
        tools=sorted({span.tool_name or span.name for span in tools}),
        hosts=sorted(_hosts(kept, tree.parents)),
        max_depth=tree.max_depth,
        orphan_spans=tree.orphans,
        skewed_spans=tree.skewed,
        tokens_input=tokens.input,
        tokens_cache_read=tokens.cache_read,
        tokens_cache_creation=tokens.cache_creation,
        tokens_output=tokens.output,
        tokens_reasoning=tokens.reasoning,
        calls_without_usage=sum(span.tokens_basis is None for span in calls),
        cost_usd=tokens.cost_known if tokens.cost_state in ("known", "none") else None,
        cost_known_usd=tokens.cost_known,
        cost_unknown_calls=tokens.cost_unknown_calls,
        cost_state=tokens.cost_state,
        input_preview=task.input_preview or _first(span.input_preview for span in said) or "",
        output_preview=task.output_preview or _first(span.output_preview for span in reversed(said)) or "",
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


@dataclass(frozen=True, slots=True)
class _Tokens:
    input: int
    cache_read: int
    cache_creation: int
    output: int
    reasoning: int
    cost_known: int
    cost_unknown_calls: int
    cost_state: str


def _distinct(spans: Iterable[CoreSpan]) -> tuple[list[CoreSpan], list[CoreSpan]]:
    """Return spans and log records, each once, in the order (start, id); spans stand in for logs if none."""
    seen: dict[tuple[str, str], CoreSpan] = {}
    for span in spans:
        key = (span.span_id, span.record_id)
        known = seen.get(key)
        if known is None or (span.received_ns, span.seq) < (known.received_ns, known.seq):
            seen[key] = span
    ordered = sorted(seen.values(), key=lambda span: (span.start_ns, span.span_id, span.record_id))
    kept = [span for span in ordered if span.record == "span"]
    logs = [span for span in ordered if span.record != "span"]
    return (kept, logs) if kept else (logs[:1], logs)


class _Tree:
    """Who is whose parent, which span is the root and which one is the task."""

    def __init__(self, kept: Sequence[CoreSpan], flags: list[str]) -> None:
        by_id = {span.span_id: span for span in kept}
        self.parents: dict[str, CoreSpan] = {}
        children: dict[str, list[CoreSpan]] = {}
        roots: list[CoreSpan] = []
        orphans: list[CoreSpan] = []
        self.skewed = 0
        for span in kept:
            parent_id = span.parent_span_id
            parent = by_id.get(parent_id) if parent_id is not None else None
            if parent_id is None:
                roots.append(span)
            elif parent is None:
                orphans.append(span)
            elif parent is span:
                flags.append("cycle")
                orphans.append(span)
            else:
                self.parents[span.span_id] = parent
                children.setdefault(parent.span_id, []).append(span)
                self.skewed += _is_skewed(span, parent)
        self.orphans = len(orphans)
        self.max_depth = 0
        self.task: CoreSpan | None = None
        reached: set[str] = set()
        self._walk(roots or orphans[:1], children, reached)
        self._walk(orphans, children, reached)
        cut = [span for span in kept if span.span_id not in reached]
        if cut:
            flags.append("cycle")
        while cut:
            # Nothing outside leads here: a ring of parents. It is cut at its earliest span.
            start = cut[0]
            self.parents.pop(start.span_id, None)
            orphans.append(start)
            self._walk([start], children, reached)
            cut = [span for span in cut if span.span_id not in reached]
        self.root = roots[0] if roots else min(orphans, key=lambda span: (span.start_ns, span.span_id))
        flags[:] = sorted(set(flags))

    def _walk(
        self, start: Sequence[CoreSpan], children: dict[str, list[CoreSpan]], reached: set[str]
    ) -> None:
        """Visit level by level; the first agent span that is met is the task."""
        level = [span for span in start if span.span_id not in reached]
        reached.update(span.span_id for span in level)
        depth = 1
        while level:
            self.max_depth = max(self.max_depth, depth)
            below: list[CoreSpan] = []
            for span in level:
                if self.task is None and span.operation in AGENT_OPERATIONS:
                    self.task = span
                for child in children.get(span.span_id, ()):
                    if child.span_id not in reached:
                        reached.add(child.span_id)
                        below.append(child)
            level = below
            depth += 1


def _is_skewed(span: CoreSpan, parent: CoreSpan) -> bool:
    if span.start_ns < parent.start_ns - SKEW_NS:
        return True
    return span.end_ns is not None and parent.end_ns is not None and span.end_ns > parent.end_ns + SKEW_NS


def _counted_calls(kept: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return the model calls that count: a call seen by two instrumentations counts once."""
    calls = [span for span in kept if span.operation in MODEL_OPERATIONS]
    above = {span.span_id: _calls_above(span, parents) for span in calls}
    out: set[str] = set()
    for span in calls:
        if span.tokens_basis is not None:
            out.update(outer.span_id for outer in above[span.span_id])
    for span in calls:
        outers = above[span.span_id]
        if span.tokens_basis is None and outers and not any(outer.span_id in out for outer in outers):
            if any(outer.tokens_basis is not None for outer in outers):
                out.add(span.span_id)
            else:
                out.update(outer.span_id for outer in outers)
    counted: dict[str, CoreSpan] = {}
    for span in calls:
        if span.span_id in out:
            continue
        key = span.response_id or f"\0{span.span_id}"
        known = counted.get(key)
        if known is None or (known.tokens_basis is None and span.tokens_basis is not None):
            counted[key] = span
    return sorted(counted.values(), key=lambda span: (span.start_ns, span.span_id))


def _hosts(kept: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> set[str]:
    """Return the servers that tool spans, and the requests right below them, name."""
    found = set()
    for span in kept:
        if span.server is not None:
            parent = parents.get(span.span_id)
            if span.operation in TOOL_OPERATIONS or (parent and parent.operation in TOOL_OPERATIONS):
                found.add(span.server)
    return found


def _calls_above(span: CoreSpan, parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return the model calls above one, up to the next tool or agent."""
    found = []
    seen = {span.span_id}
    above = parents.get(span.span_id)
    while above is not None and above.operation not in BETWEEN and above.span_id not in seen:
        if above.operation in MODEL_OPERATIONS:
            found.append(above)
        seen.add(above.span_id)
        above = parents.get(above.span_id)
    return found


def _sum_tokens(
    kept: Sequence[CoreSpan], calls: Sequence[CoreSpan], parents: dict[str, CoreSpan], flags: list[str]
) -> _Tokens:
    """Sum tokens and cost over the counted calls; agent totals only check them, or stand in for none."""
    used = [span for span in calls if span.tokens_basis is not None]
    outer = _outermost_with_usage(kept, parents)
    unknown = sum(span.cost_state != COST_PRICED for span in calls)
    if outer and not used:
        flags.append("agent_usage")
        unknown = max(1, unknown)
    elif outer:
        whole, parts = _total(outer), _total(used)
        if abs(whole - parts) > MISMATCH_SHARE * max(whole, parts):
            flags.append("usage_mismatch")
    counted = used or outer
    known = sum(span.cost_usd or 0 for span in calls)
    if not calls and not outer:
        state = CostState.NONE
    elif unknown == 0:
        state = CostState.KNOWN
    else:
        state = CostState.PARTIAL if unknown < len(calls) else CostState.UNKNOWN
    return _Tokens(
        sum(span.tokens_input or 0 for span in counted),
        sum(span.tokens_cache_read or 0 for span in counted),
        sum(span.tokens_cache_creation or 0 for span in counted),
        sum(span.tokens_output or 0 for span in counted),
        sum(span.tokens_reasoning or 0 for span in counted),
        known,
        unknown,
        state.value,
    )


def _outermost_with_usage(kept: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return agent and workflow spans with usage that lie below no other such span."""
    found = [span for span in kept if span.operation in OUTER_OPERATIONS and span.tokens_basis is not None]
    ids = {span.span_id for span in found}
    outermost = []
    for span in found:
        seen = {span.span_id}
        above = parents.get(span.span_id)
        while above is not None and above.span_id not in ids and above.span_id not in seen:
            seen.add(above.span_id)
            above = parents.get(above.span_id)
        if above is None or above.span_id not in ids:
            outermost.append(span)
    return outermost


def _total(spans: Sequence[CoreSpan]) -> int:
    return sum(
        (span.tokens_input or 0)
        + (span.tokens_cache_read or 0)
        + (span.tokens_cache_creation or 0)
        + (span.tokens_output or 0)
        + (span.tokens_reasoning or 0)
        for span in spans
    )


def _result(first: Sequence[CoreSpan], root: CoreSpan | None, flags: list[str]) -> str:
    said = _first(span.task_result for span in first)
    if said in RESULTS:
        return said
    if said is not None:
        flags.append("unknown_result")
        return TaskResult.UNKNOWN.value
    if root is None:
        return TaskResult.UNKNOWN.value
    failed = root.status == 2 or first[0].status == 2
    return TaskResult.FAILED.value if failed else TaskResult.COMPLETED.value


def _first(values: Iterable[str | None]) -> str | None:
    for value in values:
        if value:
            return value
    return None


def _first_number(values: Iterable[float | None]) -> float | None:
    for value in values:
        if value is not None:
            return value
    return None
