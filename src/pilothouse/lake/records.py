# SPDX-License-Identifier: Apache-2.0
"""Convert rows of the tables to the records of answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from pilothouse.core.evidence.task import CostState, Task, TaskResult, TaskState, TokenCount
from pilothouse.lake.columns import TaskRow
from pilothouse.lake.payload import json_text
from pilothouse.lake.prices import PICO, usd
from pilothouse.ports.lake import SpanRecord

__all__ = [
    "SPAN_FIELDS",
    "TASK_FIELDS",
    "TOKEN_FIELDS",
    "pico_of",
    "task_of_row",
    "task_of_values",
    "with_log_content",
]

TASK_FIELDS = (
    "trace_id, agent, task_type, version_digest, environment, state, result, error_type, claim, confidence, "
    "start_ns, end_ns, duration_ns, spans, model_calls, model_errors, tool_calls, tool_errors, models, tools, hosts, "
    "tokens_input, tokens_cache_read, tokens_cache_creation, tokens_output, tokens_reasoning, "
    "calls_without_usage, cost_usd, cost_known_usd, cost_state, input_preview, output_preview, flags, revision, "
    "conversation_id"
)

SPAN_FIELDS = (
    "span_id, parent_span_id, record, name, operation, agent, start_ns, end_ns, duration_ns, status, "
    "status_message, error_type, provider, request_model, response_model, tool_name, first_chunk_ns, tokens_input, "
    "tokens_cache_read, tokens_cache_creation, tokens_output, tokens_reasoning, tokens_basis, cost_usd, "
    "cost_state, convention, input, output, attributes, events, cut_bytes, record_id"
)

STATUSES = ("unset", "ok", "error")

TOKEN_FIELDS = (
    "tokens_input",
    "tokens_cache_read",
    "tokens_cache_creation",
    "tokens_output",
    "tokens_reasoning",
)

PLAIN_FIELDS = (
    "span_id", "parent_span_id", "record", "name", "operation", "agent", "start_ns", "end_ns", "duration_ns",
    "status_message", "error_type", "provider", "request_model", "response_model", "tool_name",
    "first_chunk_ns", "convention", "attributes", "events", "cut_bytes",
)  # fmt: skip


# Looking a word up costs a third of asking its enumeration, three times for each task of a window.
_STATES = {one.value: one for one in TaskState}
_RESULTS = {one.value: one for one in TaskResult}
_COST_STATES = {one.value: one for one in CostState}


def pico_of(value: Decimal | None) -> Any:
    """Return exact dollars of a table as whole pico-dollars.

    Args:
        value: Dollars, or None where they are not known.
    """
    return None if value is None else int(value * PICO)


def task_of_values(  # noqa: PLR0917 - one argument for each column of TASK_FIELDS, called once for each row
    trace_id: str, agent: str, task_type: str, version_digest: str | None, environment: str | None,
    state: str, result: str, error_type: str | None, claim: str | None, confidence: float | None,
    start_ns: int, end_ns: int, duration_ns: int | None, spans: int,
    model_calls: int, model_errors: int, tool_calls: int, tool_errors: int,
    models: list[str] | None, tools: list[str] | None, hosts: list[str] | None,
    tokens_input: int, cache_read: int, cache_creation: int, tokens_output: int, reasoning: int,
    calls_without_usage: int, cost_usd: Decimal | None, cost_known_usd: Decimal | None, cost_state: str,
    input_preview: str, output_preview: str, flags: list[str] | None, revision: int,
    conversation_id: str | None,
) -> Task:  # fmt: skip
    """Return a task from the values of `TASK_FIELDS`, in their order."""
    return Task(
        trace_id=trace_id,
        agent=agent,
        task_type=task_type,
        version_digest=version_digest,
        environment=environment,
        state=_STATES[state],
        result=_RESULTS[result],
        error_type=error_type,
        claim=claim,
        confidence=confidence,
        start_ns=start_ns,
        end_ns=end_ns,
        duration_ns=duration_ns,
        spans=spans,
        model_calls=model_calls,
        model_errors=model_errors,
        tool_calls=tool_calls,
        tool_errors=tool_errors,
        models=tuple(models or ()),
        tools=tuple(tools or ()),
        hosts=tuple(hosts or ()),
        tokens=TokenCount(
            input=tokens_input,
            cache_read=cache_read,
            cache_creation=cache_creation,
            output=tokens_output,
            reasoning=reasoning,
        ),
        calls_without_usage=calls_without_usage,
        cost_usd=cost_usd,
        cost_known_usd=cost_known_usd or Decimal(0),
        cost_state=_COST_STATES[cost_state],
        input_preview=input_preview,
        output_preview=output_preview,
        flags=tuple(flags or ()),
        revision=revision,
        conversation=conversation_id,
    )


def task_of_row(row: TaskRow) -> Task:
    """Return a task from its row."""
    values = [getattr(row, name) for name in TASK_FIELDS.split(", ")]
    for name in ("cost_usd", "cost_known_usd"):
        pico = getattr(row, name)
        values[TASK_FIELDS.split(", ").index(name)] = None if pico is None else usd(pico)
    return task_of_values(*values)


def with_log_content(rows: list[dict[str, Any]]) -> tuple[SpanRecord, ...]:
    """Turn rows into records; a span without content gets that of the log records below it.

    Args:
        rows: Rows of `spans` with the columns of `SPAN_FIELDS`, in start order.
    """
    said: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row["record"] == "log" and row["span_id"]:
            told = said.setdefault(row["span_id"], {"input": [], "output": []})
            for side in ("input", "output"):
                if row[side]:
                    told[side].append(row[side])
    return tuple(
        _span_record(row, said.get(row["span_id"]) if row["record"] == "span" else None) for row in rows
    )


def _span_record(row: dict[str, Any], told: dict[str, list[str]] | None) -> SpanRecord:
    def content(side: str) -> str:
        if row[side] or not told or not told[side]:
            return row[side] or ""
        return told[side][0] if len(told[side]) == 1 else _joined(told[side])

    parts = [row[name] for name in TOKEN_FIELDS]
    return SpanRecord(
        **{name: row[name] for name in PLAIN_FIELDS},
        status=STATUSES[row["status"]],
        tokens_total=None if row["tokens_basis"] is None else sum(part or 0 for part in parts),
        cost_usd_text=None if row["cost_usd"] is None else f"{row['cost_usd'].normalize():f}",
        input=content("input"),
        output=content("output"),
    )


def _joined(texts: list[str]) -> str:
    """Join message lists of several log records into one."""
    joined: list[Any] = []
    for text in texts:
        try:
            part = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            part = text
        joined.extend(part if isinstance(part, list) else [part])
    return json_text(joined)
