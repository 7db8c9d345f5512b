# SPDX-License-Identifier: Apache-2.0
"""Which model calls of a trace count, and what they used and cost: every token and every call once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pilothouse.core.evidence.task import CostState
from pilothouse.lake.columns import COST_PRICED, CoreSpan
from pilothouse.lake.semconv import OUTER_OPERATIONS, SEPARATE_OPERATIONS, is_model_call
from pilothouse.lake.trace_tree import SKEW_NS
from pilothouse.lake.usage import MEASURED

__all__ = ["TraceTokens", "counted_calls", "sum_tokens"]

MISMATCH_SHARE = 0.01
"""Agent totals that differ more than this from the sum of their calls are flagged."""

_FIRST = CoreSpan._fields.index("tokens_input")
_CLASSES = slice(_FIRST, _FIRST + 5)
"""The five disjoint classes of tokens, which stand side by side."""


class TraceTokens(NamedTuple):
    """Token usage of a trace by disjoint class, and its known cost in pico-dollars."""

    input: int
    cache_read: int
    cache_creation: int
    output: int
    reasoning: int
    cost_known: int
    cost_unknown_calls: int
    cost_state: str


def counted_calls(calls: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return the model calls without duplicates: a call seen by two instrumentations counts once.

    Two spans tell of one response when they name it and were there at the same time, give or take two clocks. That of our
    gateway counts before that of an instrumentation.

    Args:
        calls: The model calls of a trace in the order (start, id).
        parents: Parent by the id of its child.
    """
    out = _repeated_above(calls, parents)
    counted: list[CoreSpan] = []
    told: dict[str, tuple[int, int]] = {}  # response → its place among the counted, and its last end
    for span in calls:
        if span.span_id in out:
            continue
        end = max(span.end_ns or 0, span.start_ns)
        place, until = told.get(span.response_id or "", (-1, 0))
        if place < 0 or span.start_ns > until + SKEW_NS:  # some servers give every response one id
            place, until = len(counted), end
            counted.append(span)
        elif _is_surer(span, counted[place]):
            counted[place] = span
        if span.response_id:
            told[span.response_id] = place, max(until, end)
    return sorted(counted, key=lambda span: (span.start_ns, span.span_id))


def _is_surer(span: CoreSpan, kept: CoreSpan) -> bool:
    """Whether of two spans of one response the later one has the usage: what the provider said to our gateway, or any at all."""
    if kept.tokens_basis is None:
        return span.tokens_basis is not None
    return span.tokens_basis == MEASURED != kept.tokens_basis


def _repeated_above(calls: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> set[str]:
    """Return the ids of calls that duplicate a call above or below them."""
    above = {span.span_id: outers for span in calls if (outers := _calls_above(span, parents))}
    out: set[str] = set()
    if not above:
        return out
    for span in calls:
        if span.tokens_basis is not None:
            out.update(outer.span_id for outer in above.get(span.span_id, ()))
    for span in calls:
        outers = above.get(span.span_id, [])
        if span.tokens_basis is None and outers and not any(outer.span_id in out for outer in outers):
            if any(outer.tokens_basis is not None for outer in outers):
                out.add(span.span_id)
            else:
                out.update(outer.span_id for outer in outers)
    return out


def _calls_above(span: CoreSpan, parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return the model calls above one, up to the next tool or agent."""
    above = parents.get(span.span_id)
    if above is None or above.operation in SEPARATE_OPERATIONS:
        return []
    found = []
    seen = {span.span_id}
    while above is not None and above.operation not in SEPARATE_OPERATIONS and above.span_id not in seen:
        if is_model_call(above.operation, has_usage=above.tokens_basis is not None):
            found.append(above)
        seen.add(above.span_id)
        above = parents.get(above.span_id)
    return found


def sum_tokens(
    kept: Sequence[CoreSpan], calls: Sequence[CoreSpan], parents: dict[str, CoreSpan], flags: list[str]
) -> TraceTokens:
    """Sum tokens and cost over the counted calls; agent totals only cross-check them, or replace missing ones.

    Args:
        kept: All spans of the trace.
        calls: Those that count.
        parents: Parent by the id of its child.
        flags: What is odd is added here.
    """
    used = [span for span in calls if span.tokens_basis is not None]
    outer = _outermost_with_usage(kept, parents)
    unknown = len(calls) - [span.cost_state for span in calls].count(COST_PRICED)
    sums = _sums(used or outer)
    if outer and not used:
        flags.append("agent_usage")
        unknown = max(1, unknown)
    elif outer:
        whole, parts = sum(_sums(outer)), sum(sums)
        if abs(whole - parts) > MISMATCH_SHARE * max(whole, parts):
            flags.append("usage_mismatch")
    if not calls and not outer:
        state = CostState.NONE
    elif unknown == 0:
        state = CostState.KNOWN
    else:
        state = CostState.PARTIAL if unknown < len(calls) else CostState.UNKNOWN
    known = sum([span.cost_usd or 0 for span in calls])
    return TraceTokens(
        input=sums[0],
        cache_read=sums[1],
        cache_creation=sums[2],
        output=sums[3],
        reasoning=sums[4],
        cost_known=known,
        cost_unknown_calls=unknown,
        cost_state=state.value,
    )


def _sums(spans: Sequence[CoreSpan]) -> list[int]:
    """Return the tokens of spans with usage, by class."""
    return [
        sum(filter(None, column)) for column in zip(*[span[_CLASSES] for span in spans], strict=True)
    ] or [0] * 5


def _outermost_with_usage(kept: Sequence[CoreSpan], parents: dict[str, CoreSpan]) -> list[CoreSpan]:
    """Return agent and workflow spans with usage that lie below no other such span."""
    found = [span for span in kept if span.tokens_basis is not None and span.operation in OUTER_OPERATIONS]
    if len(found) < 2:
        return found
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
