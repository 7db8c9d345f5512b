# SPDX-License-Identifier: Apache-2.0
"""What is remembered of attributes is bounded, and changes nothing about what is read."""

import random

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_bodies import request, run_spans
from otlp_rows import decode, decode_spans

from pilothouse.errors import MalformedRecord
from pilothouse.lake import attributes
from pilothouse.lake.attributes import LOST, AttributeCache, classify
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_pair import read_short_pair
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.otlp_wire import KeyValue, TracesRequest
from pilothouse.ports.intake import Signal


def counting():
    asked = []

    def read(raw):
        asked.append(raw)
        return classify(raw.decode(), 1)

    return AttributeCache(read), asked


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


def raw_pairs(seed):
    """Attributes of every shape, many cut or changed in one byte."""
    chance = random.Random(seed)
    for _ in range(3_000):
        pair = KeyValue(key=chance.choice(["", "k", "gen_ai.request.model", "ключ", "k" * 127, "k" * 128]))
        kind = chance.randrange(6)
        if kind < 3:
            pair.value.string_value = "é" * chance.choice([0, 1, 61, 62, 63, 64, 2_000, 3_000]) + "x" * kind
        elif kind == 3:
            pair.value.int_value = chance.choice([0, 1, 127, 128, 2**31, 2**62, 2**63 - 1, -1])
        elif kind == 4:
            pair.value.array_value.values.add().bool_value = True
        raw = bytearray(pair.SerializeToString())
        if raw and chance.random() < 0.5:
            raw[chance.randrange(min(12, len(raw)))] = chance.randrange(256)
        if chance.random() < 0.2:
            raw = raw[: chance.randrange(len(raw) + 1)]
        yield bytes(raw)


def test_what_is_read_by_its_bytes_is_what_the_library_reads():
    short = 0
    for raw in raw_pairs(7):
        try:
            found = read_short_pair(raw)
        except UnicodeDecodeError:
            with pytest.raises(DecodeError):
                KeyValue.FromString(raw)
            continue
        if found is not None:
            short += 1
            pair = KeyValue.FromString(raw)
            value = pair.value.string_value if pair.value.HasField("string_value") else pair.value.int_value
            expected = classify(pair.key, value)
            assert (found.name.key, found.value, found.json) == (pair.key, expected.value, expected.json)
    assert short > 500
