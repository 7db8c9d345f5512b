# SPDX-License-Identifier: Apache-2.0
import json
import time

import pytest
from otlp_bodies import request, run_spans, to_json

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake import otlp_bounds
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.ports.intake import Signal

GOOD = run_spans()


def parsed(spans, *, as_json=False):
    message = request(spans)
    if as_json:
        return parse_request(Signal.TRACES, Encoding.JSON, to_json(message))
    return parse_request(Signal.TRACES, Encoding.PROTOBUF, message.SerializeToString())


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b""}, "trace_id"),
        ({"trace_id": bytes(16)}, "trace_id"),
        ({"trace_id": b"short"}, "trace_id"),
        ({"span_id": bytes(8)}, "span_id"),
        ({"span_id": b"123456789"}, "span_id"),
        ({"parent_span_id": b"123"}, "parent_span_id"),
        ({"start": 1 << 63}, "time"),
        ({"end": (1 << 64) - 1}, "time"),
    ],
)
def test_a_broken_span_is_named_by_its_index_and_the_others_are_kept(change, reason, as_json):
    request_ = parsed([GOOD[0], {**GOOD[1], **change}, GOOD[2]], as_json=as_json)
    assert request_.bad == {1}
    assert request_.reason.startswith("span 1: ")
    assert reason in request_.reason


@pytest.mark.parametrize("as_json", [False, True])
def test_a_zero_parent_means_a_root(as_json):
    assert not parsed([{**GOOD[0], "parent_span_id": bytes(8)}], as_json=as_json).bad


@pytest.mark.parametrize("ident", ["zz" * 16, "0" * 31 + " ", "é" * 32, "0x" + "1" * 30])
def test_a_json_id_that_is_no_hex_is_broken(ident):
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": ident, "spanId": "1" * 16}]}]}]}
    assert parse_request(Signal.TRACES, Encoding.JSON, json.dumps(body).encode()).bad == {0}


@pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "9" * 30, "٣"])
def test_a_json_time_that_is_no_number_of_nanoseconds_is_broken(time):
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "startTimeUnixNano": time}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert parse_request(Signal.TRACES, Encoding.JSON, json.dumps(body).encode()).bad == {0}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (Encoding.PROTOBUF, b"garbage"),
        (Encoding.PROTOBUF, request(GOOD).SerializeToString()[:-3]),
        (Encoding.JSON, b""),
        (Encoding.JSON, b"[]"),
        (Encoding.JSON, b'{"resourceSpans": 7}'),
        (Encoding.JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}'),
        (Encoding.JSON, b'{"resourceSpans": "\xff"}'),
        (Encoding.JSON, b'{"a":' * 100_000),
    ],
)
def test_a_body_that_cannot_be_read_is_malformed_and_says_what_was_expected(encoding, body):
    with pytest.raises(MalformedRecord, match="ExportTraceServiceRequest"):
        parse_request(Signal.TRACES, encoding, body)


def test_invalid_utf8_in_protobuf_is_malformed():
    body = (
        request([{**GOOD[0], "name": "abcdefgh"}]).SerializeToString().replace(b"abcdefgh", b"abc\xff\xfegh")
    )
    with pytest.raises(MalformedRecord):
        parse_request(Signal.TRACES, Encoding.PROTOBUF, body)


def test_a_protobuf_nested_deeper_than_the_parser_goes_is_malformed():
    def field(tag: int, inner: bytes) -> bytes:
        size = len(inner)
        return bytes([tag]) + bytes([size & 0x7F | 0x80, size >> 7]) + inner

    value = b"\x0a\x01x"
    for _ in range(120):
        value = field(0x2A, field(0x0A, value))
    span = field(0x4A, b"\x0a\x01k" + field(0x12, value))
    body = field(0x0A, field(0x12, field(0x12, span)))
    with pytest.raises(MalformedRecord):
        parse_request(Signal.TRACES, Encoding.PROTOBUF, body)


def test_more_items_than_the_limit_are_refused_as_a_whole(monkeypatch):
    monkeypatch.setattr(otlp_bounds, "ITEMS_MAX", 2)
    with pytest.raises(LimitExceeded, match="4 items"):
        parsed(GOOD)


def field(number, body):
    size, length = len(body), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


