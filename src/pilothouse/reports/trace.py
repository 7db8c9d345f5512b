# SPDX-License-Identifier: Apache-2.0
"""The Trace page: claim beside outcome, then every span in its place and time (trace → page)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task
from pilothouse.core.verdict.numbers import significant
from pilothouse.ports.lake import SpanRecord, TraceView
from pilothouse.reports.foreign import ForeignText, foreign_line, foreign_text, size_text
from pilothouse.reports.laid_out import in_lines
from pilothouse.reports.moments import Moment, duration_text, moment
from pilothouse.reports.tasks import TaskRow, task_row
from pilothouse.reports.view_models import (
    ActionOffer,
    Frozen,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    outcome_mark,
    page_moment,
    unknown_quantity,
)
from pilothouse.reports.words import plural

__all__ = [
    "BARS_MAX",
    "FIELDS",
    "ClaimShown",
    "SpanField",
    "SpanRow",
    "TracePage",
    "build_trace",
]

BARS_MAX = 200
"""Spans on the page; the rest is counted. A person reads no more, and the page stays in its budget."""

DEPTH_MAX = 8
"""Indents drawn: deeper spans are as far right as the eighth."""

FIELDS_BYTES_MAX = 600_000
"""Bytes of all span texts on one page; what comes later is offered as a download only."""

FIELDS = ("input", "output", "attributes", "events")
"""Text fields of a span, in the order of the page."""


class ClaimShown(Frozen):
    """What the agent says beside what the system of record says.

    Attributes:
        claim: What the agent says it did, or None when it claims nothing.
        mark: What a verifier found.
        found: What stands in the system of record.
        critical: The critical mistake, or empty.
        verifier: Who looked.
        verified: When, or None.
        attempts: How often it was asked, in words.
    """

    claim: ForeignText | None
    mark: StatusMark
    found: ForeignText | None
    critical: str
    verifier: str
    verified: Moment | None
    attempts: str


class SpanField(Frozen):
    """One text of a span, at most 4 KB of it; `download` leads to the whole."""

    name: str
    text: ForeignText
    download: str


class SpanRow(Frozen):
    """One span in its place.

    Attributes:
        id: Span id.
        depth: Indent, at most `DEPTH_MAX`.
        name: Span name.
        kind: `model`, `tool`, `agent` or `error`: the fill of its bar.
        label: Kind in words.
        left: Start as a share of the trace.
        width: Length as a share of the trace.
        took: Duration.
        starts: Start after the begin of the trace.
        failed: What the error says, or empty.
        facts: Short facts: model, tool, time to the first words, tokens, cost.
        fields: Texts.
    """

    id: str
    depth: int
    name: str
    kind: str
    label: str
    left: float
    width: float
    took: Quantity
    starts: str
    failed: str
    facts: tuple[str, ...]
    fields: tuple[SpanField, ...]


class TracePage(Page):
    """One task from its first span to its last.

    Attributes:
        trace_id: Whole id.
        task: The task as a row, or None while it is not assembled.
        claim: Claim beside outcome.
        spans: Spans in tree order.
        unplaced: Spans whose parent never arrived or that lie in a circle.
        findings: What is wrong with the data.
        total: Duration of the drawn axis.
        hidden: Spans that are not shown, in words, or empty.
        output: The last answer.
    """

    trace_id: str
    task: TaskRow | None
    claim: ClaimShown
    spans: tuple[SpanRow, ...]
    unplaced: tuple[SpanRow, ...]
    findings: tuple[str, ...]
    total: str
    hidden: str


def _kind(span: SpanRecord) -> tuple[str, str]:
    if span.status == "error" or span.error_type:
        return "error", "error"
    if span.operation in {"chat", "text_completion", "generate_content", "embeddings", "completion"}:
        return "model", "model"
    if span.operation == "execute_tool" or span.tool_name:
        return "tool", "tool"
    return "agent", span.operation if span.operation not in {"", "other"} else "step"


def _facts(span: SpanRecord) -> tuple[str, ...]:
    facts = []
    model = span.response_model or span.request_model
    if model:
        asked = span.request_model
        other = f" (asked for {foreign_line(asked, chars_max=60)})" if asked and asked != model else ""
        facts.append(f"model {foreign_line(model, chars_max=60)}{other}")
    if span.tool_name:
        facts.append(f"tool {foreign_line(span.tool_name, chars_max=60)}")
    if span.first_chunk_ns is not None:
        facts.append(f"first words after {duration_text(span.first_chunk_ns / 1e9)}")
    if span.tokens_total is not None:
        facts.append(plural(span.tokens_total, "token"))
    if _kind(span)[1] == "model" or span.cost_usd_text is not None:
        facts.append(f"cost {_cost(span.cost_usd_text)}")
    if span.cut_bytes:
        facts.append(f"{size_text(span.cut_bytes)} cut when it was taken in")
    return tuple(facts)


def _cost(text: str | None) -> str:
    try:
        return "unknown" if text is None else f"${significant(float(Decimal(text)))}"
    except (InvalidOperation, ValueError):
        return "unknown"


def _fields(span: SpanRecord, base: str, budget: list[int]) -> tuple[SpanField, ...]:
    fields = []
    for name in FIELDS:
        text: str = getattr(span, name)
        if text in {"", "[]", "{}"}:
            continue
        shown = foreign_text(in_lines(text)) if budget[0] > 0 else foreign_text(text, bytes_max=0)
        budget[0] -= len(shown.text)
        cut = bool(shown.note)
        fields.append(
            SpanField(name=name, text=shown, download=f"{base}/{span.span_id}/{name}.txt" if cut else "")
        )
    return tuple(fields)


def _order(spans: Sequence[SpanRecord]) -> tuple[list[tuple[SpanRecord, int]], list[SpanRecord]]:
    """Return spans in tree order with their depth, and those that no root leads to."""
    ids = {span.span_id for span in spans}
    children: dict[str | None, list[SpanRecord]] = {}
    for span in spans:
        parent = span.parent_span_id if span.parent_span_id in ids else None
        if span.parent_span_id is None or parent is not None:
            children.setdefault(parent, []).append(span)
    placed: list[tuple[SpanRecord, int]] = []
    seen: set[int] = set()
    stack = [(span, 0) for span in reversed(children.get(None, []))]
    while stack:
        span, depth = stack.pop()
        if id(span) in seen:
            continue
        seen.add(id(span))
        placed.append((span, depth))
        stack += [(child, depth + 1) for child in reversed(children.get(span.span_id, []))]
    return placed, [span for span in spans if id(span) not in seen]


class _Axis:
    """Time of a trace as shares of its length."""

    def __init__(self, spans: Sequence[SpanRecord]) -> None:
        self.start = min((span.start_ns for span in spans), default=0)
        ends = [max(span.end_ns or span.start_ns, span.start_ns + (span.duration_ns or 0)) for span in spans]
        self.length = max(max(ends, default=0) - self.start, 1)

    def share(self, nanoseconds: int) -> float:
        return round(min(max(nanoseconds / self.length, 0.0), 1.0), 5)


def _row(span: SpanRecord, depth: int, axis: _Axis, base: str, budget: list[int]) -> SpanRow:
    duration = span.duration_ns
    took = unknown_quantity("seconds")
    if duration is not None and duration >= 0:
        took = Quantity(value=duration / 1e9, unit="seconds", shown=duration_text(duration / 1e9))
    kind, label = _kind(span)
    failed = ""
    if kind == "error":
        failed = foreign_line(span.status_message or span.error_type or "failed", chars_max=300)
    return SpanRow(
        id=span.span_id,
        depth=min(depth, DEPTH_MAX),
        name=foreign_line(span.name, chars_max=100) or "without a name",
        kind=kind,
        label=label,
        left=axis.share(span.start_ns - axis.start),
        width=axis.share(duration if duration and duration > 0 else 0),
        took=took,
        starts=duration_text((span.start_ns - axis.start) / 1e9),
        failed=failed,
        facts=_facts(span),
        fields=_fields(span, base, budget),
    )


def _short(name: str) -> str:
    """Leave of a digest what a person compares."""
    return re.sub(r"([0-9a-f]{12})[0-9a-f]{20,}", r"\1", name)


def _claim(task: Task | None, outcome: Outcome | None, now: datetime) -> ClaimShown:
    said = outcome.claim if outcome else task.claim if task else None
    return ClaimShown(
        claim=foreign_text(in_lines(said)) if said else None,
        mark=outcome_mark(outcome.status if outcome else None),
        found=foreign_text(outcome.found) if outcome and outcome.found else None,
        critical=foreign_line(outcome.critical) if outcome and outcome.critical else "",
        verifier=_short(foreign_line(outcome.verifier)) if outcome else "",
        verified=moment(outcome.verified_at, now) if outcome else None,
        attempts=f"asked {plural(outcome.attempts, 'time')}" if outcome else "",
    )


def _findings(view: TraceView, unplaced: Sequence[SpanRecord]) -> tuple[str, ...]:
    said = []
    if view.task is None:
        said.append("The task is not assembled yet: spans may still arrive.")
    if not any(span.parent_span_id is None for span in view.spans) and view.spans:
        said.append("No root span arrived.")
    if unplaced:
        said.append(
            f"{plural(len(unplaced), 'span')} cannot be placed: the parent is missing or lies in a circle."
        )
    wrong = sum(
        (span.duration_ns is not None and span.duration_ns < 0)
        or (span.end_ns is not None and span.end_ns < span.start_ns)
        for span in view.spans
    )
    if wrong:
        said.append(f"{plural(wrong, 'span')} end before they start.")
    return tuple(said)


def _sentence(task: Task | None, outcome: Outcome | None) -> str:
    if outcome and outcome.status is OutcomeStatus.CONTRADICTED:
        return "The agent said that it was done; the system of record says otherwise."
    if outcome and outcome.status is OutcomeStatus.VERIFIED:
        return "The agent said that it was done, and the system of record agrees."
    if outcome and outcome.status is OutcomeStatus.PENDING:
        return "The agent said that it was done; the system of record has not answered yet."
    if outcome:
        return "The agent said that it was done; the system of record cannot tell."
    if task is None or task.claim is None:
        return "This task claims nothing that could be checked."
    return "The agent said that it was done; nobody has asked the system of record."


def _replay(agent: str, trace_id: str, is_recorded: bool | None) -> ActionOffer:
    """Offer the replay of what is recorded, and nothing that would be refused."""
    if is_recorded:
        return ActionOffer(
            label="Replay it from its record, and see where it went wrong.",
            command=f"pilothouse replay {trace_id}",
            href=f"/agents/{quote(agent, safe='')}/runs/{trace_id}",
        )
    if is_recorded is None:
        return ActionOffer(
            label="See whether it was recorded and can be replayed.", command="pilothouse replay --list"
        )
    return ActionOffer(
        label="Read its spans: no run of this id is recorded to be replayed. Record the next ones.",
        command="pilothouse run -- COMMAND-THAT-STARTS-YOUR-AGENT",
    )


def _action(
    agent: str,
    trace_id: str,
    rows: Sequence[SpanRow],
    task: Task | None,
    outcome: Outcome | None,
    *,
    is_recorded: bool | None,
) -> ActionOffer | None:
    """Offer what settles the task: its failed span, its replay, or a verifier; None when it is settled."""
    failed = next((row for row in rows if row.kind == "error"), None)
    if failed is not None:
        return ActionOffer(
            label=f"Read the span that failed: {failed.name}.",
            href=f"#s-{failed.id}",
        )
    if outcome is not None and outcome.status is OutcomeStatus.CONTRADICTED:
        return _replay(agent, trace_id, is_recorded)
    if outcome is None and task is not None and task.claim is not None:
        return ActionOffer(
            label="Name a verifier in the charter, so that claims are checked.",
            command="pilothouse check charter.yaml",
            href=f"/agents/{quote(agent, safe='')}/readiness#MON-7",
        )
    return None


def build_trace(
    agent: str,
    trace_id: str,
    view: TraceView,
    outcome: Outcome | None,
    now: datetime,
    *,
    is_recorded: bool | None = None,
) -> TracePage:
    """Return the Trace page.

    Args:
        agent: Agent name.
        trace_id: Whole trace id.
        view: Task and spans.
        outcome: What a verifier found, or None.
        now: The moment, aware UTC.
        is_recorded: Whether a run of this id can be replayed, or None where nobody looked.
    """
    placed, unplaced = _order(view.spans)
    axis = _Axis(view.spans)
    if view.task is not None:
        outcome = standing_outcome(view.task, outcome)
    base = f"/agents/{quote(agent, safe='')}/tasks/{trace_id}"
    budget = [FIELDS_BYTES_MAX]
    rows = tuple(_row(span, depth, axis, base, budget) for span, depth in placed[:BARS_MAX])
    room = BARS_MAX - len(rows)
    loose = tuple(_row(span, 0, axis, base, budget) for span in unplaced[:room])
    shown = len(rows) + len(loose)
    mark = outcome_mark(outcome.status if outcome else None)
    hidden = view.spans_total - shown
    return TracePage(
        name="trace",
        title=f"{mark.spoken} · Task {trace_id[:8]}",
        heading=f"Task {trace_id[:8]}",
        agent=agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=_sentence(view.task, outcome)),
        action=_action(agent, trace_id, (*rows, *loose), view.task, outcome, is_recorded=is_recorded),
        trace_id=trace_id,
        task=task_row(view.task, outcome, now) if view.task else None,
        claim=_claim(view.task, outcome, now),
        spans=rows,
        unplaced=loose,
        findings=_findings(view, unplaced),
        total=duration_text(axis.length / 1e9) if view.spans else "",
        hidden=f"{plural(hidden, 'further span')} of {view.spans_total:,} not shown." if hidden > 0 else "",
    )
