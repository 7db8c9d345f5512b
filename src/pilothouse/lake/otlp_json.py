# SPDX-License-Identifier: Apache-2.0
"""OTLP/JSON as typed structs with the field names of the protobuf messages, so that one walk reads both.

The attributes of spans and log records stay raw JSON, as they stay raw bytes in protobuf.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pilothouse.lake.limits import DEPTH_MAX

__all__ = [
    "AnyValue",
    "ArrayValue",
    "Event",
    "InstrumentationScope",
    "KeyValue",
    "KeyValueList",
    "Link",
    "LogRecord",
    "LogsRequest",
    "Metric",
    "MetricsRequest",
    "Resource",
    "ResourceLogs",
    "ResourceMetrics",
    "ResourceSpans",
    "ScopeLogs",
    "ScopeMetrics",
    "ScopeSpans",
    "Span",
    "Status",
    "TracesRequest",
    "json_value",
]

Integer = int | str
"""64-bit integers may arrive as numbers or as strings."""

CUT = "[cut: nested too deep]"


class _Struct(msgspec.Struct, rename="camel"):
    """Unknown fields are ignored, as the protocol demands."""


class AnyValue(_Struct):
    """A value of any type; exactly one field is set, or none."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer | None = None
    double_value: float | str | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class ArrayValue(_Struct):
    """A list of values."""

    values: list[AnyValue] = []


class KeyValue(_Struct):
    """One attribute."""

    key: str = ""
    value: AnyValue | None = None
    key_strindex: int = 0


class KeyValueList(_Struct):
    """A map of values, in order."""

    values: list[KeyValue] = []


class Resource(_Struct):
    """Who sent it."""

    attributes: list[KeyValue] = []


class InstrumentationScope(_Struct):
    """Which library made it."""

    name: str = ""
    version: str = ""
    attributes: list[KeyValue] = []


class Status(_Struct):
    """How a span ended."""

    message: str = ""
    code: int = 0


class Event(_Struct):
    """Something that happened at one moment of a span."""

    time_unix_nano: Integer = 0
    name: str = ""
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class Link(_Struct):
    """A span of another trace that this one follows from."""

    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    attributes: list[KeyValue] = []


class Span(_Struct):
    """One operation."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: Integer = 0
    end_time_unix_nano: Integer = 0
    attributes: list[msgspec.Raw] = []
    dropped_attributes_count: int = 0
    events: list[Event] = []
    dropped_events_count: int = 0
    links: list[Link] = []
    dropped_links_count: int = 0
    status: Status = msgspec.field(default_factory=Status)


class ScopeSpans(_Struct):
    """Spans of one library."""

    scope: InstrumentationScope = msgspec.field(default_factory=InstrumentationScope)
    spans: list[Span] = []


class ResourceSpans(_Struct):
    """Spans of one sender."""

    resource: Resource = msgspec.field(default_factory=Resource)
    scope_spans: list[ScopeSpans] = []


class TracesRequest(_Struct):
    """`ExportTraceServiceRequest`."""

    resource_spans: list[ResourceSpans] = []


class LogRecord(_Struct):
    """One log record."""

    time_unix_nano: Integer = 0
    observed_time_unix_nano: Integer = 0
    severity_number: int = 0
    severity_text: str = ""
    body: AnyValue | None = None
    attributes: list[msgspec.Raw] = []
    dropped_attributes_count: int = 0
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class ScopeLogs(_Struct):
    """Log records of one library."""

    scope: InstrumentationScope = msgspec.field(default_factory=InstrumentationScope)
    log_records: list[LogRecord] = []


class ResourceLogs(_Struct):
    """Log records of one sender."""

    resource: Resource = msgspec.field(default_factory=Resource)
    scope_logs: list[ScopeLogs] = []


class LogsRequest(_Struct):
    """`ExportLogsServiceRequest`."""

    resource_logs: list[ResourceLogs] = []


class Metric(_Struct):
    """A metric, of which only the name is read."""

    name: str = ""


class ScopeMetrics(_Struct):
    """Metrics of one library."""

    metrics: list[Metric] = []


class ResourceMetrics(_Struct):
    """Metrics of one sender."""

    scope_metrics: list[ScopeMetrics] = []


class MetricsRequest(_Struct):
    """`ExportMetricsServiceRequest`."""

    resource_metrics: list[ResourceMetrics] = []


def json_value(value: AnyValue | None, depth: int = DEPTH_MAX) -> Any:
    """Return an OTLP/JSON value as a plain one, cut at `depth` levels.

    Args:
        value: The struct, or None.
        depth: Levels of lists and maps that are still read.

    Returns:
        str, bool, int, float, list, dict or None; a non-finite float becomes its name.

    Example:
        >>> json_value(AnyValue(array_value=ArrayValue(values=[AnyValue(int_value="7")])))
        [7]
    """
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _integer(value.int_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _number(value.double_value)
    if value.array_value is not None:
        return CUT if depth <= 0 else [json_value(item, depth - 1) for item in value.array_value.values]
    if value.kvlist_value is not None:
        if depth <= 0:
            return CUT
        return {pair.key: json_value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    return value.bytes_value


def _integer(sent: Integer) -> int | str:
    """Return a 64-bit integer; anything else stays the text it is."""
    try:
        number = int(sent)
    except ValueError:
        return sent
    return number if -(1 << 63) <= number < 1 << 63 else str(sent)


def _number(sent: float | str) -> float | str:
    try:
        number = float(sent)
    except ValueError:
        return str(sent)
    return number if math.isfinite(number) else _non_finite(number)


def _non_finite(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
