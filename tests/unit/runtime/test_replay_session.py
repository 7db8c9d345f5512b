# SPDX-License-Identifier: Apache-2.0
"""A replay serves what is recorded, names the first difference, and lets only what a change touches leave the record."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace

import pytest
from recorded_runs import MODEL, ROUTE, RUN, TOOL, answer, conversation, record
from replay_mutations import play

from pilothouse.core.evidence.run_log import LoggedEvent, ModelRequest, ModelResponse, RecordedRun, Tap
from pilothouse.runtime.replay.answers import read_answer
from pilothouse.runtime.replay.divergence import MISSING, DivergenceKind, nearest, shown_pair
from pilothouse.runtime.replay.exchange import exchanges, request_key
from pilothouse.runtime.replay.live import LiveModel
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


def test_the_nearest_call_is_one_of_the_same_route_that_can_be_read(recorded):
    first, second, *_ = recorded[0]
    asked = dict(second.document)
    unread = replace(second, body=b"no JSON")
    elsewhere = replace(second, route="/v1/messages")
    assert nearest(asked, ROUTE, [unread, elsewhere, first], []) == (first, False)
    assert nearest(asked, ROUTE, [first], [second]) == (second, True)
    assert nearest(asked, ROUTE, [second], [second]) == (second, False), (
        "what was not asked for yet comes first"
    )
    assert nearest(asked, ROUTE, [unread, elsewhere], [unread]) == (None, False)


def test_a_tool_result_is_named_with_its_tool_and_both_values(recorded):
    replay = session(recorded)
    send(replay, bodies()[0])
    changed = bodies()[1]
    changed["messages"][3]["content"] = "order 7 is at sea"
    found = send(replay, changed).divergence
    assert (found.tool, found.recorded, found.found) == ("look_up", "order 7 is in Lyon", "order 7 is at sea")


def test_of_two_long_texts_the_place_where_they_part_is_shown():
    begin = "You route invoices. " * 60
    one, other = shown_pair(f"{begin}Ask first.{' Be kind.' * 60}", f"{begin}Never ask.")
    assert (one[0], one[-1], len(one), "Ask first." in one) == ("…", "…", 201, True)
    assert other == "…" + begin[-40:] + "Never ask."
    assert shown_pair({"a": 1}, MISSING) == ('{"a": 1}', "(nothing)")
    assert shown_pair("x" * 900, "y")[0] == "x" * 199 + "…"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["is in Lyon"], DivergenceKind.RETRIEVAL),
        (["at sea"], DivergenceKind.RETRIEVAL),
        (["order 7 is"], DivergenceKind.TOOL_RESULT),
        (["of another task"], DivergenceKind.TOOL_RESULT),
        ([], DivergenceKind.TOOL_RESULT),
    ],
)
def test_a_difference_by_a_retrieved_text_is_one_of_retrieval(recorded, texts, kind):
    """A text that both sides have is not what differs."""
    asked = []

    def retrieved():
        asked.append(1)
        return texts

    replay = session(recorded, retrieved=retrieved)
    send(replay, bodies()[0])
    assert asked == []
    changed = bodies()[1]
    changed["messages"][3]["content"] = "order 7 is at sea"
    assert send(replay, changed).divergence.kind is kind
    assert asked == [1]


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


def test_a_tool_that_answers_the_same_question_otherwise_later_is_no_difference(tmp_path):
    """Polling: the same call again, another result; and an agent that shortens its own history."""
    asked = [{"role": "assistant", "tool_calls": [_call(f"call_{n}", "status", {})]} for n in range(3)]
    results = [
        {"role": "tool", "tool_call_id": f"call_{n}", "content": text}
        for n, text in enumerate(("open", "open", "done"))
    ]
    user = {"role": "user", "content": "Is it done?"}
    histories = [
        [user],
        [user, asked[0], results[0]],
        [user, asked[0], {**results[0], "content": "(cleared)"}, asked[1], results[1]],
    ]
    histories.append([*histories[2], asked[2], results[2]])
    pairs = [
        ({"model": MODEL, "messages": history}, answer(said))
        for history, said in zip(histories, [*asked, {"role": "assistant", "content": "Yes."}], strict=True)
    ]
    with Recorder(tmp_path) as log:
        record(log, pairs)
        recorded = exchanges(log.read(RUN)), log.redaction
    replay = session(recorded, ReplayMode.FORK)
    assert [isinstance(send(replay, document), Serve) for document, _ in pairs] == [True] * 4
    assert replay.counts.pinned == 0
    other = session(recorded, ReplayMode.FORK, substitution=Substitution(model="m-2"))
    bodies = [json.loads(send(other, document).body)["messages"] for document, _ in pairs]
    assert bodies == histories
    fresh = [user, {"role": "assistant", "tool_calls": [_call("a", "status", {}), _call("b", "status", {})]}]
    fresh += [{"role": "tool", "tool_call_id": name, "content": "from inside"} for name in "ab"]
    fresh += [{"role": "assistant", "tool_calls": [_call(name, "status", {}) for name in "cd"]}]
    fresh += [{"role": "tool", "tool_call_id": name, "content": "from inside"} for name in "cd"]
    live = json.loads(send(other, {"model": MODEL, "messages": fresh}).body)["messages"]
    assert [each["content"] for each in live if each["role"] == "tool"] == ["open", "open", "done", "done"]


def _call(ident, name, args):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}


def test_a_result_whose_call_is_kept_elsewhere_is_not_shown_unless_it_is_recorded(recorded):
    replay = session(recorded, ReplayMode.FORK)
    items = [{"type": "function_call_output", "call_id": "call_new", "output": "from inside"}]
    live = replay.take(
        "/v1/responses", json.dumps({"previous_response_id": "resp_1", "input": items}).encode()
    )
    assert json.loads(live.body)["input"][0]["output"] == BLOCKED
    assert replay.counts.blocked == 1


def test_a_change_concerns_what_a_model_says_and_not_what_is_counted_or_embedded(tmp_path):
    with Recorder(tmp_path) as log:
        embed = {"model": "embed-1", "input": "Where is 7?"}
        log.append(RUN, ModelRequest(route="/v1/embeddings", body=json.dumps(embed).encode()), call="e")
        log.append(RUN, ModelResponse(status=200, body=b'{"object": "list"}'), call="e")
        record(log, conversation(1))
        recorded = exchanges(log.read(RUN)), log.redaction
    replay = session(
        recorded, ReplayMode.FORK, substitution=Substitution(model="m-2", params={"temperature": 1})
    )
    assert isinstance(replay.take("/v1/embeddings", json.dumps(embed).encode()), Serve)
    assert isinstance(send(replay, conversation(1)[0][0]), Live)


def logged(seq, event, call, *, at_s, mono_s=None):
    mono_s = at_s if mono_s is None else mono_s
    return LoggedEvent(
        seq=seq,
        at_ns=int(at_s * 1e9),
        mono_ns=int(mono_s * 1e9),
        tap=Tap.GATEWAY,
        call=call,
        digest="",
        event=event,
    )


def calls_of(*calls):
    """Return the exchanges of calls (body, began, ended, status, answer), written when they end, and by how much the clock is off."""
    events = []
    for place, (body, began_s, ended_s, status, said, off_s) in enumerate(calls):
        request = ModelRequest(route=ROUTE, body=json.dumps({"q": body}).encode())
        response = ModelResponse(status=status, body=said.encode())
        events.append(logged(2 * place + 1, request, str(place), at_s=began_s + off_s, mono_s=ended_s))
        events.append(logged(2 * place + 2, response, str(place), at_s=ended_s + off_s, mono_s=ended_s))
    return exchanges(RecordedRun(summary=None, events=tuple(events), damage=None))


def test_calls_stand_in_the_order_in_which_they_began_whatever_ended_first():
    calls = calls_of(
        ("same", 1.1, 2.0, 200, "second", 0), ("same", 1.0, 3.0, 200, "first", 0), ("z", 4.0, 5.0, 200, "", 0)
    )
    assert [(call.number, call.response.body) for call in calls] == [(1, b"first"), (2, b"second"), (3, b"")]


@pytest.mark.parametrize("off_s", [-3_600, 3_600, -2])
def test_a_clock_that_is_set_anew_does_not_turn_the_order_round(off_s):
    calls = calls_of(
        ("a", 1.0, 2.0, 200, "", 0), ("b", 3.0, 4.0, 200, "", off_s), ("c", 5.0, 6.0, 200, "", off_s)
    )
    assert [call.document["q"] for call in calls] == ["a", "b", "c"]


def test_what_a_client_read_before_it_went_away_is_given_again_unless_it_asked_once_more():
    left = calls_of(
        ("a", 1.0, 2.0, 0, "data: half", 0), ("b", 3.0, 4.0, 200, "", 0), ("c", 5.0, 6.0, 0, "", 0)
    )
    assert [(call.document["q"], call.response.status) for call in left] == [("a", 200), ("b", 200)]
    again = calls_of(("a", 1.0, 2.0, 0, "data: half", 0), ("a", 3.0, 4.0, 200, "whole", 0))
    assert [call.response.body for call in again] == [b"whole"]


@pytest.mark.parametrize(
    "body",
    [
        {"choices": 5},
        {"choices": [5, {"message": 5}, {"delta": {"content": 5, "tool_calls": [5, {"function": 5}]}}]},
        {"object": "response", "output": [5, {"content": 5}, {"content": [5]}]},
        {"type": "response.completed", "response": 5},
        {"type": "message", "content": [5, {"text": 5}]},
        {"type": "content_block_delta", "delta": 5},
        {"type": ["message"]},
    ],
)
def test_an_answer_of_any_shape_is_read(body):
    assert read_answer(200, json.dumps(body).encode()).text == ""


def test_an_answer_in_parts_and_a_tool_that_takes_plain_text_are_read():
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "yes"}]
    assert read_answer(200, json.dumps({"choices": [{"message": {"content": parts}}]}).encode()).text == "yes"
    items = [{"type": "custom_tool_call", "name": "sh", "input": "ls"}]
    said = {"type": "response.incomplete", "response": {"object": "response", "output": items}}
    assert read_answer(200, b"data: " + json.dumps(said).encode() + b"\n\n").tools == (("sh", "ls"),)


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [{"type": "mcp", "server_label": "crm", "server_url": "https://crm.example"}]},
        {"mcp_servers": [{"type": "url", "url": "https://crm.example"}]},
        {"tools": [{"type": "mcp"}], "seed": 2**60},
        {"input": [{"type": "additional_tools", "role": "developer", "tools": [{"type": "mcp"}]}]},
        {
            "input": [
                {"type": "tool_search_output", "tools": [{"type": "mcp", "connector_id": "connector_gmail"}]}
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_addition",
                            "tool": {"type": "tool_definition", "definition": {"type": "mcp_toolset"}},
                        }
                    ],
                }
            ]
        },
        {
            "tools": [
                {
                    "type": "shell",
                    "environment": {
                        "type": "container_auto",
                        "network_policy": {"type": "allowlist", "allowed_domains": ["crm.example"]},
                    },
                }
            ]
        },
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "network_policy": {}}}]},
        {"tools": [{"type": "telephone_20270101", "number": "112"}]},
    ],
)
def test_a_provider_that_would_call_others_by_itself_is_not_asked_live(given):
    status, _, body = asyncio.run(
        LiveModel("http://127.0.0.1:1/gw", None).ask(ROUTE, {}, json.dumps(given).encode())
    )
    assert (status, "replay_blocked" in body.decode()) == (422, True)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/responses/resp_1/cancel", b""),
        ("/v1/responses/resp_1", b""),
        ("/v1/files", b"{}"),
        ("/v1/batches", b"{}"),
        ("/v1/responses", b'{"model": "m", "input": "x", "conversation": "conv_1"}'),
        ("/v1/responses", b'{"model": "m", "conversation": {"id": "conv_1"}}'),
        ("/v1/responses", b'{"tools": [{"type": "m\\u0063p"}], "seed": 1, "seed": 2}'),
        ("/v1/responses", b'{"Conversation": "c", "seed": 1, "seed": 2}'),
        ("/v1/messages", b'{"thread": {"type": "continue", "previous_message_id": "msg_1"}}'),
        ("/v1/messages", b'{"container": "container_1"}'),
        ("/v1/messages", b'{"container": {"id": "container_1", "skills": []}}'),
        ("/v1/responses", b'{"prompt": {"id": "pmpt_1"}}'),
        ("/v1/responses", b'{"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}'),
        ("/v1/responses", b'{"tools": [{"type": "shell", "environment": {"type": "container_reference"}}]}'),
    ],
)
def test_what_stays_behind_at_a_provider_is_not_asked_live(route, body):
    status, _, told = asyncio.run(LiveModel("http://127.0.0.1:1/gw", None).ask(route, {}, body))
    assert (status, "replay_blocked" in told.decode()) == (422, True)


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "look_up", "input_schema": {"type": "object", "properties": {"server_url": {}}}},
        {"type": "custom", "name": "mcp"},
        {"type": "web_search_preview_2025_03_11"},
        {"type": "computer_use_preview"},
        {"type": "text_editor_20250728", "name": "edit"},
        {"type": "code_execution_20260521"},
        {"type": "code_interpreter", "container": {"type": "auto", "network_policy": {"type": "disabled"}}},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "shell"}]},
    ],
)
def test_a_tool_that_the_client_runs_or_that_only_looks_is_asked_live(tool):
    body = json.dumps({"model": "m", "tools": [tool], "container": {"skills": []}}).encode()
    assert asyncio.run(LiveModel("http://127.0.0.1:1/gw", None).ask(ROUTE, {}, body))[0] == 503


def test_a_body_that_hides_nothing_is_asked_although_it_can_be_read_in_several_ways():
    body = b'{"model": "m", "seed": 1152921504606846977}'
    assert asyncio.run(LiveModel("http://127.0.0.1:1/gw", None).ask(ROUTE, {}, body))[0] == 503


@pytest.mark.parametrize(
    ("called", "result"),
    [
        (
            {"type": "custom_tool_call", "name": "sql", "input": "select 1"},
            {"type": "custom_tool_call_output"},
        ),
        ({"type": "local_shell_call", "action": {"command": ["ls"]}}, {"type": "local_shell_call_output"}),
        ({"type": "function_call", "name": "look", "arguments": "{}"}, {"type": "function_call_output"}),
        (
            {"type": "function_call", "name": "look", "arguments": "[" * 9_000},
            {"type": "function_call_output"},
        ),
    ],
)
def test_a_tool_of_any_kind_is_not_made_in_a_fork(called, result, recorded):
    said = {"role": "user", "content": "Where is 7?"}
    items = [said, {**called, "call_id": "c9"}, {**result, "call_id": "c9", "output": "made inside"}]
    replay = session(recorded, ReplayMode.FORK)
    taken = replay.take("/v1/responses", json.dumps({"model": MODEL, "input": items}).encode())
    assert isinstance(taken, Live)
    assert "made inside" not in taken.body.decode()
    assert replay.counts.blocked == 1


def test_a_chat_tool_that_takes_plain_text_is_told_from_another():
    called = [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]
    said = {"choices": [{"message": {"tool_calls": called}}]}
    assert read_answer(200, json.dumps(said).encode()).tools == (("sql", "select 1"),)
    item = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    response = {"object": "response", "status": "completed", "output": [item]}
    assert read_answer(200, json.dumps(response).encode()).tools == (("shell_call", '{"commands":["ls"]}'),)


def test_a_further_call_takes_no_recorded_one_away(recorded):
    replay = session(recorded, ReplayMode.FORK)
    first, *rest = bodies()
    assert isinstance(send(replay, first), Serve)
    further = send(replay, {**first, "temperature": 1})
    assert isinstance(further, Live)
    assert further.exchange is None
    assert [type(send(replay, asked)) for asked in rest] == [Serve] * len(rest)
    assert (replay.counts.served, replay.counts.live) == (5, 1)


@pytest.mark.parametrize("mode", [ReplayMode.FORK, ReplayMode.COMPARE])
def test_half_a_letter_is_asked_live_as_it_was(mode, recorded):
    asked = {**bodies()[0], "messages": [{"role": "user", "content": "half \ud83d"}]}
    replay = session(recorded, mode, substitution=Substitution(model="m-2"))
    taken = send(replay, asked)
    if mode is ReplayMode.FORK:
        assert json.loads(taken.body) == {**asked, "model": "m-2"}
