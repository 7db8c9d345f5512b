# SPDX-License-Identifier: Apache-2.0
"""A task: one unit of work of an agent, folded from its spans."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

__all__ = ["UNDECLARED_TASK_TYPE", "CostState", "Task", "TaskResult", "TaskState", "TokenCount"]

UNDECLARED_TASK_TYPE = "undeclared"
"""Task type of a task whose spans name none."""


class TaskState(StrEnum):
    """Whether all expected spans have arrived."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


class TaskResult(StrEnum):
    """The result that the agent reports; unknown without a report."""

    COMPLETED = "completed"
    FAILED = "failed"
    ESCALATED = "escalated"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class CostState(StrEnum):
    """Whether the cost of a task is known: unknown is never zero."""

    KNOWN = "known"
    PARTIAL = "partial"
    UNKNOWN = "unknown"
    NONE = "none"
    """No model was called, so there is no model cost to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """Tokens in disjoint classes: every token is counted in exactly one.

    Attributes:
        input: Input tokens that came from no cache.
        cache_read: Input tokens read from a cache.
        cache_creation: Input tokens written to a cache.
        output: Output tokens without the reasoning ones.
        reasoning: Reasoning tokens.
    """

    input: int = 0
    cache_read: int = 0
    cache_creation: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All tokens, each counted once."""
        return self.input + self.cache_read + self.cache_creation + self.output + self.reasoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One trace of one agent, counted once.

    Attributes:
        trace_id: 32 lower-case hex digits.
        agent: Agent name as the spans say it.
        task_type: Declared type, or `UNDECLARED_TASK_TYPE`.
        version_digest: Version that did the work, or None when the spans name none.
        environment: Deployment environment, or None.
        state: Whether it is complete.
        result: How it ended.
        error_type: Kind of the error that ended it, or None.
        claim: JSON text of what the agent says it did, or None.
        confidence: The agent's own confidence in [0, 1], or None.
        start_ns: Start, Unix nanoseconds UTC.
        end_ns: End, Unix nanoseconds UTC.
        duration_ns: Duration of the task span, from one clock; None when its times contradict.
        spans: Spans in the trace.
        model_calls: Model calls.
        model_errors: Model calls that failed.
        tool_calls: Tool calls.
        tool_errors: Tool calls that failed.
        models: Models that answered, sorted.
        tools: Tools that were called, sorted.
        hosts: `host:port` of each server that its tool spans name, sorted; empty when none names one.
        tokens: Tokens by disjoint class.
        calls_without_usage: Model calls that reported no token usage.
        cost_usd: Cost, or None unless every call is priced.
        cost_known_usd: Cost of the priced calls: a lower bound.
        cost_state: Whether the cost is known.
        input_preview: At most 256 characters of the last user text.
        output_preview: At most 256 characters of the last answer.
        flags: Data findings, for example `no_agent_span`.
        revision: 0 for the first row, one more for each correction by late spans.
        conversation: Conversation or session it is a turn of, as its spans name it, or None: its turns are not independent.
    """

    trace_id: str
    agent: str
    task_type: str = UNDECLARED_TASK_TYPE
    version_digest: str | None = None
    environment: str | None = None
    state: TaskState = TaskState.COMPLETE
    result: TaskResult = TaskResult.UNKNOWN
    error_type: str | None = None
    claim: str | None = None
    confidence: float | None = None
    start_ns: int
    end_ns: int
    duration_ns: int | None = None
    spans: int = 1
    model_calls: int = 0
    model_errors: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tokens: TokenCount = TokenCount()
    calls_without_usage: int = 0
    cost_usd: Decimal | None = None
    cost_known_usd: Decimal = Decimal(0)
    cost_state: CostState = CostState.NONE
    input_preview: str = ""
    output_preview: str = ""
    flags: tuple[str, ...] = ()
    revision: int = 0
    conversation: str | None = None
