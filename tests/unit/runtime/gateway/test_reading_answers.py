# SPDX-License-Identifier: Apache-2.0
"""What a stream says about itself is read as it is said: usage in parts, errors before content, nothing that stops a thread."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest

from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.gateway import VirtualKey, WireProtocol
from pilothouse.ports.intake import IntakeAnswer, Receipt
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.event_reader import EventReader
from pilothouse.runtime.gateway.messages import spoken_output, written_tokens
from pilothouse.runtime.gateway.policy import AgentPolicy
from pilothouse.runtime.gateway.routes import Operation, find_place
from pilothouse.runtime.gateway.spans import SpanSink
from pilothouse.runtime.gateway.wire import Answer, Stage, inflate, read_event

STARTED = {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}
CHAT = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route


def read(*events, operation=Operation.MESSAGES):
    said = Answer()
    stages = [read_event(json.dumps(event).encode(), operation, said) for event in events]
    return said, stages


@pytest.mark.parametrize("usage", [{"output_tokens": 1500}, {"input_tokens": None, "output_tokens": 1500}])
def test_the_last_event_of_a_message_may_count_only_what_was_written(usage):
    said, _ = read(STARTED, {"type": "message_delta", "usage": usage})
    assert said.usage == TokenCount(input=25, output=1500)


def test_what_is_said_before_the_content_is_no_whole_usage():
    said, _ = read(STARTED)
    assert (said.usage, said.begun) == (None, TokenCount(input=25, output=1))


def test_an_error_event_of_responses_is_one_although_its_message_is_a_text():
    event = {"type": "error", "code": "server_error", "message": "made to fail", "sequence_number": 1}
    assert read(event, operation=Operation.RESPONSES)[1] == [Stage.ERROR]


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        (b'{"choices": 5}', Operation.CHAT),
        (b'data: {"choices": 5}\n\n', Operation.CHAT),
        (b'{"content": 5}', Operation.MESSAGES),
        (b'{"output": 5}', Operation.RESPONSES),
    ],
)
def test_an_answer_of_another_shape_says_nothing(body, operation):
    assert spoken_output(body, operation) == ""


def chunks(words, **more):
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": "m-2026-01-01",
    }
    return b"".join(
        b"data: %b\n\n"
        % json.dumps({**base, "choices": [{"index": 0, "delta": {"content": word}}], **more}).encode()
        for word in words
    )


@pytest.mark.parametrize("many", [10, 100, 5_000])
def test_tokens_of_a_stream_without_usage_are_estimated_by_what_it_says_and_not_by_its_envelopes(many):
    body = chunks(["word "] * many)
    assert many * 0.9 <= written_tokens(body, Operation.CHAT) <= many * 1.6
    assert len(body) // 4 > 20 * many


def test_a_stream_that_begins_with_all_that_was_asked_is_estimated_by_its_middle():
    begins = {"type": "response.created", "response": {"instructions": "i" * 9_000}}
    pieces = [
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "word "} for _ in range(400)
    ]
    body = b"".join(b"event: x\ndata: %b\n\n" % json.dumps(each).encode() for each in [begins, *pieces])
    assert 400 * 0.9 <= written_tokens(body, Operation.RESPONSES) <= 400 * 2


def test_thoughts_and_arguments_of_tools_are_written_too():
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "x" * 40}}
    message = {"role": "assistant", "content": None, "reasoning_content": "y" * 40, "tool_calls": [call]}
    body = json.dumps({"choices": [{"message": message}]}).encode()
    assert written_tokens(body, Operation.CHAT) == 21
    events = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "y" * 40},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "x" * 40},
        },
    ]
    body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    assert written_tokens(body, Operation.MESSAGES) == 20
    event = {"type": "response.output_text.delta", "delta": "y" * 40}
    done = {"type": "response.output_text.done", "text": "y" * 40}
    body = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in (event, done))
    assert written_tokens(body, Operation.RESPONSES) == 10
    assert written_tokens(b"no json at all" * 4, Operation.CHAT) == 14


class Kept:
    """An intake that keeps what it is given, or fails."""

    def __init__(self):
        self.bodies = []
        self.fails = False

    def accept(self, signal, *, content_type, content_encoding, body, source):
        if self.fails:
            raise RuntimeError("made to fail")
        self.bodies.append(body)
        return Receipt(answer=IntakeAnswer.ACCEPTED)


EMBEDDINGS = find_place("POST", "/gw/v1/embeddings", says_anthropic=False).route


def call_of(response, headers=(), **fields):
    key = VirtualKey(
        prefix="p", digest="d", agent="triage", created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t"
    )
    given = {"route": CHAT, "identity": "path", "status": 200, "ending": Ending.DONE, **fields}
    return Call(
        run="a" * 32,
        key=key,
        policy=AgentPolicy(agent="triage"),
        protocol=WireProtocol.OPENAI,
        request=b'{"messages": [{"role": "user", "content": "hi"}]}',
        attempts=[Attempt("acme", "m", 1, status=200)],
        response=response,
        response_headers=list(headers),
        **given,
    )


def test_a_compressed_answer_is_said_in_its_span():
    kept = Kept()
    sink = SpanSink(kept)
    body = gzip.compress(b'{"choices": [{"message": {"content": "on its way"}, "finish_reason": "stop"}]}')
    sink.keep(call_of(body, [(b"content-encoding", b"gzip")]))
    sink.flush()
    assert b"on its way" in kept.bodies[0]


@pytest.mark.parametrize("first_content_s", [None, 0.25])
def test_a_span_says_when_the_first_words_of_a_stream_came(first_content_s):
    kept = Kept()
    sink = SpanSink(kept)
    sink.keep(call_of(b"{}", first_content_s=first_content_s))
    sink.flush()
    assert (b"time_to_first_chunk" in kept.bodies[0]) is (first_content_s is not None)


def test_spans_go_on_after_a_batch_that_could_not_be_written():
    kept = Kept()
    sink = SpanSink(kept)
    sink.start()
    kept.fails = True
    sink.keep(call_of(b"{}"))
    for _ in range(200):
        if sink.counters()["spans_refused"]:
            break
        sink._stop.wait(0.02)
    kept.fails = False
    sink.keep(call_of(b"{}"))
    sink.stop()
    assert (sink.counters()["spans_refused"], bool(kept.bodies)) == (1, True)


@pytest.mark.parametrize(("identity", "spans"), [("new", 0), ("path", 2), ("linked_id", 2)])
def test_an_embedding_that_names_no_run_is_no_task(identity, spans):
    kept = Kept()
    sink = SpanSink(kept)
    sink.keep(call_of(b"{}", route=EMBEDDINGS, identity=identity))
    sink.stop()
    assert sum(body.count(b'"spanId"') for body in kept.bodies) == spans
    assert sink.counters()["spans_without_run"] == (spans == 0)


@pytest.mark.parametrize(
    "asks",
    [
        b'{"choices": [{"message": {"content": "Let me look.", "tool_calls": [{"id": "c", "type": "function"}]}}]}',
        b'data: {"choices": [{"delta": {"tool_calls": [ {"index": 0, "id": "c"}]}}]}\n\n',
        b'{"content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "c"}]}',
        b'{"object": "response", "output": [{"type": "function_call", "call_id": "c"}]}',
    ],
)
def test_a_run_that_waits_for_a_slow_tool_is_not_over(asks):
    kept = Kept()
    sink = SpanSink(kept, run_quiet_s=0.0)
    sink.keep(call_of(asks))
    sink.flush()
    assert b"invoke_agent" not in kept.bodies[0]
    sink.keep(
        call_of(b'{"choices": [{"message": {"content": "Done: \\"tool_calls\\": [{", "tool_calls": []}}]}')
    )
    sink.flush()
    assert kept.bodies[1].count(b"invoke_agent triage") == 1
    assert sink.counters()["runs_open"] == 0


@pytest.mark.parametrize(("last", "stated"), [(None, False), (0.4, True)])
def test_an_answer_that_nobody_looked_at_is_not_as_sure_as_the_one_before_it(last, stated):
    """The first answer was whole and sure, the last one a stream: the run passed for a sure one."""
    kept = Kept()
    sink = SpanSink(kept)
    said = b'{"choices": [{"message": {"content": "Done."}}]}'
    sink.keep(call_of(said, confidence=0.9))
    sink.keep(call_of(said, confidence=last))
    sink.keep(call_of(b"{}", status=500, ending=Ending.FAILED))
    sink.stop()
    told = b"".join(kept.bodies)
    assert (b"pilothouse.task.confidence" in told, b"0.4" in told, b"0.9" in told) == (stated, stated, False)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_stream_in_several_compressed_members_is_read_up_to_its_first_content(step):
    """A member for each event: the second one was not read, so the stream was held to its end and no error in it seen."""
    events = [
        b"data: %b\n\n" % json.dumps(one).encode() for one in (STARTED, {"type": "ping"}, {"type": "error"})
    ]
    packed, reader, said = b"".join(map(gzip.compress, events)), EventReader("gzip"), Answer()
    parts = [packed[at : at + step] for at in range(0, len(packed), step)]
    stages = [reader.stage(part, Operation.MESSAGES, said) for part in parts]
    assert (set(stages[:-10]) <= {Stage.BEFORE}, Stage.ERROR in stages) == (True, True)
    assert said.begun == TokenCount(input=25, output=1)


def test_the_members_of_one_part_have_one_bound_together(monkeypatch):
    monkeypatch.setattr("pilothouse.runtime.gateway.event_reader.INFLATED_BYTES_MAX", 1_000)
    comment, error = gzip.compress(b":" + b"x" * 400 + b"\n\n"), gzip.compress(b'data: {"type": "error"}\n\n')
    assert EventReader("gzip").stage(comment + error, Operation.MESSAGES, Answer()) == Stage.ERROR
    assert EventReader("gzip").stage(comment * 3 + error, Operation.MESSAGES, Answer()) == Stage.BEFORE


def test_what_follows_a_compressed_stream_and_is_none_is_not_read():
    reader = EventReader("gzip")
    assert reader.stage(gzip.compress(b": begun\n\n") + b"more", Operation.CHAT, Answer()) == Stage.CONTENT


def test_an_answer_in_several_compressed_members_is_read_whole():
    members = gzip.compress(b'{"a": ') + gzip.compress(b"1}")
    assert inflate(members, "gzip") == b'{"a": 1}'
    assert inflate(members + b"more", "gzip") == b'{"a": 1}'
    assert inflate(members + b"\x1f\x8bmore", "gzip") is None
    assert inflate(members[:-9], "gzip") == b'{"a": 1}'
    assert inflate(b"", "gzip") == b""
