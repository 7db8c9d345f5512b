# SPDX-License-Identifier: Apache-2.0
"""Answers in shapes that few ask for: official SDKs get the same objects direct, through the gateway, and from its record."""

from __future__ import annotations

import json

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import MODEL, GatewaySite
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.interfaces.http.replay import ReplayServer
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import ReplaySession
from pilothouse.runtime.runlog.recorder import open_recorder

anthropic = LateModule("anthropic")
openai = LateModule("openai")

RUN = "5d" * 16
ASKED = [{"role": "user", "content": "Where is my order?"}]


def _streamed(events, *, named=True, is_done=False):
    kinds = [f"event: {event['type']}\n" if named else "" for event in events]
    body = "".join(f"{kind}data: {json.dumps(event)}\n\n" for kind, event in zip(kinds, events, strict=True))
    headers = {"content-type": "text/event-stream", "x-request-id": "req_1", "request-id": "req_1"}
    return Plan(body=(body + ("data: [DONE]\n\n" if is_done else "")).encode(), headers=headers)


def _chunks(*choices, is_done=True):
    """A chat's chunks: index, delta and reason of each."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    word = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    events = [
        base
        | {
            "choices": [
                {
                    "index": index,
                    "delta": delta,
                    "finish_reason": reason,
                    "logprobs": {"content": [word], "refusal": None},
                }
            ]
        }
        for index, delta, reason in choices
    ]
    return _streamed(events, named=False, is_done=is_done)


def _called(index, **function):
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}


def _response(*output):
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }
    fixed = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "created_at": 1}
    return fixed | {
        "id": "resp_1",
        "object": "response",
        "model": MODEL,
        "status": "completed",
        "output": list(output),
        "usage": usage,
    }


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA=="}
SEARCHED = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "order"},
}
CALLS = [
    {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "look", "arguments": "{}"}
    for n in (1, 2)
]


def _response_events():
    items = [THOUGHT, SEARCHED, *CALLS]
    began = _response() | {"status": "in_progress", "usage": None}
    events = [{"type": "response.created", "response": began}]
    for place, item in enumerate(items):
        at = {"output_index": place, "item_id": item["id"]}
        events.append({"type": "response.output_item.added", "output_index": place, "item": item})
        if item in CALLS:
            events.append({"type": "response.function_call_arguments.delta", **at, "delta": "{}"})
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    events.append({"type": "response.completed", "response": _response(*items)})
    return _streamed([event | {"sequence_number": number} for number, event in enumerate(events)])


def _message(*content):
    usage = {"input_tokens": 10, "output_tokens": 6, "cache_read_input_tokens": 4}
    usage |= {"cache_creation_input_tokens": 20, "server_tool_use": {"web_search_requests": 1}}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": usage,
    }


LOOK = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"order": "7"}}


def _message_events():
    blocks = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "EqQB"}],
        ),
        ({"type": "redacted_thinking", "data": "zzz"}, []),
        ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}, []),
        ({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}, []),
        ({**LOOK, "input": {}}, [{"type": "input_json_delta", "partial_json": '{"order": "7"}'}]),
    ]
    events = [{"type": "message_start", "message": _message() | {"stop_reason": None}}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 60}},
        {"type": "message_stop"},
    ]
    return _streamed(events)


def _whole(document):
    return Plan(body=json.dumps(document).encode(), headers={"x-request-id": "req_1", "request-id": "req_1"})


def _chat(client):
    events = client.chat.completions.create(model=MODEL, messages=ASKED, n=2, logprobs=True, stream=True)
    return [event.to_dict() for event in events]


def _responses(client):
    with client.responses.stream(model=MODEL, input="hi", include=["reasoning.encrypted_content"]) as stream:
        return [event.type for event in stream], stream.get_final_response().to_dict()


def _continued(client):
    first = client.responses.create(model=MODEL, input="hi")
    result = {"type": "function_call_output", "call_id": "call_1", "output": "in Lyon"}
    second = client.responses.create(model=MODEL, input=[result], previous_response_id=first.id)
    return first.to_dict(), second.to_dict(), second._request_id


def _thoughts(client):
    with client.messages.stream(model=MODEL, max_tokens=64, messages=ASKED) as stream:
        return [event.to_dict() for event in stream], stream.get_final_message().to_dict(), stream.request_id


def _tools_run(client):
    @anthropic.beta_tool
    def look(order: str) -> str:
        """Return where an order is."""
        return f"{order} is in Lyon"

    runner = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=64, messages=ASKED, tools=[look], betas=["some-beta-2026-01-01"]
    )
    return [message.to_dict() for message in runner]


TEXT = {"type": "text", "text": "In Lyon."}
SHAPES = {
    "two choices with logprobs": (
        _chat,
        [_chunks((0, {"content": "a"}, None), (1, {"content": "b"}, "stop"), (0, {}, "length"))],
    ),
    "parallel tools": (
        _chat,
        [
            _chunks(
                (0, _called(0, name="look", arguments=""), None),
                (0, _called(1, name="look", arguments="{}"), None),
                (0, _called(0, arguments="{}"), "tool_calls"),
            )
        ],
    ),
    "refused, filtered, no mark at the end": (
        _chat,
        [_chunks((0, {"refusal": "I can't."}, None), (0, {}, "content_filter"), is_done=False)],
    ),
    "responses with sealed thoughts, a search and parallel tools": (_responses, [_response_events()]),
    "a response that goes on": (
        _continued,
        [_whole(_response(THOUGHT, *CALLS)), _whole(_response() | {"previous_response_id": "resp_1"})],
    ),
    "thoughts with signatures and tools of the server": (_thoughts, [_message_events()]),
    "a tool runner": (
        _tools_run,
        [_whole(_message(LOOK)), _whole(_message(TEXT) | {"stop_reason": "end_turn"})],
    ),
}


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", SHAPES)
def test_an_sdk_gets_the_same_direct_through_the_gateway_and_from_its_record(shape, stub, tmp_path):
    ask, plans = SHAPES[shape]
    is_openai = ask in {_chat, _responses, _continued}

    def asked(origin, key):
        kind, path = (openai.OpenAI, "/v1") if is_openai else (anthropic.Anthropic, "")
        with kind(base_url=f"{origin}{path}", api_key=key, max_retries=0) as client:
            assert MODEL in [model.id for model in client.models.list()]
            return ask(client)

    stub.plan(Plan(), *plans)
    direct = asked(stub.origin, "x")
    with open_recorder(tmp_path / "runlog") as log:
        with GatewaySite({"acme" if is_openai else "anthropic": stub.origin}, log=log) as site:
            stub.plan(Plan(), *plans)
            assert asked(f"{site.origin}/r/{RUN}", site.key) == direct
            calls = site.wait_for(1 + len(plans))[1:]
        log.flush()
        session = ReplaySession(exchanges(log.read(RUN)), ReplayMode.STRICT, log.redaction)
        with ReplayServer({RUN: session}) as server:
            assert asked(f"{server.origin}/gw/r/{RUN}", "x") == direct
        assert session.first_divergence() is None
    assert {call.served_model for call in calls} == {MODEL}
    assert all((call.usage is None) == (ask is _chat) for call in calls)


def _batch(client):
    asked = [{"custom_id": "a", "params": {"model": MODEL, "max_tokens": 64, "messages": ASKED}}]
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.messages.batches.create(requests=asked)
    return str(refused.value), client.messages.create(model=MODEL, max_tokens=64, messages=ASKED).to_dict()


def _moderation(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.moderations.create(input="Where is my order?")
    return str(refused.value), client.responses.create(model=MODEL, input="hi").to_dict()


@pytest.mark.parametrize("ask", [_batch, _moderation])
def test_what_the_gateway_has_no_route_for_has_none_in_a_replay(ask, stub, tmp_path):
    """An agent that goes on without it was said to have made a further call."""
    is_openai = ask is _moderation
    kind, path = (openai.OpenAI, "/v1") if is_openai else (anthropic.Anthropic, "")
    stub.plan(_whole(_response() if is_openai else _message(TEXT)))

    def asked(origin, key):
        with kind(base_url=f"{origin}/r/{RUN}{path}", api_key=key, max_retries=0) as client:
            return ask(client)

    with open_recorder(tmp_path / "runlog") as log:
        with GatewaySite({"acme" if is_openai else "anthropic": stub.origin}, log=log) as site:
            recorded = asked(site.origin, site.key)
            site.wait_for(1)
        log.flush()
        session = ReplaySession(exchanges(log.read(RUN)), ReplayMode.STRICT, log.redaction)
        with ReplayServer({RUN: session}) as server:
            assert asked(f"{server.origin}/gw", "x") == recorded
    assert session.first_divergence() is None
