# SPDX-License-Identifier: Apache-2.0
"""Flatten a parsed OTLP request into rows of the table `spans` (protobuf or JSON → the same rows).

Attributes were read before the answer was given. Spans that are alike are flattened together, and stay together as
columns: only their core parts stand in the order of the request again, for the assembler.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from pilothouse.lake import limits
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.columns import CoreSpan
from pilothouse.lake.layout import Layout, lay_out
from pilothouse.lake.otlp_dialect import DIALECTS, Dialect
from pilothouse.lake.otlp_evaluations import EVALUATIONS_MAX, evaluations_of
from pilothouse.lake.otlp_logs import log_row
from pilothouse.lake.otlp_request import ParsedRequest, SpanHead
from pilothouse.lake.otlp_sender import Sender, read_sender, scope_text
from pilothouse.lake.prices import PriceSource
from pilothouse.lake.rows import Arrival, core_span
from pilothouse.lake.span_block import SpanBlock
from pilothouse.lake.span_group import Shared, SpanGroup, share
from pilothouse.ports.intake import Signal

__all__ = ["DecodedRows", "decode_rows"]

_LogRow: TypeAlias = tuple[CoreSpan, tuple[Any, ...]]


class DecodedRows(NamedTuple):
    """The good items of a request, flattened.

    Attributes:
        cores: Core part of each, in the order of the request; evaluations that stood on spans come after the spans.
        blocks: All columns, those together that are alike; their places count in `cores`.
    """

    cores: Sequence[CoreSpan]
    blocks: Sequence[SpanBlock]


def decode_rows(request: ParsedRequest, arrival: Arrival, prices: PriceSource) -> DecodedRows:
    """Flatten the good items of a request.

    Args:
        request: Parsed traces or logs.
        arrival: How it came in.
        prices: Where the price of a call is asked.

    Returns:
        One row for each span or log record.
    """
    dialect = DIALECTS[request.encoding]
    if request.signal is Signal.LOGS:
        return _log_rows(request, dialect, arrival)
    if request.signal is not Signal.TRACES:
        return DecodedRows((), ())
    bad, heads = request.bad, request.heads
    if bad:
        heads = [head for place, head in enumerate(heads) if place not in bad]
    may_be_long = request.size > limits.VALUE_CHARS_MAX
    groups = _groups(request, dialect)
    blocks = [group.block(heads, dialect, arrival, prices, may_be_long=may_be_long) for group in groups]
    cores = _in_order(blocks, heads)
    judged = [group for group in groups if group.layout.evaluations]
    if judged:
        rows = _evaluation_rows(judged, dialect, arrival)
        blocks += _blocks(rows, len(cores))
        cores += [core for core, _ in rows]
    return DecodedRows(cores, blocks)


def _evaluation_rows(groups: Sequence[SpanGroup], dialect: Dialect, arrival: Arrival) -> list[_LogRow]:
    """Return the evaluations that stand on spans, as log records."""
    found = (
        log_row(said, said.attributes, group.sender, group.scope, dialect, arrival)
        for group in groups
        for span, attributes in zip(group.spans, group.attributes, strict=True)
        for said in evaluations_of(span, group.layout.evaluations, attributes)
    )
    return list(islice(found, EVALUATIONS_MAX))


def _in_order(blocks: Sequence[SpanBlock], heads: Sequence[SpanHead]) -> list[CoreSpan]:
    cores: list[CoreSpan] = [_NO_SPAN] * len(heads)
    for block in blocks:
        for place, core in zip(block.places, block.cores(), strict=True):
            cores[place] = core
    return cores


_NO_SPAN = core_span(())


def _groups(request: ParsedRequest, dialect: Dialect) -> list[SpanGroup]:
    """Return the good spans of a request, those together that are alike."""
    item = place = 0
    bad, said = request.bad, request.attributes
    groups: list[SpanGroup] = []
    for resource_spans in request.message.resource_spans:
        sender = read_sender(resource_spans.resource, dialect)
        known: dict[tuple[Layout, tuple[Attribute, ...]], Shared] = {}
        for scope_spans in resource_spans.scope_spans:
            scope, instrument = scope_text(scope_spans.scope, dialect), scope_spans.scope.name
            alike: dict[tuple[Layout, tuple[Attribute, ...]], SpanGroup] = {}
            for span in scope_spans.spans:
                if item not in bad:
                    layout, attributes, lost = lay_out(said[item])
                    key = (layout, layout.shared(attributes))
                    group = alike.get(key)
                    if group is None:
                        shared = known.get(key) or known.setdefault(key, share(*key, sender))
                        group = alike[key] = SpanGroup(layout, shared, sender, scope, instrument, lost)
                    group.places.append(place)
                    group.spans.append(span)
                    group.attributes.append(attributes)
                    place += 1
                item += 1
            groups += alike.values()
    return groups


def _log_rows(request: ParsedRequest, dialect: Dialect, arrival: Arrival) -> DecodedRows:
    item = 0
    rows: list[_LogRow] = []
    for resource_logs in request.message.resource_logs:
        sender: Sender = read_sender(resource_logs.resource, dialect)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_text(scope_logs.scope, dialect)
            for log in scope_logs.log_records:
                if item not in request.bad:
                    said: Sequence[Attribute] = request.attributes[item]
                    rows.append(log_row(log, said, sender, scope, dialect, arrival))
                item += 1
    return DecodedRows([core for core, _ in rows], _blocks(rows, 0))


def _blocks(rows: Sequence[_LogRow], first: int) -> list[SpanBlock]:
    """Return log records by column, if there are any, the first of them at a place of the request."""
    if not rows:
        return []
    cores, rests = zip(*rows, strict=True)
    columns = (*zip(*cores, strict=True), *zip(*rests, strict=True))
    return [SpanBlock(columns, range(first, first + len(rows)))]
