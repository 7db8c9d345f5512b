# SPDX-License-Identifier: Apache-2.0
"""What a provider called by itself is seen: as a tool with its server, once, whichever way the answer came."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pilothouse.ports.gateway import VirtualKey, WireProtocol
from pilothouse.ports.intake import IntakeAnswer, Receipt
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.policy import AgentPolicy
from pilothouse.runtime.gateway.provider_calls import CALLS_MAX, ProviderCall, calls_by_provider
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.gateway.spans import SpanSink

RESPONSES = find_place("POST", "/gw/v1/responses", says_anthropic=False).route
CHAT = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route
ASKED = json.dumps(
    {
        "tools": [
            {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example:8443/mcp"},
            {"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail"},
            {"type": "mcp", "server_label": "odd", "server_url": "https://[odd"},
        ]
    }
).encode()
DELETE = {"type": "mcp_call", "id": "mcp_1", "name": "delete", "server_label": "crm", "error": None}
SEND = {"type": "mcp_call", "id": "mcp_2", "name": "send", "server_label": "mail", "status": "failed"}
ODD = {"type": "mcp_call", "id": "mcp_3", "name": "odd", "server_label": "odd"}
SEEN = [
    ProviderCall(tool="delete", server="crm.example"),
    ProviderCall(tool="send", server="connector_gmail", has_failed=True),
    ProviderCall(tool="odd", server=None),
]


def events(*given):
    return b"".join(b"event: e\ndata: %b\n\n" % json.dumps(one).encode() for one in given)


def test_a_whole_answer_says_what_its_provider_called():
    answer = {"output": [DELETE, {"type": "message", "content": []}, SEND, ODD, {"type": "mcp_call"}, "x"]}
    assert calls_by_provider(ASKED, json.dumps(answer).encode()) == SEEN


def test_a_stream_says_each_call_once():
    body = events(
        {"type": "response.output_item.added", "item": {**DELETE, "id": "mcp_9"}},
        *({"type": "response.output_item.done", "item": one} for one in (DELETE, SEND, ODD)),
        {"type": "response.completed", "response": {"output": [DELETE, SEND, ODD]}},
    )
    assert calls_by_provider(ASKED, body) == SEEN


def test_an_answer_to_messages_says_it_in_blocks():
    asked = {"mcp_servers": [{"type": "url", "name": "crm", "url": "https://crm.example/mcp"}]}
    block = {"type": "mcp_tool_use", "id": "m1", "name": "delete", "server_name": "crm", "input": {}}
    for body in (
        json.dumps({"content": [{"type": "text", "text": "..."}, block]}).encode(),
        events({"type": "content_block_start", "index": 1, "content_block": block}),
    ):
        assert calls_by_provider(json.dumps(asked).encode(), body) == SEEN[:1]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"output": [{"type": "mcp_call"',
        b'data: {"item": {"type": "mcp_call"\n\n',
        b'{"output": "mcp_call"}',
        b'[{"type": "mcp_call", "name": "x"}]',
        json.dumps(
            {"output": [{"type": "message", "content": '{"type": "mcp_call", "name": "x"}'}]}
        ).encode(),
    ],
)
def test_what_is_none_is_none(answer):
    assert calls_by_provider(b"not json", answer) == []


def test_calls_without_end_have_one():
    many = {"output": [{"type": "mcp_call", "name": f"t{number}"} for number in range(CALLS_MAX + 9)]}
    assert len(calls_by_provider(b"{}", json.dumps(many).encode())) == CALLS_MAX


class Kept:
    """An intake that takes everything."""

    def __init__(self):
        self.bodies = []

    def accept(self, *_args, body, **_more):
        self.bodies.append(body)
        return Receipt(answer=IntakeAnswer.ACCEPTED)


def over(route, response):
    key = VirtualKey(
        prefix="p", digest="d", agent="a", created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t"
    )
    return Call(
        run="a" * 32,
        route=route,
        key=key,
        policy=AgentPolicy(agent="a"),
        protocol=WireProtocol.OPENAI,
        identity="path",
        request=ASKED,
        attempts=[Attempt("acme", "m", 1, status=200)],
        ending=Ending.DONE,
        response=response,
    )


def test_it_leaves_spans_that_inventory_and_boundary_read():
    kept = Kept()
    sink = SpanSink(kept)
    body = json.dumps({"output": [DELETE, SEND]}).encode()
    sink.keep(over(RESPONSES, body))
    sink.keep(over(CHAT, body))
    sink.flush()
    spans = json.loads(kept.bodies[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    made = [one for one in spans if one["name"].startswith("execute_tool")]
    said = [{each["key"]: each["value"].get("stringValue") for each in one["attributes"]} for one in made]
    assert [(one["gen_ai.tool.name"], one["server.address"]) for one in said] == [
        ("delete", "crm.example"),
        ("send", "connector_gmail"),
    ]
    assert [one["status"].get("code") for one in made] == [None, 2]
    assert len({one["spanId"] for one in spans}) == len(spans)
