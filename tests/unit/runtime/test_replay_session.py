# SPDX-License-Identifier: Apache-2.0
"""A replay serves what is recorded, names the first difference, and lets only what a change touches leave the record."""

from __future__ import annotations

import json
import random

import pytest
from recorded_runs import MODEL, ROUTE, RUN, TOOL, answer, conversation, record
from replay_mutations import play

from pilothouse.runtime.replay.answers import read_answer
from pilothouse.runtime.replay.divergence import DivergenceKind
from pilothouse.runtime.replay.exchange import exchanges, request_key
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import BLOCKED, Diverge, Live, ReplaySession, Serve
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.recorder import Recorder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    with Recorder(tmp_path_factory.mktemp("runs")) as log:
        record(log, conversation(5))
        yield exchanges(log.read(RUN)), log.redaction


def session(recorded, mode=ReplayMode.STRICT, **more):
    calls, redaction = recorded
    return ReplaySession(calls, mode, redaction, **more)


def bodies():
    return [asked for asked, _ in conversation(5)]


def send(replay, document):
    return replay.take(ROUTE, json.dumps(document).encode())


def test_a_run_that_does_the_same_is_equal_whatever_the_spelling_of_its_json(recorded):
    replay = session(recorded)
    for asked in bodies():
        spelt = json.dumps(dict(reversed(asked.items())), indent=2).encode()
        assert isinstance(replay.take(ROUTE, spelt), Serve)
    assert replay.first_divergence() is None
    assert replay.counts.served == 5


def test_two_hundred_seeded_mutations_are_each_named_by_call_path_and_kind(recorded):
    calls, redaction = recorded
    found = [play(calls, redaction, random.Random(seed)) for seed in range(200)]
    assert [one for one in found if not one.is_placed] == []
    assert sum(one.is_classified for one in found) >= 196
    assert {one.expected[2] for one in found} >= set(DivergenceKind) - {
        DivergenceKind.RETRIEVAL,
        DivergenceKind.BODY,
    }


def test_a_tool_result_is_named_with_its_tool_and_both_values(recorded):
    replay = session(recorded)
    send(replay, bodies()[0])
    changed = bodies()[1]
    changed["messages"][3]["content"] = "order 7 is at sea"
    found = send(replay, changed).divergence
    assert (found.tool, found.recorded, found.found) == ("look_up", "order 7 is in Lyon", "order 7 is at sea")
    retrieving = session(recorded, retrieved=("at sea",))
    send(retrieving, bodies()[0])
    assert send(retrieving, changed).divergence.kind is DivergenceKind.RETRIEVAL


def test_pinned_tools_put_recorded_results_back_and_stop_at_anything_else(recorded):
    replay = session(recorded, ReplayMode.PIN_TOOLS)
    send(replay, bodies()[0])
    changed = bodies()[1]
    changed["messages"][3]["content"] = "order 7 is at sea"
    assert isinstance(send(replay, changed), Serve)
    assert replay.counts.pinned == 1
    other = bodies()[2]
    other["messages"][1]["content"] = "Where is 8?"
    assert isinstance(send(replay, other), Diverge)


def test_a_fork_serves_what_the_change_does_not_touch(recorded):
    """The call whose request carries the changed result, and those after it, are exactly the cone."""
    change = Substitution(tool_results={"call_7_1": "order 7.1 is lost"})
    replay = session(recorded, ReplayMode.FORK, substitution=change)
    taken = [send(replay, asked) for asked in bodies()]
    oracle = [any(m.get("tool_call_id") == "call_7_1" for m in asked["messages"]) for asked in bodies()]
    assert [isinstance(each, Live) for each in taken] == oracle == [False, False, True, True, True]
    assert b"order 7.1 is lost" in taken[2].body
    assert [each.exchange.number for each in taken[2:]] == [3, 4, 5]


def test_in_a_fork_known_tool_calls_get_recorded_results_and_unknown_ones_are_blocked_unless_named(recorded):
    def with_call(name, args, result):
        asked = bodies()[0]
        call = {
            "id": "call_new",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(args)},
        }
        asked["messages"] += [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_new", "content": result},
        ]
        return asked

    def result_of(live):
        return json.loads(live.body)["messages"][-1]["content"]

    replay = session(recorded, ReplayMode.FORK, allowed_tools=frozenset({"add"}))
    assert result_of(send(replay, with_call("look_up", {"order": "7"}, "from today"))) == "order 7 is in Lyon"
    assert result_of(send(replay, with_call("pay", {"amount": 3}, "paid"))) == BLOCKED
    assert result_of(send(replay, with_call("add", {"a": 3}, "4"))) == "4"
    counts = replay.counts
    assert (counts.pinned, counts.blocked, counts.simulated, counts.live) == (1, 1, 1, 3)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (Substitution(model="m-2"), "model"),
        (Substitution(params={"temperature": 1}), "temperature"),
        (Substitution(prompt="Be brief."), "messages"),
        (Substitution(tool_contracts={"look_up": {**TOOL, "strict": True}}), "tools"),
    ],
)
def test_each_change_changes_its_part_of_a_request_only(change, path):
    before = bodies()[0]
    after = change.apply(before)
    assert [name for name in before if before[name] != after[name]] == [path]
    assert before == bodies()[0]
    assert change.apply(after) is after
    assert Substitution().apply(before) is before


def test_instructions_are_found_in_every_protocol():
    assert Substitution(prompt="x").apply({"system": "a"}) == {"system": "x"}
    assert Substitution(prompt="x").apply({"instructions": "a", "input": "q"})["instructions"] == "x"
    untouched = {"input": "q"}
    assert Substitution(prompt="x").apply(untouched) is untouched


def test_bodies_without_one_canonical_form_are_matched_by_their_bytes():
    for body in (
        b"not json",
        b'{"a": 1, "a": 1}',
        b'{"a": 9007199254740993}',
        b"[1]",
        b'{"a": NaN}',
        b'"\\ud800"',
    ):
        assert request_key(ROUTE, body) != request_key(ROUTE, body + b" ")
    assert request_key(ROUTE, b'{"a": 1}') == request_key(ROUTE, b'{"a":1.0} ')


def test_answers_of_every_protocol_say_the_same():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    chat = answer({"role": "assistant", "content": "hi", "tool_calls": [call]})
    start, rest = (
        {**call, "function": {"name": "f", "arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    )
    events = [
        {"choices": [{"delta": {"content": "hi", "tool_calls": [start]}}]},
        {"choices": [{"delta": {"tool_calls": [rest]}}]},
    ]
    responses = {
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "function_call", "name": "f", "arguments": '{"a":1}'},
            {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
        ],
    }
    messages = {
        "type": "message",
        "content": [{"type": "text", "text": "hi"}, {"type": "tool_use", "name": "f", "input": {"a": 1}}],
    }
    streamed = [
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "f"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"a": 1}'}},
    ]

    def stream(documents):
        return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in documents)

    said = [
        read_answer(200, chat),
        read_answer(200, stream(events)),
        read_answer(200, json.dumps(responses).encode()),
        read_answer(200, stream([{"type": "response.completed", "response": responses}])),
        read_answer(200, json.dumps(messages).encode()),
        read_answer(200, stream(streamed)),
    ]
    assert all(each == said[0] for each in said)
    assert (said[0].text, said[0].tools) == ("hi", (("f", '{"a":1}'),))
    assert read_answer(500, b"<html>").text == ""
    assert MODEL in chat.decode()
