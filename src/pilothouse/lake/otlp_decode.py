# SPDX-License-Identifier: Apache-2.0
"""Flatten a parsed OTLP request into rows of the table `spans` (protobuf or JSON → the same rows).

One loop for each span: attributes become a dict once, an index tells the column of each key, the rest
stays in one JSON text. Rows are plain tuples in the order of `columns.SPAN_COLUMNS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.core.evidence.task import TokenCount
from pilothouse.lake import limits
from pilothouse.lake.columns import (
    COST_NONE,
    COST_PRICED,
    COST_UNPRICED,
    TIME_FUTURE,
    TIME_INVERTED,
    TIME_MISSING,
    TIME_OLD,
)
from pilothouse.lake.otlp_request import DIALECTS, Dialect, ParsedRequest
from pilothouse.lake.payload import json_text, preview
from pilothouse.lake.prices import PriceSource, cost_pico
from pilothouse.lake.resolve import SLOTS, Resolved
from pilothouse.lake.semconv import (
    DEFINITION_KEYS,
    EVENT_INPUTS,
    EVENT_OUTPUTS,
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

__all__ = ["Arrival", "Row", "decode_rows"]

Row = tuple[Any, ...]
"""One row of `spans`, in the order of `columns.SPAN_COLUMNS`."""

DAY_NS = 86_400 * 1_000_000_000

FAMILIES = {
    **dict.fromkeys(TOOL_OPERATIONS, "tool"),
    **dict.fromkeys(RETRIEVAL_OPERATIONS, "retrieval"),
}
"""Operation → family of payload names; all others speak like a model."""

DROPPED_MAX = (1 << 31) - 1
"""The largest number of dropped items that the column holds."""

ZERO_PARENT = "0000000000000000"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a request came in; the same for a replay.

    Attributes:
        received_ns: When, Unix nanoseconds UTC.
        node: Node that took it.
        seq: Its number in that node's log.
        source: Ingest key or place it came from.
    """

    received_ns: int
    node: str
    seq: int
    source: str


@dataclass(frozen=True, slots=True)
class _Sender:
    """What a resource says for all of its spans."""

    text: str
    agent: str | None
    service: str
    version: str | None
    environment: str | None
    digest: str | None
    task_type: str | None
    result: str | None
    claim: str | None
    confidence: Any


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
    bad = request.bad
    is_large = request.size > limits.VALUE_CHARS_MAX
    if request.signal is Signal.TRACES:
        for resource_spans in request.message.resource_spans:
            sender = _read_sender(resource_spans.resource, dialect)
            for scope_spans in resource_spans.scope_spans:
                scope = _scope_text(scope_spans.scope, dialect)
                for span in scope_spans.spans:
                    if index not in bad:
                        yield _span_row(span, sender, scope, dialect, arrival, prices, is_large)
                    index += 1
    elif request.signal is Signal.LOGS:
        for resource_logs in request.message.resource_logs:
            sender = _read_sender(resource_logs.resource, dialect)
            for scope_logs in resource_logs.scope_logs:
                scope = _scope_text(scope_logs.scope, dialect)
                for log in scope_logs.log_records:
                    if index not in bad:
                        yield _log_row(log, sender, scope, dialect, arrival)
                    index += 1


def _read_sender(resource: Any, dialect: Dialect) -> _Sender:
    attributes, _ = dialect.attributes(resource.attributes)
    text = _optional_text
    return _Sender(
        text=_json(attributes),
        agent=text(attributes.get("pilothouse.agent")),
        service=text(attributes.get("service.name")) or "unknown_service",
        version=text(attributes.get("service.version")),
        environment=text(
            attributes.get("deployment.environment.name") or attributes.get("deployment.environment")
        ),
        digest=text(attributes.get("pilothouse.version")),
        task_type=text(attributes.get("pilothouse.task.type")),
        result=text(attributes.get("pilothouse.task.result")),
        claim=_claim_text(attributes.get("pilothouse.task.claim")),
        confidence=attributes.get("pilothouse.task.confidence"),
    )


def _scope_text(scope: Any, dialect: Dialect) -> str:
    return _json({"name": scope.name, "version": scope.version, **dialect.attributes(scope.attributes)[0]})


def _json(value: Any) -> str:
    return _encode(value).decode()


