# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from otlp_bodies import request, run_spans, to_json

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake import otlp_request
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
    monkeypatch.setattr(otlp_request, "ITEMS_MAX", 2)
    with pytest.raises(LimitExceeded, match="4 items"):
        parsed(GOOD)


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
