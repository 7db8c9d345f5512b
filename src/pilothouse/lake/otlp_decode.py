# SPDX-License-Identifier: Apache-2.0
"""Flatten a parsed OTLP request into rows of the table `spans` (protobuf or JSON → the same rows).

One pass for each span over attributes that were read before the answer was given; what has no column stays in
one JSON text. Rows are plain tuples in the order of `columns.SPAN_COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pilothouse.core.evidence.task import TokenCount
from pilothouse.lake import limits
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.columns import COST_NONE, COST_PRICED, COST_UNPRICED
from pilothouse.lake.otlp_events import NO_EVENTS, read_events, read_links
from pilothouse.lake.otlp_fields import (
    claim_text,
    confidence_of,
    dropped_count,
    first_chunk_ns,
    number_of,
    optional_text,
    server_text,
    times_of,
)
from pilothouse.lake.otlp_logs import log_row
from pilothouse.lake.otlp_request import DIALECTS, Dialect, ParsedRequest
from pilothouse.lake.otlp_sender import Sender, read_sender, scope_text
from pilothouse.lake.payload import json_text, preview
from pilothouse.lake.prices import PriceSource, cost_pico
from pilothouse.lake.resolve import Resolved
from pilothouse.lake.rows import Arrival, Row, bounded
from pilothouse.lake.semconv import (
    DEFINITION_KEYS,
    MODEL_OPERATIONS,
    OPENINFERENCE_KINDS,
    PAYLOAD_INPUTS,
    PAYLOAD_OUTPUTS,
    PROVIDERS,
    RETRIEVAL_OPERATIONS,
    SYSTEM_KEYS,
    TOOL_OPERATIONS,
)
from pilothouse.lake.usage import NO_USAGE, split_usage
from pilothouse.ports import Signal

__all__ = ["decode_rows"]

FAMILIES = {
    **dict.fromkeys(TOOL_OPERATIONS, "tool"),
    **dict.fromkeys(RETRIEVAL_OPERATIONS, "retrieval"),
}
"""Operation → family of payload names; all others speak like a model."""

ZERO_PARENT = "0000000000000000"


def decode_rows(request: ParsedRequest, arrival: Arrival, prices: PriceSource) -> Iterator[Row]:
    """Flatten the good items of a request, in order.

    Args:
        request: Parsed traces or logs.
        arrival: How it came in.
        prices: Where the price of a call is asked.

    Yields:
        One row for each span or log record.
    """
    dialect = DIALECTS[request.encoding]
    index = 0
    bad, said = request.bad, request.attributes
    is_large = request.size > limits.VALUE_CHARS_MAX
    if request.signal is Signal.TRACES:
        for resource_spans in request.message.resource_spans:
            sender = read_sender(resource_spans.resource, dialect)
            for scope_spans in resource_spans.scope_spans:
                scope = scope_text(scope_spans.scope, dialect)
                for span in scope_spans.spans:
                    if index not in bad:
                        yield _span_row(span, said[index], sender, scope, dialect, arrival, prices, is_large)
                    index += 1
    elif request.signal is Signal.LOGS:
        for resource_logs in request.message.resource_logs:
            sender = read_sender(resource_logs.resource, dialect)
            for scope_logs in resource_logs.scope_logs:
                scope = scope_text(scope_logs.scope, dialect)
                for log in scope_logs.log_records:
                    if index not in bad:
                        yield log_row(log, said[index], sender, scope, dialect, arrival)
                    index += 1


def _span_row(  # noqa: PLR0917 - called once for each span; keywords cost there
    span: Any,
    attributes: Sequence[Attribute],
    sender: Sender,
    scope: str,
    dialect: Dialect,
    arrival: Arrival,
    prices: PriceSource,
    is_large: bool,
) -> Row:
    """Flatten one span. `is_large` says that some value may be longer than the limits allow."""
    hex_id = dialect.hex_id
    resolved = Resolved(attributes)
    (
        operation, kind, provider, request_model, response_model, response_id, finish_reasons, first_chunk_s,
        input_total, cache_read, cache_creation, output_total, reasoning, aggregated_input, aggregated_output,
        conversation_id, user_id, agent, agent_id, agent_version, digest, task_type, result, claim, confidence,
        tool_name, tool_call_id, tool_type, data_source_id, error_type, source_cost, server_address, server_port,
        event_name, metadata,
    ) = resolved.slots  # fmt: skip
    sent_events, sent_links = span.events, span.links
    events = read_events(sent_events, dialect) if sent_events else NO_EVENTS
    links, links_lost = read_links(sent_links, dialect) if sent_links else ("[]", 0)
    if operation is None:
        operation = OPENINFERENCE_KINDS.get(kind.upper(), kind.lower()) if kind else "other"
    received_ns = arrival.received_ns
    start, end, duration, flags, day = times_of(
        int(span.start_time_unix_nano), int(span.end_time_unix_nano), received_ns
    )
    status = span.status
    code = status.code
    if not 0 <= code <= 2:
        code = 0
    if error_type is None:
        error_type = events.error_type or ("_OTHER" if code == 2 else None)
    if provider is not None:
        provider = PROVIDERS.get(provider, provider)
    usage = NO_USAGE
    if input_total is not None:
        usage = split_usage(input_total, cache_read, cache_creation, output_total, reasoning)
    elif aggregated_input is not None:
        usage = split_usage(aggregated_input, cache_read, cache_creation, aggregated_output, reasoning)
    cost, cost_state, price_id = None, COST_NONE, None
    if operation in MODEL_OPERATIONS:
        cost, price_id = _price(usage, provider, response_model or request_model, end or start, prices)
        cost_state = COST_UNPRICED if cost is None else COST_PRICED
    family = FAMILIES.get(operation, "model")
    said_in, preview_in = resolved.said(PAYLOAD_INPUTS[family], of_user=True)
    said_out, preview_out = resolved.said(PAYLOAD_OUTPUTS[family], of_user=False)
    if said_in is None and events.inputs:
        said_in = json_text(events.inputs)
        preview_in = preview(said_in, of_user=True)
    if said_out is None and events.outputs:
        said_out = json_text(events.outputs)
        preview_out = preview(said_out, of_user=False)
    system, definitions = resolved.first(SYSTEM_KEYS), resolved.first(DEFINITION_KEYS)
    cut = 0
    if is_large:
        said_in, cut_in = bounded(said_in)
        said_out, cut_out = bounded(said_out)
        system, cut_system = bounded(system)
        definitions, cut_definitions = bounded(definitions)
        cut = cut_in + cut_out + cut_system + cut_definitions + sum(one.cut for one in attributes)
    if task_type is None and metadata is not None:
        task_type = _metadata_task_type(metadata)
    if sender.agent is not None and (agent is None or "pilothouse.agent" not in resolved.rest):
        agent = sender.agent
    parent: str | None = hex_id(span.parent_span_id)
    if not parent or parent == ZERO_PARENT:
        parent = None
    if confidence is None:
        confidence = sender.confidence
    dropped = span.dropped_attributes_count + resolved.lost
    dropped_events = span.dropped_events_count + events.lost
    dropped_links = span.dropped_links_count + links_lost
    span_kind = span.kind
    return (
        hex_id(span.trace_id), hex_id(span.span_id), parent, "span", "",
        start, end, duration, received_ns, flags,
        agent or sender.service, agent_id, agent_version or sender.version, digest or sender.digest,
        task_type or sender.task_type, conversation_id, user_id, sender.environment,
        operation or "other", span.name[: limits.NAME_CHARS_MAX], code,
        error_type[: limits.ERROR_TYPE_CHARS_MAX] if error_type else None,
        provider, request_model, response_model, response_id, tool_name,
        None if server_address is None else server_text(server_address, server_port),
        event_name, *usage, cost, cost_state,
        result or sender.result, sender.claim if claim is None else claim_text(claim),
        None if confidence is None else confidence_of(confidence),
        preview_in or None, preview_out or None,
        arrival.source, arrival.seq,
        span_kind if 0 <= span_kind <= 5 else 0, status.message[: limits.STATUS_MESSAGE_CHARS_MAX],
        sender.service, tool_type, tool_call_id, data_source_id, resolved.convention,
        price_id, None if source_cost is None else number_of(source_cost),
        None if first_chunk_s is None else first_chunk_ns(first_chunk_s), finish_reasons,
        len(said_in) if said_in else None, len(said_out) if said_out else None,
        said_in, said_out, system, definitions,
        resolved.rest_text(), sender.text, scope, events.text, links, arrival.node,
        dropped and dropped_count(dropped), dropped_events and dropped_count(dropped_events),
        dropped_links and dropped_count(dropped_links),
        cut, day,
    )  # fmt: skip


def _metadata_task_type(metadata: Any) -> str | None:
    found = metadata
    if isinstance(metadata, str):
        try:
            found = msgspec.json.decode(metadata)
        except (msgspec.DecodeError, RecursionError):
            return None
    return optional_text(found.get("task_type")) if isinstance(found, dict) else None


def _price(
    usage: Any, provider: str | None, model: str | None, at_ns: int, prices: PriceSource
) -> tuple[int | None, str | None]:
    if usage.basis is None or model is None:
        return None, None
    price = prices(provider or "", model, at_ns)
    if price is None:
        return None, None
    tokens = TokenCount(
        input=usage.input,
        cache_read=usage.cache_read,
        cache_creation=usage.cache_creation,
        output=usage.output,
        reasoning=usage.reasoning,
    )
    return cost_pico(tokens, price), price.price_id
