# SPDX-License-Identifier: Apache-2.0
"""The columns of the tables `spans` and `tasks`, in order, with their types and their core part."""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa

__all__ = [
    "COST_NONE",
    "COST_OTHERWISE",
    "COST_PRICED",
    "COST_UNPRICED",
    "DICTIONARY_COLUMNS",
    "PAYLOAD_COLUMNS",
    "SPANS",
    "SPAN_COLUMNS",
    "TASKS",
    "TASK_COLUMNS",
    "TIME_FUTURE",
    "TIME_INVERTED",
    "TIME_MISSING",
    "TIME_OLD",
    "CoreSpan",
    "TaskRow",
]

TIME_FUTURE: Final = 1
TIME_OLD: Final = 2
TIME_INVERTED: Final = 4
TIME_MISSING: Final = 8
"""Bits of `time_flags`."""

COST_NONE: Final = 0
"""No model call, so there is nothing to price."""
COST_PRICED: Final = 1
COST_UNPRICED: Final = 2
"""A model call without usage or without a price: unknown, never zero."""
COST_OTHERWISE: Final = 3
"""A model call that costs something else than its tokens at the listed price, a service tier or fees: unknown, and no price of its
model that is said later makes it known."""

DOLLARS: Final = pa.decimal128(24, 12)


class CoreSpan(NamedTuple):
    """The part of a span that the assembler needs; the first columns of the table, in this order.

    Costs are whole pico-dollars here and decimals in the table.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    record: str
    record_id: str
    start_ns: int
    end_ns: int | None
    duration_ns: int | None
    received_ns: int
    time_flags: int
    agent: str
    agent_id: str | None
    agent_version: str | None
    version_digest: str | None
    task_type: str | None
    conversation_id: str | None
    user_id: str | None
    environment: str | None
    operation: str
    name: str
    status: int
    error_type: str | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    tool_name: str | None
    server: str | None
    event_name: str | None
    tokens_input: int | None
    tokens_cache_read: int | None
    tokens_cache_creation: int | None
    tokens_output: int | None
    tokens_reasoning: int | None
    tokens_basis: int | None
    cost_usd: int | None
    cost_state: int
    task_result: str | None
    task_claim: str | None
    task_confidence: float | None
    input_preview: str | None
    output_preview: str | None
    source: str
    seq: int


_NUMBERS: Final[dict[str, pa.DataType]] = {
    "start_ns": pa.int64(),
    "end_ns": pa.int64(),
    "duration_ns": pa.int64(),
    "received_ns": pa.int64(),
    "time_flags": pa.int16(),
    "status": pa.int8(),
    "tokens_input": pa.int64(),
    "tokens_cache_read": pa.int64(),
    "tokens_cache_creation": pa.int64(),
    "tokens_output": pa.int64(),
    "tokens_reasoning": pa.int64(),
    "tokens_basis": pa.int8(),
    "cost_usd": DOLLARS,
    "cost_state": pa.int8(),
    "task_confidence": pa.float64(),
    "seq": pa.int64(),
    "span_kind": pa.int8(),
    "source_cost_usd": pa.float64(),
    "first_chunk_ns": pa.int64(),
    "input_bytes": pa.int64(),
    "output_bytes": pa.int64(),
    "dropped_attributes": pa.int32(),
    "dropped_events": pa.int32(),
    "dropped_links": pa.int32(),
    "cut_bytes": pa.int64(),
    "day": pa.date32(),
}

PAYLOAD_COLUMNS: Final = (
    "input",
    "output",
    "system_instructions",
    "tool_definitions",
    "attributes",
    "resource",
    "scope",
    "events",
    "links",
)
"""Full text: no list, aggregate or verdict may read these."""

SPAN_COLUMNS: Final = (
    *CoreSpan._fields,
    "span_kind",
    "status_message",
    "service",
    "tool_type",
    "tool_call_id",
    "data_source_id",
    "convention",
    "price_id",
    "source_cost_usd",
    "first_chunk_ns",
    "finish_reasons",
    "input_bytes",
    "output_bytes",
    *PAYLOAD_COLUMNS,
    "node",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "cut_bytes",
    "day",
)
"""Order of a span row; `day` is the partition and stands last."""

SPANS: Final = pa.schema([(name, _NUMBERS.get(name, pa.string())) for name in SPAN_COLUMNS])


class TaskRow(NamedTuple):
    """One revision of one task, in the order of the table; costs are whole pico-dollars here."""

    trace_id: str
    revision: int
    root_span_id: str
    state: str
    reason: str
    agent: str
    agent_version: str | None
    version_digest: str | None
    task_type: str
    conversation_id: str | None
    user_id: str | None
    environment: str | None
    source: str
    start_ns: int
    end_ns: int
    duration_ns: int | None
    first_received_ns: int
    last_received_ns: int
    closed_ns: int
    result: str
    error_type: str | None
    claim: str | None
    confidence: float | None
    spans: int
    model_calls: int
    model_errors: int
    tool_calls: int
    tool_errors: int
    retrievals: int
    agent_runs: int
    models: list[str]
    tools: list[str]
    hosts: list[str]
    max_depth: int
    orphan_spans: int
    skewed_spans: int
    tokens_input: int
    tokens_cache_read: int
    tokens_cache_creation: int
    tokens_output: int
    tokens_reasoning: int
    calls_without_usage: int
    cost_usd: int | None
    cost_known_usd: int
    cost_unknown_calls: int
    cost_state: str
    input_preview: str
    output_preview: str
    flags: list[str]
    day: int


TASK_COLUMNS: Final = TaskRow._fields

_TASK_TYPES: Final[dict[str, pa.DataType]] = {
    "revision": pa.int32(),
    **dict.fromkeys(
        (
            "start_ns",
            "end_ns",
            "duration_ns",
            "first_received_ns",
            "last_received_ns",
            "closed_ns",
            "tokens_input",
            "tokens_cache_read",
            "tokens_cache_creation",
            "tokens_output",
            "tokens_reasoning",
        ),
        pa.int64(),
    ),
    **dict.fromkeys(
        (
            "spans",
            "model_calls",
            "model_errors",
            "tool_calls",
            "tool_errors",
            "retrievals",
            "agent_runs",
            "max_depth",
            "orphan_spans",
            "skewed_spans",
            "calls_without_usage",
            "cost_unknown_calls",
        ),
        pa.int32(),
    ),
    **dict.fromkeys(("models", "tools", "hosts", "flags"), pa.list_(pa.string())),
    "confidence": pa.float64(),
    "cost_usd": DOLLARS,
    "cost_known_usd": DOLLARS,
    "day": pa.date32(),
}

TASKS: Final = pa.schema([(name, _TASK_TYPES.get(name, pa.string())) for name in TASK_COLUMNS])

DICTIONARY_COLUMNS: Final = (
    "record",
    "agent",
    "agent_version",
    "version_digest",
    "task_type",
    "environment",
    "operation",
    "name",
    "error_type",
    "provider",
    "request_model",
    "response_model",
    "tool_name",
    "tool_type",
    "event_name",
    "service",
    "convention",
    "price_id",
    "resource",
    "scope",
    "node",
    "source",
    "state",
    "reason",
    "result",
    "cost_state",
)
"""Low-cardinality columns; a dictionary on free text costs a third of the writing speed."""
