# SPDX-License-Identifier: Apache-2.0
"""Flatten a parsed OTLP request into rows of the table `spans` (protobuf or JSON → the same rows).

Attributes were read before the answer was given. Spans that are alike are flattened together, and stand in the
order of the request again afterwards. Rows are plain tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilothouse.lake import limits
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.layout import Layout, lay_out
from pilothouse.lake.otlp_dialect import DIALECTS, Dialect
from pilothouse.lake.otlp_logs import log_row
from pilothouse.lake.otlp_request import ParsedRequest
from pilothouse.lake.otlp_sender import Sender, read_sender, scope_text
from pilothouse.lake.prices import PriceSource
from pilothouse.lake.rows import Arrival, Row
from pilothouse.lake.span_group import Shared, SpanGroup, share
from pilothouse.ports.intake import Signal

__all__ = ["decode_rows"]


def decode_rows(request: ParsedRequest, arrival: Arrival, prices: PriceSource) -> list[Row]:
    """Flatten the good items of a request.

    Args:
        request: Parsed traces or logs.
        arrival: How it came in.
        prices: Where the price of a call is asked.

    Returns:
        One row for each span or log record, in order.
    """
    dialect = DIALECTS[request.encoding]
    if request.signal is Signal.LOGS:
        return _log_rows(request, dialect, arrival)
    if request.signal is not Signal.TRACES:
        return []
    rows: list[Any] = [None] * request.items
    may_be_long = request.size > limits.VALUE_CHARS_MAX
    for group in _groups(request, dialect):
        made = group.rows(request.heads, dialect, arrival, prices, may_be_long=may_be_long)
        for place, row in zip(group.places, made, strict=True):
            rows[place] = row
    return [row for row in rows if row is not None] if request.bad else rows


def _groups(request: ParsedRequest, dialect: Dialect) -> list[SpanGroup]:
    """Return the good spans of a request, those together that are alike."""
    place = 0
    bad, said = request.bad, request.attributes
    groups: list[SpanGroup] = []
    for resource_spans in request.message.resource_spans:
        sender = read_sender(resource_spans.resource, dialect)
        known: dict[tuple[Layout, tuple[Attribute, ...]], Shared] = {}
        for scope_spans in resource_spans.scope_spans:
            scope = scope_text(scope_spans.scope, dialect)
            alike: dict[tuple[Layout, tuple[Attribute, ...]], SpanGroup] = {}
            for span in scope_spans.spans:
                if place not in bad:
                    layout, attributes, lost = lay_out(said[place])
                    key = (layout, layout.shared(attributes))
                    group = alike.get(key)
                    if group is None:
                        shared = known.get(key) or known.setdefault(key, share(*key, sender))
                        group = alike[key] = SpanGroup(layout, shared, sender, scope, lost)
                    group.places.append(place)
                    group.spans.append(span)
                    group.attributes.append(attributes)
                place += 1
            groups += alike.values()
    return groups


def _log_rows(request: ParsedRequest, dialect: Dialect, arrival: Arrival) -> list[Row]:
    place = 0
    rows = []
    for resource_logs in request.message.resource_logs:
        sender: Sender = read_sender(resource_logs.resource, dialect)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_text(scope_logs.scope, dialect)
            for log in scope_logs.log_records:
                if place not in request.bad:
                    said: Sequence[Attribute] = request.attributes[place]
                    rows.append(log_row(log, said, sender, scope, dialect, arrival))
                place += 1
    return rows
