# SPDX-License-Identifier: Apache-2.0
"""Rows that were flattened together make the same table as rows one by one."""

from __future__ import annotations

import pyarrow as pa
import pytest
from otlp_bodies import CONVENTIONS, request, run_spans
from otlp_rows import RECEIVED_NS, decode

from pilothouse.lake.batches import SAME_CHARS_MAX, SAME_ROWS_MAX, span_batch, to_batch
from pilothouse.lake.columns import SPANS
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.prices import no_prices
from pilothouse.lake.rows import Arrival
from pilothouse.ports.intake import Signal

RICH = [span for convention in CONVENTIONS for span in run_spans(convention=convention)]
RICH[0]["events"] = [("exception", {"exception.type": "E"})]
ARRIVAL = Arrival(received_ns=RECEIVED_NS, node="n1", seq=1, source="tests")


def spans(copies: int, **more: object) -> list[dict]:
    """All kinds of spans in turns, each with an id of its own."""
    return [
        {**span, "span_id": number.to_bytes(8, "big"), **more}
        for number, span in enumerate([span for _ in range(copies) for span in RICH], start=1)
    ]


def by_span(batch) -> list[dict]:
    return sorted(batch.to_pylist(), key=lambda row: row["span_id"])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(spans(1), id="blocks of one row"),
        pytest.param(spans(40), id="blocks worth joining"),
        pytest.param(spans(1 + SAME_ROWS_MAX // len(RICH)), id="more rows than are kept"),
        pytest.param(spans(40, name="n" * (SAME_CHARS_MAX + 1)), id="a longer text than is kept"),
    ],
)
def test_blocks_and_rows_make_the_same_table(sent):
    body = request(sent).SerializeToString()
    decoded = decode_rows(parse_request(Signal.TRACES, Encoding.PROTOBUF, body), ARRIVAL, no_prices)
    assert [core.span_id for core in decoded.cores] == [span["span_id"].hex() for span in sent]
    made = span_batch(decoded.blocks)
    assert made.num_rows == len(sent)
    assert by_span(made) == by_span(to_batch(decode(body), SPANS))


def test_a_block_without_some_rows_keeps_the_others_in_every_column():
    sent = spans(3)
    body = request(sent).SerializeToString()
    _, blocks = decode_rows(parse_request(Signal.TRACES, Encoding.PROTOBUF, body), ARRIVAL, no_prices)
    gone = {0, 4, len(sent) - 1}
    kept = [left for block in blocks if len(left := block.without(gone))]
    expected = [row for place, row in enumerate(decode(body)) if place not in gone]
    assert by_span(span_batch(kept)) == by_span(to_batch(expected, SPANS))


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.int32(), pa.int16(), pa.int8(), pa.date32(), pa.string(), pa.float64()]
)
@pytest.mark.parametrize("values", [[1, 2, 3], [1, None, 3], [None, 2, 1], [-1, 0, 127]])
def test_a_column_is_what_arrow_makes_of_its_values(kind, values):
    if pa.types.is_string(kind):
        values = [value if value is None else str(value) for value in values]
    made = to_batch([(value,) for value in values], pa.schema([("one", kind)])).column(0)
    assert made.equals(pa.array(values, type=kind))
    made.validate(full=True)


def test_a_number_that_its_column_cannot_hold_is_refused():
    with pytest.raises(OverflowError):
        to_batch([(1,), (1 << 63,)], pa.schema([("one", pa.int64())]))