MIB = 1 << 20


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        (Encoding.PROTOBUF, field(1, b"") * (3 * MIB), "50000 items"),
        (Encoding.PROTOBUF, field(1, field(2, b"") * (3 * MIB)), "50000 items"),
        (Encoding.PROTOBUF, field(1, field(2, field(2, b"") * (3 * MIB))), "50000 items"),
        (Encoding.PROTOBUF, field(1, field(2, field(2, b"") * 60_000)), "60000 items"),
        (Encoding.PROTOBUF, field(1, b"") * 60_000, "60000 items"),
        (Encoding.PROTOBUF, field(1, field(2, b"") * 60_000), "60000 items"),
        (Encoding.PROTOBUF, field(1, field(2, field(2, field(11, b"") * (9 * MIB)))), "every 12 bytes"),
        (Encoding.PROTOBUF, field(1, field(2, field(2, field(9, b"") * (9 * MIB)))), "every 12 bytes"),
        (Encoding.JSON, b'{"resourceSpans":[' + b"{}," * (2 * MIB) + b"{}]}", "every 16 bytes"),
        (Encoding.JSON, b'{"resourceSpans":[' + b"{}," * 60_000 + b"{}]}", "60001 items"),
        (Encoding.PROTOBUF, b"\x28\x01" * (3 * MIB), "neither items nor parts"),
        (Encoding.PROTOBUF, b"\0\0" * (3 * MIB), "neither items nor parts"),
        (Encoding.PROTOBUF, field(1, field(9, b"") * (3 * MIB)), "neither items nor parts"),
        (Encoding.PROTOBUF, field(1, field(2, field(2, b"\x30\x01" * (9 * MIB)))), "neither items nor parts"),
    ],
    ids=range(14),
)
def test_a_body_of_many_empty_parts_is_refused_before_it_fills_the_memory(encoding, body, reason):
    """15 MiB of empty spans took 3.7 GiB and 24 s, on the thread that serves everybody, and were then refused."""
    began = time.process_time()
    with pytest.raises(LimitExceeded, match=reason):
        parse_request(Signal.TRACES, encoding, body)
    assert time.process_time() - began < 3


def test_a_large_body_with_a_null_is_not_read_twice():
    body = b'{"resourceSpans":null,"x":[' + b"[]," * (3 * MIB) + b"[]]}"
    with pytest.raises(MalformedRecord, match="null"):
        parse_request(Signal.TRACES, Encoding.JSON, body)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_large_body_of_ordinary_spans_is_taken(as_json):
    spans = [span for trace in range(1, 3_000) for span in run_spans(trace)]
    assert parsed(spans, as_json=as_json).items == len(spans)


@pytest.mark.parametrize(
    "junk", [b"\x0b" * (5 * MIB), b"\x0a\xff\xff" * (2 * MIB), b"\x0a" + b"\xff" * (5 * MIB)]
)
def test_a_large_body_that_is_no_protobuf_is_malformed(junk):
    with pytest.raises(MalformedRecord):
        parse_request(Signal.TRACES, Encoding.PROTOBUF, junk)


def test_unknown_json_fields_are_ignored():
    body = to_json(request(GOOD[:1])).replace(b'"name"', b'"fromTheFuture": {"x": [1]}, "name"', 1)
    assert parse_request(Signal.TRACES, Encoding.JSON, body).items == 1


def test_log_records_need_no_ids_but_wrong_ones_are_broken():
    def body(**ids):
        return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [ids]}]}]}).encode()

    assert not parse_request(Signal.LOGS, Encoding.JSON, body()).bad
    assert not parse_request(Signal.LOGS, Encoding.JSON, body(traceId="0" * 32)).bad
    assert parse_request(Signal.LOGS, Encoding.JSON, body(traceId="12")).bad
    assert parse_request(Signal.LOGS, Encoding.JSON, body(spanId="12")).bad


def test_a_field_that_is_null_has_its_default():
    body = json.loads(to_json(request(GOOD)))
    (resource,) = body["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    scope["scope"] = None
    scope["spans"][0].update(parentSpanId=None, status=None, events=None)
    read = parse_request(Signal.TRACES, Encoding.JSON, json.dumps(body).encode())
    assert (read.items, read.bad) == (len(GOOD), frozenset())
    assert read.heads[0][2] is None


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5_000, "1e400"])
def test_a_number_beyond_all_bounds_beside_a_null_is_malformed_and_no_fault_of_ours(number):
    body = b'{"resourceSpans":null,"x":%s,"y":[{"resourceSpans":1}]}' % number.encode()
    with pytest.raises(MalformedRecord):
        parse_request(Signal.TRACES, Encoding.JSON, body.replace(b"null", b"[null]"))
