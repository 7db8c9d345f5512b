# SPDX-License-Identifier: Apache-2.0
"""What is remembered of attributes is bounded, and changes nothing about what is read."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_bodies import request, run_spans
from otlp_rows import decode, decode_spans

from pilothouse.errors import MalformedRecord
from pilothouse.lake import attributes
from pilothouse.lake.attributes import KnownAttributes, classify
from pilothouse.lake.otlp_request import Encoding, parse_request
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
    first = known.read(b"a")
    assert known.find([b"a", b"b"]) == [first, None]
    assert asked == [b"a"]


def test_what_is_remembered_is_bounded_by_number_and_what_is_asked_for_stays(monkeypatch):
    monkeypatch.setattr(attributes, "KNOWN_MAX", 4)
    known, asked = counting()
    for number in range(100):
        known.read(b"%d" % number)
        if known.find([b"often"]) == [None]:
            known.read(b"often")
    assert len(known) <= 8
    assert asked.count(b"often") == 1


def test_what_is_remembered_is_bounded_by_bytes_and_long_texts_are_not(monkeypatch):
    monkeypatch.setattr(attributes, "KNOWN_BYTES_MAX", 100)
    known, _ = counting()
    for number in range(100):
        known.read(b"%050d" % number)
    assert len(known) <= 6
    known.read(b"x" * (attributes.KNOWN_ATTRIBUTE_BYTES_MAX + 1))
    assert known.find([b"x" * (attributes.KNOWN_ATTRIBUTE_BYTES_MAX + 1)]) == [None]


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
