# SPDX-License-Identifier: Apache-2.0
"""Decode and fold bodies in tests without a server: body → rows → task row."""

from __future__ import annotations

from collections.abc import Iterable

from otlp_bodies import START_NS, request, to_json

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.columns import SPAN_COLUMNS, CoreSpan, TaskRow
from pilothouse.lake.fold import fold_trace
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.prices import PriceSource, no_prices
from pilothouse.lake.rows import Arrival
from pilothouse.ports.intake import Signal

RECEIVED_NS = START_NS + 1_000_000_000


def decode(
    body: bytes,
    *,
    encoding: Encoding = Encoding.PROTOBUF,
    signal: Signal = Signal.TRACES,
    prices: PriceSource = no_prices,
    received_ns: int = RECEIVED_NS,
    seq: int = 1,
) -> list[tuple]:
    arrival = Arrival(received_ns=received_ns, node="n1", seq=seq, source="tests")
    cores, blocks = decode_rows(parse_request(signal, encoding, body), arrival, prices)
    rows: list[tuple] = [()] * len(cores)
    for block in blocks:
        for place, row in zip(block.places, zip(*block.columns, strict=False), strict=True):
            rows[place] = row
    assert [row[: len(CoreSpan._fields)] for row in rows] == list(cores)
    return rows


def decode_spans(
    spans: Iterable[dict], *, as_json: bool = False, resource=None, instrument="tests", **options
) -> list[dict]:
    message = request(spans, resource, instrument=instrument)
    body = to_json(message) if as_json else message.SerializeToString()
    encoding = Encoding.JSON if as_json else Encoding.PROTOBUF
    return [dict(zip(SPAN_COLUMNS, row, strict=True)) for row in decode(body, encoding=encoding, **options)]


def core(spans: Iterable[dict], **options) -> list[CoreSpan]:
    return [
        CoreSpan._make(list(row.values())[: len(CoreSpan._fields)]) for row in decode_spans(spans, **options)
    ]


def fold(spans: Iterable[CoreSpan], state: TaskState = TaskState.COMPLETE) -> TaskRow:
    return fold_trace(spans, state=state, reason="root_ended", closed_ns=RECEIVED_NS)