def _optional_text(value: Any) -> str | None:
    """Text of a short column: cut, and None when nothing stands there."""
    if value is None or value == "":
        return None
    text = value if value.__class__ is str else json_text(value)
    return text[: limits.TEXT_CHARS_MAX]


def _claim_text(value: Any) -> str | None:
    return None if value is None else json_text(value)[: limits.VALUE_CHARS_MAX]


class _Loss:
    """What our limits took from one span."""

    __slots__ = ("attributes", "bytes")

    def __init__(self) -> None:
        self.attributes = 0
        self.bytes = 0


@dataclass(frozen=True, slots=True)
class _Events:
    """What the events of one span say."""

    text: str = "[]"
    error_type: str | None = None
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    lost: int = 0


_NO_EVENTS = _Events()


def _read_events(events: Any, dialect: Dialect) -> _Events:
    kept: list[dict[str, Any]] = []
    inputs: list[Any] = []
    outputs: list[Any] = []
    error_type = None
    for event in events[: limits.EVENTS_MAX]:
        attributes, _ = dialect.attributes(event.attributes)
        name = event.name
        if name == "exception":
            error_type = error_type or _optional_text(attributes.get("exception.type"))
        elif name in EVENT_INPUTS:
            inputs.append(_event_message(attributes, EVENT_INPUTS[name]))
        elif name in EVENT_OUTPUTS:
            outputs.append(_event_message(attributes, EVENT_OUTPUTS[name]))
        kept.append(
            {"name": name, "time_unix_nano": _event_time(event.time_unix_nano), "attributes": attributes}
        )
    return _Events(_json(kept), error_type, tuple(inputs), tuple(outputs), len(events) - len(kept))


def _event_message(attributes: dict[str, Any], role: str) -> Any:
    """Return the message that an event of the older conventions carries."""
    said = attributes.get("message")
    if isinstance(said, str) and said[:1] == "{":
        with suppress(msgspec.DecodeError):
            said = msgspec.json.decode(said)
    if isinstance(said, dict):
        return {"role": role, **said}
    content = next(
        (attributes[key] for key in ("content", "gen_ai.prompt", "gen_ai.completion") if key in attributes),
        said,
    )
    return {"role": attributes.get("role", role), "content": content}


def _read_links(links: Any, dialect: Dialect) -> tuple[str, int]:
    kept = [
        {
            "trace_id": dialect.hex_id(link.trace_id),
            "span_id": dialect.hex_id(link.span_id),
            "attributes": dialect.attributes(link.attributes)[0],
        }
        for link in links[: limits.LINKS_MAX]
    ]
    return _json(kept), len(links) - len(kept)


def _cut(text: str | None, loss: _Loss) -> str | None:
    if text is None or len(text) <= limits.VALUE_CHARS_MAX:
        return text
    loss.bytes += len(text) - limits.VALUE_CHARS_MAX
    return text[: limits.VALUE_CHARS_MAX]


def _bound_attributes(attributes: dict[str, Any], loss: _Loss) -> dict[str, Any]:
    """Keep at most the allowed attributes, keys and lengths; count what is left out."""
    kept: dict[str, Any] = {}
    for key, value in attributes.items():
        if len(kept) >= limits.ATTRIBUTES_MAX or len(key) > limits.KEY_BYTES_MAX:
            loss.attributes += 1
            continue
        if value.__class__ is str and len(value) > limits.VALUE_CHARS_MAX:
            value = _cut(value, loss)  # noqa: PLW2901 - the bounded value takes the place of the sent one
        kept[key] = value
    return kept


def _times(sent_start: int, sent_end: int, received_ns: int) -> tuple[int, int | None, int | None, int, int]:
    """Return start, end, duration, flags and day number of a span."""
    flags = 0
    start = sent_start
    if not start:
        start = sent_end or received_ns
        flags = TIME_MISSING
    end: int | None = sent_end or None
    duration: int | None = None
    if end is None:
        flags |= TIME_MISSING
    elif end < start:
        flags |= TIME_INVERTED
    elif sent_start:
        duration = end - start
    day_ns = start
    if start > received_ns + limits.CLOCK_FUTURE_NS_MAX:
        flags |= TIME_FUTURE
        day_ns = received_ns
    elif start < received_ns - limits.CLOCK_OLD_NS_MAX:
        flags |= TIME_OLD
    return start, end, duration, flags, day_ns // DAY_NS


