# SPDX-License-Identifier: Apache-2.0
"""Any bytes at the door give a refusal, a partial success or correct rows; never a crash."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_bodies import any_value, request, run_spans, to_json
from otlp_rows import decode

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake.batches import to_batch
from pilothouse.lake.columns import SPANS, CoreSpan
from pilothouse.lake.inflate import inflate
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.ports.intake import Signal

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

RICH = run_spans()
RICH[0]["events"] = [
    ("exception", {"exception.type": "E"}),
    ("gen_ai.choice", {"message": '{"content":"x"}'}),
]
RICH[1]["attributes"]["nested"] = {"a": [1, 2.5, {"b": True}], "c": b"\x01"}
RICH[2]["attributes"]["llm.input_messages.0.message.content"] = "x"
BODIES = {
    Encoding.PROTOBUF: request(RICH).SerializeToString(),
    Encoding.JSON: to_json(request(RICH)),
}


def take(encoding: Encoding, body: bytes, signal: Signal = Signal.TRACES) -> None:
    """What the intake and its thread do with a body; anything but our two refusals is a failure."""
    try:
        parsed = parse_request(signal, encoding, body)
    except (MalformedRecord, LimitExceeded):
        return
    rows = decode(body, encoding=encoding, signal=signal)
    assert len(rows) == parsed.items - len(parsed.bad) or signal is Signal.METRICS
    if rows:
        assert to_batch(rows, SPANS).num_rows == len(rows)
        for row in rows:
            span = CoreSpan._make(row[: len(CoreSpan._fields)])
            assert span.record in ("span", "log")
            assert len(span.trace_id) in (0, 32)


@st.composite
def mutations(draw, body: bytes) -> bytes:
    mutated = bytearray(body)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(mutated) - 1))
        kind = draw(st.sampled_from(("set", "insert", "delete", "cut", "copy")))
        if kind == "set":
            mutated[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            mutated[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "delete":
            del mutated[at : at + draw(st.integers(1, 8))]
        elif kind == "cut":
            del mutated[max(1, at) :]
        else:
            mutated[at:at] = mutated[at : at + draw(st.integers(1, 40))]
        if not mutated:
            mutated = bytearray(b"\0")
    return bytes(mutated)


@given(body=mutations(BODIES[Encoding.PROTOBUF]), signal=st.sampled_from(tuple(Signal)))
@settings(max_examples=800, deadline=None)
def test_mutated_protobuf_is_refused_or_read(body, signal):
    take(Encoding.PROTOBUF, body, signal)


@given(body=mutations(BODIES[Encoding.JSON]), signal=st.sampled_from(tuple(Signal)))
@settings(max_examples=800, deadline=None)
def test_mutated_json_is_refused_or_read(body, signal):
    take(Encoding.JSON, body, signal)


@given(body=mutations(gzip.compress(BODIES[Encoding.PROTOBUF])))
@settings(max_examples=400, deadline=None)
def test_mutated_gzip_is_refused_or_inflated(body):
    try:
        inflate(body)
    except (MalformedRecord, LimitExceeded):
        return


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=20),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.binary(max_size=9),
    ),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), below, max_size=3)
    ),
    max_leaves=12,
)
KNOWN_KEYS = (
    "gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.input.messages",
    "gen_ai.response.finish_reasons", "pilothouse.task.confidence", "pilothouse.task.claim", "pilothouse.task.result",
    "llm.input_messages.0.message.content", "llm.input_messages.x", "input.value", "metadata", "error.type",
    "openinference.span.kind", "gen_ai.response.time_to_first_chunk", "gen_ai.usage.cost", "server.port",
    "server.address", "session.id", "gen_ai.prompt", "gen_ai.prompt.0.content", "llm.token_count.prompt",
)  # fmt: skip


@given(
    attributes=st.dictionaries(
        st.sampled_from(KNOWN_KEYS) | st.text(min_size=1, max_size=12), VALUES, max_size=8
    ),
    name=st.text(max_size=300),
    status=st.integers(-3, 9),
    times=st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
)
@settings(max_examples=500, deadline=None)
def test_both_encodings_of_any_span_decode_to_equal_rows(attributes, name, status, times):
    any_value(attributes)
    span = {"attributes": attributes, "name": name, "status": status, "start": times[0], "end": times[1]}
    message = request([span])
    rows = decode(message.SerializeToString())
    assert rows == decode(to_json(message), encoding=Encoding.JSON)
    assert to_batch(rows, SPANS).num_rows == 1
