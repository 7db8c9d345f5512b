# SPDX-License-Identifier: Apache-2.0
"""Parse an OTLP body and report its malformed items: everything that a sender is told with the response.

Attributes are read here too: one that cannot be read makes the whole body unreadable, and only now can its
sender be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from pilothouse.errors import MalformedRecord
from pilothouse.lake import otlp_json
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.limits import NULLS_BYTES_MAX, TIME_NS_MAX
from pilothouse.lake.otlp_bounds import count_items, refuse_amplification
from pilothouse.lake.otlp_dialect import DIALECTS, Dialect, Encoding
from pilothouse.lake.otlp_wire import LogsRequest, TracesRequest
from pilothouse.ports.intake import Signal

__all__ = ["ParsedRequest", "SpanHead", "parse_request"]

ZERO_TRACE, ZERO_SPAN = "0" * 32, "0" * 16
WRONG_TIME = "a time is no number of nanoseconds below 2**63"


SpanHead = tuple[str, str, str | None, int, int, tuple[int, str]]
"""Trace id, span id and parent id in hex, start and end in Unix nanoseconds, status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A parsed request.

    Attributes:
        signal: What it carries.
        encoding: How it was written.
        message: The protobuf message or the struct.
        items: Spans, log records or metrics in it.
        heads: Ids, times and status of each span, in order; none for other signals.
        attributes: What each item says of itself, in order.
        bad: Indices of the broken ones, counted through the whole request.
        reason: One sentence about the first broken one, or empty.
        size: Length of the inflated body in bytes.
    """

    signal: Signal
    encoding: Encoding
    message: Any
    items: int
    heads: Sequence[SpanHead]
    attributes: Sequence[Sequence[Attribute]]
    bad: frozenset[int]
    reason: str
    size: int


def parse_request(signal: Signal, encoding: Encoding, body: bytes) -> ParsedRequest:
    """Parse a body and check the ids and times of its items.

    Args:
        signal: Which service it was sent to.
        encoding: How it is written.
        body: The inflated body.

    Returns:
        The request, with the indices of its broken items.

    Raises:
        MalformedRecord: The body cannot be read at all.
        LimitExceeded: It has more than `ITEMS_MAX` items, or more parts than telemetry of its size.
    """
    dialect = DIALECTS[encoding]
    heads: list[SpanHead] = []
    attributes: list[Sequence[Attribute]] = []
    faults: list[tuple[int, str]] = []
    refuse_amplification(encoding, body)
    try:
        message = _read(signal, encoding, body)
        items = count_items(signal, message)
        if signal is Signal.TRACES:
            _check_spans(message, dialect, heads, attributes, faults)
        elif signal is Signal.LOGS:
            _check_logs(message, dialect, attributes, faults)
    except (DecodeError, msgspec.DecodeError, UnicodeError, RecursionError, OverflowError) as error:
        name = f"Export{signal.value.capitalize().removesuffix('s')}ServiceRequest"
        raise MalformedRecord(
            f"the body is no {name} in {encoding.name.lower()}: {error}",
            remedy="Check the exporter's protocol (OTEL_EXPORTER_OTLP_PROTOCOL) and its endpoint.",
        ) from error
    reason = f"{_ITEM[signal]} {faults[0][0]}: {faults[0][1]}" if faults else ""
    return ParsedRequest(
        signal=signal,
        encoding=encoding,
        message=message,
        items=items,
        heads=heads,
        attributes=attributes,
        bad=frozenset(index for index, _ in faults),
        reason=reason,
        size=len(body),
    )


_ITEM = {Signal.TRACES: "span", Signal.LOGS: "log record", Signal.METRICS: "metric"}

_MESSAGES: dict[Signal, Any] = {
    Signal.TRACES: TracesRequest,
    Signal.LOGS: LogsRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}

_DECODERS: dict[Signal, msgspec.json.Decoder[Any]] = {
    Signal.TRACES: msgspec.json.Decoder(otlp_json.TracesRequest),
    Signal.LOGS: msgspec.json.Decoder(otlp_json.LogsRequest),
    Signal.METRICS: msgspec.json.Decoder(otlp_json.MetricsRequest),
}


def _read(signal: Signal, encoding: Encoding, body: bytes) -> Any:
    if encoding is Encoding.PROTOBUF:
        return _MESSAGES[signal].FromString(body)
    try:
        return _DECODERS[signal].decode(body)
    except msgspec.ValidationError:
        if len(body) > NULLS_BYTES_MAX:
            raise
        # Proto3 JSON lets a field be null where it has its default; hardly anybody writes that, so only then it is looked for.
        return _DECODERS[signal].decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(body))))


def _without_nulls(value: Any) -> Any:
    """Return a JSON value without the fields that are null."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _check_spans(
    message: Any,
    dialect: Dialect,
    heads: list[SpanHead],
    attributes: list[Sequence[Attribute]],
    faults: list[tuple[int, str]],
) -> None:
    """Read ids, times, status and attributes of every span and note which spans are broken."""
    hex_id, read_status, raws = dialect.hex_id, dialect.status, dialect.raws
    known = dialect.known.__getitem__
    keep, keep_head = attributes.append, heads.append
    sent_trace = sent_parent = trace_id = ""
    parent: str | None = None
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                # Spans of one trace mostly stand together: their ids are read once, and are one text in memory.
                if sent_trace != (sent := span.trace_id):
                    sent_trace, trace_id = sent, hex_id(sent)
                if sent_parent != (sent := span.parent_span_id):
                    sent_parent, parent = sent, hex_id(sent)
                    if not parent or parent == ZERO_SPAN:
                        parent = None
                span_id = hex_id(span.span_id)
                start, end = span.start_time_unix_nano, span.end_time_unix_nano
                if start.__class__ is str or end.__class__ is str:
                    start, end = _nanoseconds(start), _nanoseconds(end)
                head = (trace_id, span_id, parent, start, end, read_status(span.status))
                if not (
                    len(trace_id) == 32
                    and len(span_id) == 16
                    and (parent is None or len(parent) == 16)
                    and 0 < start <= end <= TIME_NS_MAX
                    and trace_id != ZERO_TRACE
                    and span_id != ZERO_SPAN
                ) and (fault := _fault_of(head)):
                    faults.append((len(heads), fault))
                keep_head(head)
                keep(list(map(known, raws(span.attributes))))


