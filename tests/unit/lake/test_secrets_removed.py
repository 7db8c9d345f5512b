# SPDX-License-Identifier: Apache-2.0
"""No secret that an agent sends reaches log or tables, in either encoding, and all else arrives as it was sent."""

from __future__ import annotations

import gzip
import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pilothouse.core.charter.secrets import REDACTED, SECRET_FORMS
from pilothouse.errors import MalformedRecord
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.request_check import check_request
from pilothouse.lake.secrets_removed import SMALL_BYTES_MAX, has_mark, without_secrets
from pilothouse.ports.intake import Signal

KEY = "sk-ant-0123456789abcdef0123"
MESSAGES = json.dumps([{"role": "user", "content": f'it says {{"api_key": "abcdefgh12345678"}} and {KEY}'}])
ASCII = st.characters(max_codepoint=126)


def as_json(*attributes):
    span = {
        "traceId": "5b" * 16,
        "spanId": "5c" * 8,
        "name": "call",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [*attributes],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def as_protobuf(*attributes):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\x5b" * 16, b"\x5c" * 8, "call"
    span.start_time_unix_nano, span.end_time_unix_nano = 1, 2
    for one in attributes:
        pair = span.attributes.add(key=one["key"])
        if "stringValue" in one["value"]:
            pair.value.string_value = one["value"]["stringValue"]
        else:
            for each in one["value"]["arrayValue"]["values"]:
                pair.value.array_value.values.add(string_value=each["stringValue"])
    return request.SerializeToString()


BOTH = {
    "json": (Encoding.JSON, lambda *each: json.dumps(as_json(*each)).encode()),
    "protobuf": (Encoding.PROTOBUF, as_protobuf),
}


def same(how, kept, *attributes):
    """Say whether a request says just this, in its encoding."""
    if how == "json":
        return json.loads(kept) == as_json(*attributes)
    return kept == as_protobuf(*attributes)


@pytest.mark.parametrize("how", BOTH)
def test_a_secret_within_a_text_is_replaced_and_the_text_stays_what_it_was(how):
    encoding, build = BOTH[how]
    body = build(
        text("gen_ai.input.messages", MESSAGES), text("note", "J" * 9), text("gen_ai.tool.name", "pay")
    )
    kept = without_secrets(Signal.TRACES, encoding, body)
    told = MESSAGES.replace("abcdefgh12345678", REDACTED).replace(KEY, REDACTED)
    assert same(
        how, kept, text("gen_ai.input.messages", told), text("note", "J" * 9), text("gen_ai.tool.name", "pay")
    )
    assert json.loads(told)[0]["content"].count(REDACTED) == 2
    assert without_secrets(Signal.TRACES, encoding, kept) is kept


@pytest.mark.parametrize("how", BOTH)
def test_a_secret_ends_where_its_text_ends(how):
    """On the wire the next attribute begins with the letter J, and a key may consist of it."""
    encoding, build = BOTH[how]
    body = build(text("a", KEY), text("b", "0123456789"))
    kept = without_secrets(Signal.TRACES, encoding, body)
    assert same(how, kept, text("a", REDACTED), text("b", "0123456789"))


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(
    "name", ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"]
)
def test_a_header_that_lets_somebody_in_is_hidden_whatever_it_looks_like(how, name):
    encoding, build = BOTH[how]
    header = {
        "key": f"http.request.header.{name}",
        "value": {"arrayValue": {"values": [{"stringValue": "Basic ZXJw"}]}},
    }
    kept = without_secrets(Signal.TRACES, encoding, build(header, text("http.route", "/a")))
    assert b"ZXJw" not in kept
    assert REDACTED.encode() in kept
    assert f"http.request.header.{name}".encode() in kept
    assert b"/a" in kept


@pytest.mark.parametrize("how", BOTH)
def test_what_only_looks_like_a_secret_from_afar_is_kept_byte_by_byte(how):
    encoding, build = BOTH[how]
    body = build(text("a", "eyJhbGciOi.x and bearer of news; token: see below, input_tokens: 1234567890123"))
    assert has_mark(body)
    assert without_secrets(Signal.TRACES, encoding, body) is body


def test_of_a_compressed_request_the_log_has_the_text_without_the_secret():
    body = gzip.compress(as_protobuf(text("a", KEY)))
    checked = check_request(
        Signal.TRACES, content_type="application/x-protobuf", content_encoding="gzip", body=body
    )
    assert (checked.is_gzip, checked.had_secrets) == (False, True)
    assert checked.body == as_protobuf(text("a", REDACTED))
    assert str(checked.request.attributes).count(REDACTED) == 1
    assert KEY not in str(checked.request.attributes)


def test_what_cannot_be_taken_apart_is_refused():
    with pytest.raises(MalformedRecord, match="secrets cannot be taken out"):
        without_secrets(Signal.TRACES, Encoding.PROTOBUF, b"\xff" + KEY.encode())
    deep = b'{"a":' * 5_000 + b'"' + KEY.encode() + b'"' + b"}" * 5_000
    with pytest.raises(MalformedRecord, match="secrets cannot be taken out"):
        without_secrets(Signal.TRACES, Encoding.JSON, deep)


@settings(max_examples=400, deadline=None)
@given(found=st.sampled_from(SECRET_FORMS).flatmap(lambda form: st.from_regex(form[1], alphabet=ASCII)))
def test_whatever_a_form_of_a_secret_matches_has_a_mark(found):
    for content in (found.encode(), json.dumps(found).encode()):
        assert has_mark(content)
        assert has_mark(b" " * SMALL_BYTES_MAX + content)
