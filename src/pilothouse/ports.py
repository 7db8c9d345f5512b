# SPDX-License-Identifier: Apache-2.0
"""What the inside needs from outside, one Protocol each; workflows know only these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pilothouse.core.evidence.evidence import Evidence
    from pilothouse.core.evidence.outcome import Finding, Outcome
    from pilothouse.core.evidence.price import Price, TokenClass
    from pilothouse.core.evidence.task import Task

__all__ = [
    "AgentSeen",
    "CharterInForce",
    "Clock",
    "Decision",
    "Intake",
    "IntakeAnswer",
    "Lake",
    "LakeHealth",
    "Ledger",
    "Receipt",
    "Signal",
    "SpanRecord",
    "TaskCursor",
    "TaskFilter",
    "TaskPage",
    "TraceView",
    "Verifier",
]

VERIFIERS_API_VERSION = 1
"""Version of the `pilothouse.verifiers` entry-point group."""

EVIDENCE_MAX = 100_000
"""Records of one agent that one answer may hold: years of daily records, and still a few seconds to read."""

OUTCOMES_MAX = 1_000_000
"""Outcomes of one window, as many as the lake gives tasks."""

OUTCOME_IDS_MAX = 10_000
"""Tasks asked for by id at once: the largest page of the lake."""

SAID_SPAN_MAX_NS = 7 * 86_400 * 1_000_000_000
"""Whole texts are looked through for at most a week: an answer within seconds at 5 million spans."""

DECISIONS_MAX = 1_000
"""Decisions in one answer; a page shows fifty."""


@runtime_checkable
class Clock(Protocol):
    """Tells the time; a test hands in one that stands still."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCursor:
    """Where a page of tasks ended: the next one begins strictly before it."""

    start_ns: int
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks a query wants; None means any.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Tasks newest first, and where to go on (None at the end)."""

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
    """An agent as telemetry knows it.

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


@runtime_checkable
class Lake(Protocol):
    """Telemetry in bulk, as queries; every answer is bounded."""

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        ...

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding, at most 1,000,000."""
        ...

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace by its full id, or None when nothing has it."""
        ...

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeHealth:
    """The state of one node at one moment; counts are in items since the process started.

    Attributes:
        counters: Everything that is counted, by name.
        rows: Rows of `spans` that a query can see, counted in files and memory.
        pending: Acknowledged items that no query can see yet.
        gap: Acknowledged items that are nowhere; anything but 0 for more than a minute is a loss.
        open_traces: Traces that are still gathered.
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

    def count(self, name: str) -> int:
        """Return one counter; what was never counted is 0.

        Args:
            name: Its name, for example `acked`.
        """
        return dict(self.counters).get(name, 0)


class Signal(StrEnum):
    """What an OTLP request carries."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class IntakeAnswer(StrEnum):
    """What became of an OTLP request; only the last two ask the sender to try again."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    OVER_QUOTA = "over_quota"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to one OTLP request; `ACCEPTED` means that every item not rejected is on the disk.

    Attributes:
        answer: What became of it.
        items: Spans, log records or metrics in the request; 0 when it could not be read.
        rejected: Items among them that are broken.
        reason: One sentence naming the first fault, or empty.
        retry_after_s: When to try again, for `OVER_QUOTA` and `BUSY`.
    """

    answer: IntakeAnswer
    items: int = 0
    rejected: int = 0
    reason: str = ""
    retry_after_s: int = 1


@runtime_checkable
class Intake(Protocol):
    """Takes OTLP requests in; what it accepts survives the death of the process."""

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Take one request; durable when this returns `ACCEPTED`.

        Args:
            signal: Which of the three services it was sent to.
            content_type: `application/x-protobuf` or `application/json`.
            content_encoding: Empty, `identity` or `gzip`.
            body: The body as received, at most 16 MiB.
            source: Id of the ingest key or place it came from.
        """
        ...

    def settle(self) -> None:
        """Close every trace whose root has ended without waiting for late spans, and commit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterInForce:
    """A charter as it was accepted.

    Attributes:
        agent: Agent id.
        digest: Digest of the canonical model.
        text: The file as it was read.
        path: Where it was read from.
        accepted_at: When it came into force, aware UTC.
        number: 1 for the first accepted charter of the agent, one more for each change.
    """

    agent: str
    digest: str
    text: str
    path: str
    accepted_at: datetime
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that a person or the system decided.

    Attributes:
        sequence: 1 for the first of the installation, then rising.
        kind: What was decided, for example `charter.accepted`.
        agent: Agent id.
        at: When, aware UTC.
        actor: Who: a person id, a command or a part of the system.
        document: JSON text with the rest.
    """

    sequence: int
    kind: str
    agent: str
    at: datetime
    actor: str
    document: str


@runtime_checkable
class Ledger(Protocol):
    """Everything decided by people or by the system; durable when a method returns."""

    def accept_charter(
        self, *, agent: str, digest: str, text: str, path: str, at: datetime
    ) -> CharterInForce:
        """Put a charter into force; the same digest again changes nothing."""
        ...

    def charter(self, agent: str, *, at: datetime | None = None) -> CharterInForce | None:
        """Return the charter in force now, or at a past moment; None when there is none."""
        ...

    def charters(self) -> Sequence[CharterInForce]:
        """Return the charter in force of every agent, by agent."""
        ...

    def add_evidence(self, records: Sequence[Evidence]) -> int:
        """Store records; a record with equal content counts once. Return how many were new."""
        ...

    def evidence(self, agent: str, *, since: datetime | None = None) -> Sequence[Evidence]:
        """Return the records of an agent, oldest first, those recorded at or after `since`."""
        ...

    def save_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Store the current outcome of each task; a later one replaces a `pending` one."""
        ...

    def outcomes(self, agent: str, *, from_ns: int, to_ns: int) -> Sequence[Outcome]:
        """Return outcomes of tasks that started in the half-open window, by start."""
        ...

    def outcomes_of(self, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return current outcomes of some tasks, by trace id (at most 10,000 ids)."""
        ...

    def save_verdict(self, *, agent: str, at: datetime, status: str, document: str, digest: str) -> None:
        """Freeze a verdict (canonical JSON) with its digest."""
        ...

    def latest_verdict(self, agent: str, *, at: datetime | None = None) -> str | None:
        """Return the newest frozen verdict at or before a moment, as JSON text, or None."""
        ...

    def record(self, *, kind: str, agent: str, at: datetime, actor: str, document: str) -> int:
        """Append one decision (JSON text) and return its sequence number."""
        ...

    def decisions(self, agent: str, *, kind: str | None = None, limit: int = 100) -> Sequence[Decision]:
        """Return decisions about an agent, newest first, at most `limit` (1..1,000)."""
        ...

    def add_prices(self, prices: Sequence[Price]) -> int:
        """Store prices; one that is known changes nothing, another for the same start is a conflict.

        Return how many were new.
        """
        ...

    def prices(self) -> Sequence[Price]:
        """Return every price by provider, model, class and start; none at all until somebody adds one."""
        ...

    def price(self, *, provider: str, model: str, token_class: TokenClass, at: datetime) -> Price | None:
        """Return the price in force at a moment, or None: unknown, which is not zero."""
        ...


@runtime_checkable
class Verifier(Protocol):
    """Asks the system of record whether a task's claim is true; must not write.

    Example:
        >>> from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
        >>> def always(task: object) -> Finding:
        ...     return Finding(status=OutcomeStatus.VERIFIED)
        >>> isinstance(always, Verifier)
        True
    """

    def __call__(self, task: Task) -> Finding:
        """Return what the system of record says about `task.claim`."""
        ...