def _span_row(  # noqa: PLR0917 - called once for each span; keywords cost there
    span: Any,
    sender: _Sender,
    scope: str,
    dialect: Dialect,
    arrival: Arrival,
    prices: PriceSource,
    is_large: bool,
) -> Row:
    """Flatten one span. `is_large` says that some value may be longer than the limits allow."""
    loss = _Loss()
    hex_id = dialect.hex_id
    attributes, lost = dialect.attributes(span.attributes)
    if is_large or len(attributes) > limits.ATTRIBUTES_MAX:
        attributes = _bound_attributes(attributes, loss)
    resolved = Resolved(attributes)
    (
        operation, kind, provider, request_model, response_model, response_id, finish_reasons, first_chunk_s,
        input_total, cache_read, cache_creation, output_total, reasoning, aggregated_input, aggregated_output,
        conversation_id, user_id, agent, agent_id, agent_version, digest, task_type, result, claim, confidence,
        tool_name, tool_call_id, tool_type, data_source_id, error_type, source_cost, server_address, server_port,
        event_name, metadata,
    ) = resolved.slots  # fmt: skip
    events = _read_events(span.events, dialect) if span.events else _NO_EVENTS
    links, links_lost = _read_links(span.links, dialect) if span.links else ("[]", 0)
    if operation is None:
        operation = OPENINFERENCE_KINDS.get(kind.upper(), kind.lower()) if kind else "other"
    received_ns = arrival.received_ns
    start, end, duration, flags, day = _times(
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
    first = resolved.first
    said_in, said_out = first(PAYLOAD_INPUTS[family]), first(PAYLOAD_OUTPUTS[family])
    if said_in is None and events.inputs:
        said_in = json_text(events.inputs)
    if said_out is None and events.outputs:
        said_out = json_text(events.outputs)
    system, definitions = first(SYSTEM_KEYS), first(DEFINITION_KEYS)
    if is_large:
        said_in, said_out = _cut(said_in, loss), _cut(said_out, loss)
        system, definitions = _cut(system, loss), _cut(definitions, loss)
    if task_type is None and metadata is not None:
        task_type = _metadata_task_type(metadata)
    if sender.agent is not None and (agent is None or "pilothouse.agent" not in attributes):
        agent = sender.agent
    parent: str | None = hex_id(span.parent_span_id)
    if not parent or parent == ZERO_PARENT:
        parent = None
    if confidence is None:
        confidence = sender.confidence
    return (
        hex_id(span.trace_id), hex_id(span.span_id), parent, "span", "",
        start, end, duration, received_ns, flags,
        agent or sender.service, agent_id, agent_version or sender.version, digest or sender.digest,
        task_type or sender.task_type, conversation_id, user_id, sender.environment,
        operation or "other", span.name[: limits.NAME_CHARS_MAX], code,
        error_type[: limits.ERROR_TYPE_CHARS_MAX] if error_type else None,
        provider, request_model, response_model, response_id, tool_name,
        None if server_address is None else _server(server_address, server_port),
        event_name, *usage, cost, cost_state,
        result or sender.result, sender.claim if claim is None else _claim_text(claim),
        None if confidence is None else _confidence(confidence),
        preview(said_in, of_user=True) if said_in else None,
        preview(said_out, of_user=False) if said_out else None,
        arrival.source, arrival.seq,
        span.kind if 0 <= span.kind <= 5 else 0, status.message[: limits.STATUS_MESSAGE_CHARS_MAX],
        sender.service, tool_type, tool_call_id, data_source_id, resolved.convention,
        price_id, None if source_cost is None else _number(source_cost),
        None if first_chunk_s is None else _first_chunk_ns(first_chunk_s), finish_reasons,
        len(said_in) if said_in else None, len(said_out) if said_out else None,
        said_in, said_out, system, definitions,
        _encode(attributes).decode(), sender.text, scope, events.text, links, arrival.node,
        _count(span.dropped_attributes_count + lost + loss.attributes + resolved.lost),
        _count(span.dropped_events_count + events.lost), _count(span.dropped_links_count + links_lost),
        loss.bytes, day,
    )  # fmt: skip


def _log_row(log: Any, sender: _Sender, scope: str, dialect: Dialect, arrival: Arrival) -> Row:
    loss = _Loss()
    attributes, lost = dialect.attributes(log.attributes)
    resolved = Resolved(_bound_attributes(attributes, loss))
    slots = resolved.slots
    body = dialect.value(log.body) if log.body is not None else None
    event_name = log.event_name or slots[SLOTS["event_name"]] or ""
    time_ns = int(log.time_unix_nano) or int(log.observed_time_unix_nano)
    start, _, _, flags, day = _times(time_ns, time_ns, arrival.received_ns)
    said_in = _cut(resolved.first(PAYLOAD_INPUTS["model"]), loss)
    said_out = _cut(resolved.first(PAYLOAD_OUTPUTS["model"]), loss)
    text = None if body is None else json_text(body)
    if event_name in EVENT_INPUTS and said_in is None and text is not None:
        said_in = _cut(json_text([_log_message(body, EVENT_INPUTS[event_name])]), loss)
    elif said_out is None and text is not None:
        message = [_log_message(body, EVENT_OUTPUTS[event_name])] if event_name in EVENT_OUTPUTS else body
        said_out = _cut(json_text(message), loss)
    trace_id, span_id = dialect.hex_id(log.trace_id), dialect.hex_id(log.span_id)
    key = f"{event_name}\0{time_ns}\0{text}\0{_json(resolved.rest)}"
    return (
        trace_id.strip("0") and trace_id, span_id.strip("0") and span_id, None,
        "log", hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        start, None, None, arrival.received_ns, flags & ~TIME_MISSING if time_ns else flags,
        slots[SLOTS["agent"]] or sender.agent or sender.service,
        slots[SLOTS["agent_id"]], sender.version, sender.digest,
        slots[SLOTS["task_type"]] or sender.task_type,
        slots[SLOTS["conversation_id"]], slots[SLOTS["user_id"]], sender.environment,
        slots[SLOTS["operation"]] or "other",
        (event_name or log.severity_text or "log")[: limits.NAME_CHARS_MAX], 0,
        slots[SLOTS["error_type"]], slots[SLOTS["provider"]],
        slots[SLOTS["request_model"]], slots[SLOTS["response_model"]],
        slots[SLOTS["response_id"]], slots[SLOTS["tool_name"]], None, _short(event_name),
        *NO_USAGE, None, COST_NONE, None, None, None,
        preview(said_in, of_user=True) if said_in else None,
        preview(said_out, of_user=False) if said_out else None,
        arrival.source, arrival.seq, 0, "", sender.service, None, None, None, resolved.convention,
        None, None, None, None, len(said_in) if said_in else None, len(said_out) if said_out else None,
        said_in, said_out, _cut(resolved.first(SYSTEM_KEYS), loss), None,
        _json(resolved.rest), sender.text, scope, "[]", "[]", arrival.node,
        _count(log.dropped_attributes_count + lost + loss.attributes + resolved.lost), 0, 0, loss.bytes, day,
    )  # fmt: skip


def _log_message(body: Any, role: str) -> Any:
    if isinstance(body, dict):
        said = body.get("message")
        return {"role": role, **said} if isinstance(said, dict) else {"role": role, **body}
    return {"role": role, "content": body}


def _short(value: str | None) -> str | None:
    return value if value is None or len(value) <= limits.TEXT_CHARS_MAX else value[: limits.TEXT_CHARS_MAX]


def _server(address: str | None, port: str | None) -> str | None:
    """Return `host:port`, or the host alone when no port was sent."""
    if not address:
        return None
    return _short(f"{address}:{port}" if port else address)


def _metadata_task_type(metadata: Any) -> str | None:
    found = metadata
    if isinstance(metadata, str):
        try:
            found = msgspec.json.decode(metadata)
        except (msgspec.DecodeError, RecursionError):
            return None
    return _optional_text(found.get("task_type")) if isinstance(found, dict) else None


def _event_time(sent: Any) -> int:
    """Return the time of an event; one that is no time is 0, since the span is good without it."""
    try:
        nanoseconds = int(sent)
    except ValueError:
        return 0
    return nanoseconds if 0 <= nanoseconds <= limits.TIME_NS_MAX else 0


def _count(sent: int) -> int:
    """Return what an SDK says it dropped, as the column can hold it."""
    return min(max(0, sent), DROPPED_MAX)


def _number(value: Any) -> float | None:
    if value.__class__ is bool or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def _confidence(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _first_chunk_ns(value: Any) -> int | None:
    seconds = _number(value)
    return round(seconds * 1e9) if seconds is not None and 0 <= seconds < 1e6 else None


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
