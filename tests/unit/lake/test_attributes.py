# SPDX-License-Identifier: Apache-2.0
"""What is remembered of attributes is bounded, and changes nothing about what is read."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_bodies import request, run_spans
from otlp_rows import decode, decode_spans

from pilothouse.errors import MalformedRecord
from pilothouse.lake import attributes
from pilothouse.lake.attributes import LOST, KnownAttributes, classify
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.otlp_wire import TracesRequest
from pilothouse.ports.intake import Signal


def counting():
    asked = []

    def read(raw):
        asked.append(raw)
        return classify(raw.decode(), 1)

    return KnownAttributes(read), asked


def test_the_same_bytes_are_read_once():
    known, asked = counting()
    first = known[b"a"]
    assert known[b"a"] is first
    assert asked == [b"a"]


def test_what_is_remembered_is_bounded_by_number_and_what_is_asked_for_stays(monkeypatch):
    monkeypatch.setattr(attributes, "KNOWN_MAX", 4)
    known, asked = counting()
    for number in range(100):
        assert known[b"%d" % number] is known[b"%d" % number]
        assert known[b"often"] is known[b"often"]
    assert known.size <= 8
    assert asked.count(b"often") == 1


def test_what_is_remembered_is_bounded_by_bytes_and_long_texts_are_not(monkeypatch):
    monkeypatch.setattr(attributes, "KNOWN_BYTES_MAX", 100)
    known, _ = counting()
    for number in range(100):
        assert known[b"%050d" % number] is known[b"%050d" % number]
    assert known.size <= 6
    long = b"x" * (attributes.KNOWN_ATTRIBUTE_BYTES_MAX + 1)
    assert known[long].name.slot == LOST
    assert long not in known


def test_rows_are_the_same_when_every_attribute_is_known():
    body = request(run_spans()).SerializeToString()
    assert decode(body) == decode(body)


def test_raw_attributes_are_the_bytes_that_the_official_message_holds():
    body = request(run_spans()).SerializeToString()
    official, ours = ExportTraceServiceRequest.FromString(body), TracesRequest.FromString(body)
    for one, other in zip(
        official.resource_spans[0].scope_spans[0].spans,
        ours.resource_spans[0].scope_spans[0].spans,
        strict=True,
    ):
        assert [pair.SerializeToString() for pair in one.attributes] == list(other.attributes)
        assert one.status.SerializeToString() == other.status


@pytest.mark.parametrize("broken", [b"abc\xff\xfegh", b"\xed\xa0\x80long"])
def test_an_attribute_that_is_no_utf8_makes_the_body_unreadable_before_the_answer(broken):
    span = {**run_spans()[0], "attributes": {"k": "abcdefgh"}}
    body = request([span]).SerializeToString().replace(b"abcdefgh", broken)
    with pytest.raises(MalformedRecord):
        parse_request(Signal.TRACES, Encoding.PROTOBUF, body)


def test_the_last_of_a_repeated_name_wins_and_the_others_are_counted():
    message = request([{**run_spans()[0], "attributes": {"gen_ai.request.model": "old", "mine": 1}}])
    pairs = message.resource_spans[0].scope_spans[0].spans[0].attributes
    pairs.add(key="gen_ai.request.model").value.string_value = "new"
    pairs.add(key="mine").value.int_value = 2
    row = decode(message.SerializeToString())[0]
    named = dict(zip(decode_spans([run_spans()[0]])[0], row, strict=True))
    assert named["request_model"] == "new"
    assert named["attributes"] == '{"gen_ai.request.model":"new","mine":2}'
    assert named["dropped_attributes"] == 2
