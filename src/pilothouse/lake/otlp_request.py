# SPDX-License-Identifier: Apache-2.0
"""Parse an OTLP body and say which of its items are broken: all that a sender is told before the 200.

Attributes are read here too: one that cannot be read makes the whole body unreadable, and only now can its
sender be told.
"""

from __future__ import annotations

import base64
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake import otlp_json
from pilothouse.lake.attributes import Attribute, KnownAttributes, classify
from pilothouse.lake.layout import NOTHING
from pilothouse.lake.limits import DEPTH_MAX, ITEMS_MAX, STATUS_MESSAGE_CHARS_MAX, TIME_NS_MAX
from pilothouse.lake.otlp_wire import KeyValue, LogsRequest, Status, TracesRequest
from pilothouse.ports.intake import Signal

__all__ = ["DIALECTS", "Dialect", "Encoding", "ParsedRequest", "SpanHead", "parse_request"]

ZERO_TRACE, ZERO_SPAN = "0" * 32, "0" * 16
NO_ID = "?"
"""Stands for what was sent as an id and is none."""

STATUSES_MAX = 256
"""Statuses that are remembered: nearly all spans have one of a few."""

CUT = otlp_json.CUT
WRONG_TIME = "a time is no number of nanoseconds below 2**63"


class Encoding(IntEnum):
    """How a request is written; the number stands in the log."""

    PROTOBUF = 0
    JSON = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How to read what protobuf and JSON write differently.

    Attributes:
        value: AnyValue → plain value.
        attributes: Pairs → dict, without those that cannot be read.
        raws: Attributes of an item → the bytes of each.
        known: Attributes of items that were read before.
        hex_id: Id as sent → lower-case hex text of any length; `NO_ID` when it is none.
        status: Status as sent → its code and its message, cut.
    """

    value: Callable[[Any], Any]
    attributes: Callable[[Any], dict[str, Any]]
    raws: Callable[[Any], list[bytes]]
    known: KnownAttributes
    hex_id: Callable[[Any], str]
    status: Callable[[Any], tuple[int, str]]

    def read(self, attributes: Any) -> Sequence[Attribute]:
        """Return the attributes of an item, each read once for all its repetitions, and `NOTHING`."""
        raws = self.raws(attributes)
        found: list[Any] = self.known.find(raws)
        if None in found:
            read = self.known.read
            for place, one in enumerate(found):
                if one is None:
                    found[place] = read(raws[place])
        found.append(NOTHING)
        return found


SpanHead = tuple[str, str, str | None, int, int, tuple[int, str]]
"""Trace id, span id and parent id in hex, start and end in Unix nanoseconds, status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A request that could be read.

    Attributes:
        signal: What it carries.
        encoding: How it was written.
        message: The protobuf message or the struct.
        items: Spans, log records or metrics in it.
        heads: Ids, times and status of each span, in order; none for other signals.
        attributes: What each item says of itself, in order, then `NOTHING`.
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
        LimitExceeded: It has more than `ITEMS_MAX` items.
    """
    dialect = DIALECTS[encoding]
    heads: list[SpanHead] = []
    attributes: list[Sequence[Attribute]] = []
    faults: list[tuple[int, str]] = []
    try:
        message = _read(signal, encoding, body)
        if signal is Signal.TRACES:
            _check_spans(message, dialect, heads, attributes, faults)
        elif signal is Signal.LOGS:
            _check_logs(message, dialect, attributes, faults)
    except (DecodeError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        name = f"Export{signal.value.capitalize().removesuffix('s')}ServiceRequest"
        raise MalformedRecord(
            f"the body is no {name} in {encoding.name.lower()}: {error}",
            remedy="Check the exporter's protocol (OTEL_EXPORTER_OTLP_PROTOCOL) and its endpoint.",
        ) from error
    items = _count_metrics(message) if signal is Signal.METRICS else len(attributes)
    if items > ITEMS_MAX:
        raise LimitExceeded(
            f"the request has {items} items, at most {ITEMS_MAX} are taken",
            remedy="Lower the exporter's batch size (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).",
        )
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
    return _DECODERS[signal].decode(body)


def _check_spans(
    message: Any,
    dialect: Dialect,
    heads: list[SpanHead],
    attributes: list[Sequence[Attribute]],
    faults: list[tuple[int, str]],
) -> None:
    """Read ids, times, status and attributes of every span and note which spans are broken."""
    hex_id, read_status, read = dialect.hex_id, dialect.status, dialect.read
    keep, keep_head = attributes.append, heads.append
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                trace_id, span_id = hex_id(span.trace_id), hex_id(span.span_id)
                parent: str | None = hex_id(span.parent_span_id)
                start, end = span.start_time_unix_nano, span.end_time_unix_nano
                if start.__class__ is str or end.__class__ is str:
                    start, end = _nanoseconds(start), _nanoseconds(end)
                if not parent or parent == ZERO_SPAN:
                    parent = None
                fault = ""
                if len(trace_id) != 32 or trace_id == ZERO_TRACE:
                    fault = "trace_id is not 16 bytes, or all zero"
                elif len(span_id) != 16 or span_id == ZERO_SPAN:
                    fault = "span_id is not 8 bytes, or all zero"
                elif parent is not None and len(parent) != 16:
                    fault = "parent_span_id is neither empty nor 8 bytes"
                elif not 0 <= start <= TIME_NS_MAX or not 0 <= end <= TIME_NS_MAX:
                    fault = WRONG_TIME
                if fault:
                    faults.append((len(heads), fault))
                keep_head((trace_id, span_id, parent, start, end, read_status(span.status)))
                keep(read(span.attributes))


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


def _count_metrics(message: Any) -> int:
    return sum(
        len(scope.metrics) for resource in message.resource_metrics for scope in resource.scope_metrics
    )


def _nanoseconds(sent: Any) -> int:
    """Return a time as sent; -1 when it is none."""
    if sent.__class__ is int:
        return int(sent)
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 20 else -1


def _json_id(sent: str) -> str:
    if sent.isascii() and sent.isalnum():
        try:
            return bytes.fromhex(sent).hex()
        except ValueError:
            return NO_ID
    return NO_ID if sent else ""


def _protobuf_value(value: Any, depth: int = DEPTH_MAX) -> Any:
    text = value.string_value
    if text:
        return text
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return ""
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        number = value.double_value
        return (
            number if math.isfinite(number) else otlp_json.json_value(otlp_json.AnyValue(double_value=number))
        )
    if kind == "array_value":
        return CUT if depth <= 0 else [_protobuf_value(item, depth - 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        if depth <= 0:
            return CUT
        return {pair.key: _protobuf_value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def _protobuf_attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: _protobuf_value(pair.value) for pair in pairs if not pair.value.string_value_strindex}
    found.pop("", None)
    return found


def _read_protobuf(raw: bytes) -> Attribute:
    pair = KeyValue.FromString(raw)
    value = pair.value
    # One of a string table that this protocol has no table for is counted like one without a key, never guessed.
    return classify("" if value.string_value_strindex else pair.key, _protobuf_value(value))


def _json_attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: otlp_json.json_value(pair.value) for pair in pairs}
    found.pop("", None)
    return found


_decode_pair = msgspec.json.Decoder(otlp_json.KeyValue).decode


def _known_status(status: Any) -> tuple[int, str]:
    return status.code if 0 <= status.code <= 2 else 0, status.message[:STATUS_MESSAGE_CHARS_MAX]


@lru_cache(maxsize=STATUSES_MAX)
def _read_status(raw: bytes) -> tuple[int, str]:
    return _known_status(Status.FromString(raw))


def _read_json(raw: bytes) -> Attribute:
    pair = _decode_pair(raw)
    return classify(pair.key, otlp_json.json_value(pair.value))


DIALECTS: dict[Encoding, Dialect] = {
    Encoding.PROTOBUF: Dialect(
        value=_protobuf_value,
        attributes=_protobuf_attributes,
        raws=operator.itemgetter(slice(None)),  # one call that makes the list is twice as fast as iterating
        known=KnownAttributes(_read_protobuf),
        hex_id=bytes.hex,
        status=_read_status,
    ),
    Encoding.JSON: Dialect(
        value=otlp_json.json_value,
        attributes=_json_attributes,
        raws=lambda attributes: [bytes(one) for one in attributes],
        known=KnownAttributes(_read_json),
        hex_id=_json_id,
        status=_known_status,
    ),
}
