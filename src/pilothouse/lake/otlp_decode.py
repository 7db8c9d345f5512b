# SPDX-License-Identifier: Apache-2.0
"""Flatten a parsed OTLP request into rows of the table `spans` (protobuf or JSON → the same rows).

One pass for each span over attributes that were read before the answer was given; what has no column stays in
one JSON text. Rows are plain tuples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from pilothouse.core.evidence.task import TokenCount
from pilothouse.lake import limits
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.columns import COST_NONE, COST_PRICED, COST_UNPRICED
from pilothouse.lake.layout import NOTHING, Layout, lay_out, shared_values
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
from pilothouse.lake.otlp_request import DIALECTS, Dialect, ParsedRequest, SpanHead
from pilothouse.lake.otlp_sender import Sender, read_sender, scope_text
from pilothouse.lake.payload import json_text, preview
from pilothouse.lake.prices import PriceSource, cost_pico
from pilothouse.lake.rows import Arrival, Row, bounded, core_span
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
from pilothouse.ports.intake import Signal

__all__ = ["decode_rows"]

FAMILIES = {
    **dict.fromkeys(TOOL_OPERATIONS, "tool"),
    **dict.fromkeys(RETRIEVAL_OPERATIONS, "retrieval"),
}
"""Operation → family of payload names; all others speak like a model."""


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
    bad, said, heads = request.bad, request.attributes, request.heads
    is_large = request.size > limits.VALUE_CHARS_MAX
    if request.signal is Signal.TRACES:
        for resource_spans in request.message.resource_spans:
            sender = read_sender(resource_spans.resource, dialect)
            shared: dict[tuple[Layout, tuple[Attribute, ...]], _Shared] = {}
            for scope_spans in resource_spans.scope_spans:
                scope = scope_text(scope_spans.scope, dialect)
                for span in scope_spans.spans:
                    if index not in bad:
                        layout, attributes, lost = lay_out(said[index])
                        key = (layout, layout.shared(attributes))
                        common = shared.get(key) or shared.setdefault(key, _share(*key, sender))
                        cut = sum([one.cut for one in attributes]) if is_large else None
                        yield _span_row(
                            span, heads[index], layout, attributes, lost, common,
                            sender, scope, dialect, arrival, prices, cut,
                        )  # fmt: skip
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


class _Shared(NamedTuple):
    """What spans have in common that repeat it, as it stands in the columns, and where each finds its own payload."""

    operation: str
    is_call: bool
    inputs: int | str | None
    outputs: int | str | None
    system: int | str | None
    definitions: int | str | None
    text: str
    agent: str
    agent_id: str | None
    agent_version: str | None
    digest: str | None
    task_type: str | None
    result: str | None
    error_type: str | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    finish_reasons: str | None
    tool_name: str | None
    tool_type: str | None
    data_source_id: str | None
    server: str | None
    event_name: str | None


def _share(layout: Layout, shared: tuple[Attribute, ...], sender: Sender) -> _Shared:
    (
        operation, kind, provider, request_model, response_model, finish_reasons, agent, agent_id, agent_version,
        digest, task_type, result, tool_name, tool_type, data_source_id, error_type, server_address, server_port,
        event_name,
    ) = shared_values(shared)  # fmt: skip
    if operation is None:
        operation = OPENINFERENCE_KINDS.get(kind.upper(), kind.lower()) if kind else "other"
    family = FAMILIES.get(operation, "model")
    if sender.agent is not None and all(one.name.key != "pilothouse.agent" for one in shared):
        agent = sender.agent
    return _Shared(
        operation=operation or "other",
        is_call=operation in MODEL_OPERATIONS,
        inputs=layout.find(PAYLOAD_INPUTS[family]),
        outputs=layout.find(PAYLOAD_OUTPUTS[family]),
        system=layout.find(SYSTEM_KEYS),
        definitions=layout.find(DEFINITION_KEYS),
        text=",".join([one.json for one in shared]),
        agent=agent or sender.service,
        agent_id=agent_id,
        agent_version=agent_version or sender.version,
        digest=digest or sender.digest,
        task_type=task_type,
        result=result or sender.result,
        error_type=error_type,
        provider=None if provider is None else PROVIDERS.get(provider, provider),
        request_model=request_model,
        response_model=response_model,
        finish_reasons=finish_reasons,
        tool_name=tool_name,
        tool_type=tool_type,
        data_source_id=data_source_id,
        server=None if server_address is None else server_text(server_address, server_port),
        event_name=event_name,
    )


def _span_row(  # noqa: PLR0917 - called once for each span; keywords cost there
    span: Any,
    head: SpanHead,
    layout: Layout,
    attributes: Sequence[Attribute],
    lost: int,
    shared: _Shared,
    sender: Sender,
    scope: str,
    dialect: Dialect,
    arrival: Arrival,
    prices: PriceSource,
    cut: int | None,
) -> Row:
    """Flatten one span. `cut` are the characters that its attributes lost; None when none can be too long."""
    (
        response_id, first_chunk_s, input_total, cache_read, cache_creation, output_total, reasoning,
        aggregated_input, aggregated_output, conversation_id, user_id, claim, confidence, tool_call_id,
        source_cost, metadata,
    ) = layout.own(attributes)  # fmt: skip
    (
        operation, is_call, inputs, outputs, system_place, definitions_place, text,
        agent, agent_id, agent_version, digest, task_type, result, error_type, provider, request_model,
        response_model, finish_reasons, tool_name, tool_type, data_source_id, server, event_name,
    ) = shared  # fmt: skip
    trace_id, span_id, parent, sent_start, sent_end, (code, status_message) = head
    events = read_events(span.events, dialect) if span.events else NO_EVENTS
    links, links_lost = read_links(span.links, dialect) if span.links else ("[]", 0)
    received_ns = arrival.received_ns
    start, end, duration, flags, day = times_of(sent_start, sent_end, received_ns)
    if error_type is None and (events is not NO_EVENTS or code == 2):
        error_type = events.error_type or ("_OTHER" if code == 2 else None)
    usage: tuple[int | None, ...] = NO_USAGE
    if input_total is not NOTHING:
        usage = split_usage(
            input_total.value, cache_read.value, cache_creation.value, output_total.value, reasoning.value
        )
    elif aggregated_input is not NOTHING:
        usage = split_usage(
            aggregated_input.value,
            cache_read.value,
            cache_creation.value,
            aggregated_output.value,
            reasoning.value,
        )
    cost, cost_state, price_id = None, COST_NONE, None
    if is_call:
        cost, price_id = _price(usage, provider, response_model or request_model, end or start, prices)
        cost_state = COST_UNPRICED if cost is None else COST_PRICED
    said_in, preview_in = layout.said(attributes, inputs, of_user=True)
    said_out, preview_out = layout.said(attributes, outputs, of_user=False)
    if said_in is None and events.inputs:
        said_in = json_text(events.inputs)
        preview_in = preview(said_in, of_user=True)
    if said_out is None and events.outputs:
        said_out = json_text(events.outputs)
        preview_out = preview(said_out, of_user=False)
    system = None if system_place is None else layout.text(attributes, system_place)
    definitions = None if definitions_place is None else layout.text(attributes, definitions_place)
    if cut is not None:
        said_in, cut_in = bounded(said_in)
        said_out, cut_out = bounded(said_out)
        system, cut_system = bounded(system)
        definitions, cut_definitions = bounded(definitions)
        cut += cut_in + cut_out + cut_system + cut_definitions
    if task_type is None and metadata is not NOTHING:
        task_type = _metadata_task_type(metadata.value)
    said_confidence = sender.confidence if confidence is NOTHING else confidence.value
    own_text = ",".join([one.json for one in layout.texts(attributes)])
    dropped = span.dropped_attributes_count + lost
    dropped_events = span.dropped_events_count + events.lost
    dropped_links = span.dropped_links_count + links_lost
    span_kind = span.kind
    core = core_span((
        trace_id, span_id, parent, "span", "",
        start, end, duration, received_ns, flags,
        agent, agent_id, agent_version, digest,
        task_type or sender.task_type, conversation_id.value, user_id.value, sender.environment,
        operation, span.name[: limits.NAME_CHARS_MAX], code,
        error_type[: limits.ERROR_TYPE_CHARS_MAX] if error_type else None,
        provider, request_model, response_model, response_id.value, tool_name, server,
        event_name, *usage, cost, cost_state,
        result, sender.claim if claim is NOTHING else claim_text(claim.value),
        None if said_confidence is None else confidence_of(said_confidence),
        preview_in or None, preview_out or None,
        arrival.source, arrival.seq,
    ))  # fmt: skip
    return core, (
        span_kind if 0 <= span_kind <= 5 else 0, status_message,
        sender.service, tool_type, tool_call_id.value, data_source_id, layout.convention,
        price_id, None if source_cost is NOTHING else number_of(source_cost.value),
        None if first_chunk_s is NOTHING else first_chunk_ns(first_chunk_s.value), finish_reasons,
        len(said_in) if said_in else None, len(said_out) if said_out else None,
        said_in, said_out, system, definitions,
        f"{{{text},{own_text}}}" if text and own_text else f"{{{text or own_text}}}", sender.text, scope, events.text, links, arrival.node,
        dropped and dropped_count(dropped), dropped_events and dropped_count(dropped_events),
        dropped_links and dropped_count(dropped_links),
        cut or 0, day,
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