def _fault_of(head: SpanHead) -> str:
    """Return what is wrong with the ids or times of a span, or None."""
    trace_id, span_id, parent, start, end, _ = head
    if len(trace_id) != 32 or trace_id == ZERO_TRACE:
        return "trace_id is not 16 bytes, or all zero"
    if len(span_id) != 16 or span_id == ZERO_SPAN:
        return "span_id is not 8 bytes, or all zero"
    if parent is not None and len(parent) != 16:
        return "parent_span_id is neither empty nor 8 bytes"
    if not 0 <= start <= TIME_NS_MAX or not 0 <= end <= TIME_NS_MAX:
        return WRONG_TIME
    return ""


def _check_logs(
    message: Any, dialect: Dialect, attributes: list[Sequence[Attribute]], faults: list[tuple[int, str]]
) -> None:
    """Read the attributes of every log record and note which records are broken."""
    for resource_logs in message.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for log in scope_logs.log_records:
                trace_id, span_id = dialect.hex_id(log.trace_id), dialect.hex_id(log.span_id)
                times = (_nanoseconds(log.time_unix_nano), _nanoseconds(log.observed_time_unix_nano))
                if len(trace_id) not in (0, 32):
                    faults.append((len(attributes), "trace_id is neither empty nor 16 bytes"))
                elif len(span_id) not in (0, 16):
                    faults.append((len(attributes), "span_id is neither empty nor 8 bytes"))
                elif not all(0 <= time <= TIME_NS_MAX for time in times):
                    faults.append((len(attributes), WRONG_TIME))
                attributes.append(dialect.read(log.attributes))


def _nanoseconds(sent: Any) -> int:
    """Return a time as sent; -1 when it is none."""
    if sent.__class__ is int:
        return int(sent)
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 20 else -1
