# SPDX-License-Identifier: Apache-2.0
"""The port of telemetry in bulk: tasks and traces as bounded queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.ports.intake import REFUSED_FOR_GOOD

__all__ = [
    "CANARY_AGENT",
    "OVERFLOW_AGENT",
    "SAID_SPAN_MAX_NS",
    "STRAYS_MAX",
    "STRAY_LOG",
    "AgentSeen",
    "Assigned",
    "Lake",
    "LakeHealth",
    "SpanRecord",
    "TaskCursor",
    "TaskFilter",
    "TaskPage",
    "TraceView",
    "disk_floor_bytes",
]

DISK_FLOOR_BYTES = 1 << 30
DISK_FLOOR_SHARE = 0.05
"""Free space below the larger of these two stops the intake: the log, its segments and a merge still fit."""

CANARY_AGENT = "pilothouse-canary"
"""Name under which we send traces of our own; no list of agents holds it."""

OVERFLOW_AGENT = "__overflow__"
"""Stands for every agent that an ingest key named after the first thousand of a day; no charter may name it."""

STRAY_LOG = "log:"
"""Begins the name of a log record that belongs to no trace."""

STRAYS_MAX = 10_000
"""Traces without a task, and log records without a trace, in one answer: as many as one erasure empties."""

SAID_SPAN_MAX_NS = 7 * 86_400 * 1_000_000_000
"""Whole texts are looked through for at most a week: an answer within seconds at 5 million spans."""


def disk_floor_bytes(total_bytes: int) -> int:
    """Return the free space below which telemetry is refused, so that nothing acknowledged is lost.

    Example:
        >>> disk_floor_bytes(100 << 30) == 5 << 30
        True
    """
    return max(DISK_FLOOR_BYTES, int(total_bytes * DISK_FLOOR_SHARE))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCursor:
    """The keyset cursor of a page of tasks: the next page begins strictly before it.

    Attributes:
        start_ns: Start of the last task.
        trace_id: Its trace.
        corrected_ns: When the last correction was written that the first page saw, Unix nanoseconds; pages after it see no later
            one, or a task whose start moved would stand on two pages or on none. None to see all.
    """

    start_ns: int
    trace_id: str
    corrected_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Conditions on tasks; None means any.

    Attributes:
        agent: Agent name.
        task_type: Task type.
        version_digest: Version.
        environment: Deployment environment.
        result: Task result.
        state: `complete` or `incomplete`.
        from_ns: Start of the half-open window, Unix nanoseconds UTC, inclusive.
        to_ns: End of the window, exclusive.
        text: Words to find in the previews.
        trace_prefix: First digits of the trace id.
        error_type: Kind of the error; `*` stands for anything.
        tool: A tool it called; `*` stands for anything.
        model: A model that answered; `*` stands for anything.
        cost_over: Costs more for certain, US dollars: also a task whose priced calls alone do.
        cost_under: Costs less for certain: never a task with an unknown cost.
        took_ns_over: Took longer, nanoseconds.
        took_ns_under: Took less.
        tokens_over: More tokens of all classes together.
        tokens_under: Fewer.
        said: A phrase in a whole input or output of any of its spans; both ends of the window are then
            required and lie at most `SAID_SPAN_MAX_NS` apart.
        anywhere: Whether `said` is looked for in every text of a span, attributes and events among them, and in tasks of
            drills and of our own as well: an erasure leaves out nothing.
        held: A text in the claim of a task, or its conversation or user as a whole; with everything that `anywhere` adds.
        in_names: Whether `said` and `held` are looked for in names instead: of tools, models, services, kinds of errors and
            whatever else is counted by, which an erasure leaves as it is.
    """

    agent: str | None = None
    task_type: str | None = None
    version_digest: str | None = None
    environment: str | None = None
    result: str | None = None
    state: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    text: str | None = None
    trace_prefix: str | None = None
    error_type: str | None = None
    tool: str | None = None
    model: str | None = None
    cost_over: Decimal | None = None
    cost_under: Decimal | None = None
    took_ns_over: int | None = None
    took_ns_under: int | None = None
    tokens_over: int | None = None
    tokens_under: int | None = None
    said: str | None = None
    anywhere: bool = False
    held: str | None = None
    in_names: bool = False

    @property
    def leaves_out_shadows(self) -> bool:
        """Whether tasks of drills are excluded: they are included by asking for their environment or trace."""
        return self.environment is None and self.trace_prefix is None and not self._leaves_out_nothing

    @property
    def leaves_out_canaries(self) -> bool:
        """Whether our own canary traces are excluded: they are included by asking for their agent or trace."""
        return self.agent is None and self.trace_prefix is None and not self._leaves_out_nothing

    @property
    def _leaves_out_nothing(self) -> bool:
        return self.anywhere or self.held is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Tasks newest first, and the cursor of the next page (None at the end)."""

    tasks: tuple[Task, ...]
    next_cursor: TaskCursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span or log record of a trace, for the trace page.

    Attributes:
        span_id: 16 hex digits.
        parent_span_id: Parent, or None for a root.
        record: `span` or `log`.
        name: Span name.
        operation: Normalised operation, for example `chat` or `execute_tool`.
        agent: Agent the span belongs to, or None.
        start_ns: Start, Unix nanoseconds UTC.
        end_ns: End, or None.
        duration_ns: Duration, or None when its times contradict.
        status: `unset`, `ok` or `error`.
        status_message: Message of an error.
        error_type: Kind of the error, or None.
        provider: Model provider, or None.
        request_model: Model that was asked for, or None.
        response_model: Model that answered, or None.
        tool_name: Tool, or None.
        first_chunk_ns: Time to the first piece of a streamed answer, or None.
        tokens_total: All tokens of the call, or None when it reported none.
        cost_usd_text: Exact cost as text, or None when unknown.
        convention: Which naming convention matched.
        input: JSON or plain text of the input, possibly cut.
        output: JSON or plain text of the output, possibly cut.
        attributes: JSON text of all attributes.
        events: JSON text of all events.
        cut_bytes: Bytes that our limits cut away.
    """

    span_id: str
    parent_span_id: str | None
    record: str
    name: str
    operation: str
    agent: str | None
    start_ns: int
    end_ns: int | None
    duration_ns: int | None
    status: str
    status_message: str
    error_type: str | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    tool_name: str | None
    first_chunk_ns: int | None
    tokens_total: int | None
    cost_usd_text: str | None
    convention: str
    input: str
    output: str
    attributes: str
    events: str
    cut_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceView:
    """One task with its spans in start order.

    Attributes:
        task: The assembled task, or None while the assembler has not folded it.
        spans: Spans, earliest first, at most the query's limit.
        spans_total: Spans stored for the trace.
    """

    task: Task | None
    spans: tuple[SpanRecord, ...]
    spans_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSeen:
    """An agent seen in telemetry.

    Attributes:
        agent: Name.
        tasks: Complete tasks.
        first_ns: Start of the earliest task.
        last_ns: Start of the latest task.
        versions: Version digests seen, latest first.
    """

    agent: str
    tasks: int
    first_ns: int
    last_ns: int
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A task of an experiment.

    Attributes:
        trace_id: The task.
        unit: Conversation or user.
        arm: `candidate` or `baseline`.
    """

    trace_id: str
    unit: str
    arm: str


@runtime_checkable
class Lake(Protocol):
    """Queries over telemetry; every answer is bounded."""

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        ...

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what contains `said` within the window and belongs to no task: trace ids, and log records without a trace.

        Args:
            wanted: Only what it says about `said`, `anywhere`, `in_names` and the window is looked at.

        Returns:
            At most `STRAYS_MAX` and one more; a log record of no trace is `STRAY_LOG` and its own id.
        """
        ...

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding, at most 1,000,000."""
        ...

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace by its full id, or None when nothing has it."""
        ...

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return those of at most 1,000 traces that are stored, by id, each with at most 2,000 spans."""
        ...

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        ...

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return the tasks of an experiment with their arms, at most 200,000."""
        ...

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return external evaluators' scores of a half-open window, at most 200,000."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeHealth:
    """The state of one node at one moment; counts are in items since the process started.

    Attributes:
        counters: Everything that is counted, by name.
        rows: Rows of `spans` that a query can see, counted in files and memory.
        pending: Acknowledged items that no query can see yet.
        gap: Acknowledged items that are nowhere; anything but 0 for more than a minute is a loss.
        open_traces: Traces whose spans are still being gathered.
        waiting_bytes: Inflated bytes that wait for flattening.
        uncommitted_s: Age of the oldest row that is in no file, seconds.
        freshness_s: Longest time from receipt until a query could see it, in the last minute, seconds.
        wal_bytes: Bytes of the write-ahead log on the disk.
        disk_free_bytes: Free space where the lake lies.
        busy_reason: Why nothing is accepted now, or empty.
        last_error: What last went wrong, or empty.
    """

    counters: tuple[tuple[str, int], ...]
    rows: int
    pending: int
    gap: int
    open_traces: int
    waiting_bytes: int
    uncommitted_s: float
    freshness_s: float
    wal_bytes: int
    disk_free_bytes: int
    busy_reason: str
    last_error: str

    @property
    def refused_for_good(self) -> int:
        """Requests that nobody could read or that were over a limit: their senders do not send them again."""
        return sum(self.count(f"refused_{answer.value}") for answer in REFUSED_FOR_GOOD)

    def count(self, name: str) -> int:
        """Return one counter; 0 when it was never incremented.

        Args:
            name: Its name, for example `acked`.
        """
        return dict(self.counters).get(name, 0)
