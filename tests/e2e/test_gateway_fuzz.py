# SPDX-License-Identifier: Apache-2.0
"""Requests and answers of any shape: each call ends in an answer of its provider or an error of ours, and in one record."""

from __future__ import annotations

import gzip
import json
import random

from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.run_log import ModelResponse
from pilothouse.runtime.context.edits import EditPolicy
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.policy import AgentPolicy, Budget, Guard, Limits, Pin
from pilothouse.runtime.runlog.recorder import Recorder

CALLS = 100
PATHS = ("chat/completions", "responses", "embeddings", "messages", "messages/count_tokens")
KEYS = [
    "messages",
    "input",
    "role",
    "content",
    "tool_calls",
    "id",
    "function",
    "name",
    "arguments",
    "type",
    "tools",
    "system",
    "call_id",
    "output",
    "text",
    "choices",
    "delta",
    "message",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "status",
    "stop_reason",
    "error",
    "response",
    "tool_use_id",
    "tool_call_id",
    "previous_response_id",
    "finish_reason",
    "object",
]
LEAVES = [
    None,
    True,
    -1,
    1e300,
    2**60,
    "",
    "tool",
    "assistant",
    "tool_use",
    "response.completed",
    "x" * 600,
    "[",
    "c",
]


def value(chance, depth=0):
    drawn = chance.random()
    if depth > 5 or drawn < 0.3:
        return chance.choice(LEAVES)
    if drawn < 0.6:
        return [value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randint(0, 6))}


def document(chance):
    made = {chance.choice(KEYS): value(chance, 1) for _ in range(chance.randint(1, 6))}
    return {
        **made,
        chance.choice(("messages", "input")): [value(chance, 2) for _ in range(chance.randint(0, 6))],
    }


def plan(chance):
    """Return an answer of a provider: JSON, events or neither, perhaps compressed, perhaps cut."""
    body, headers = json.dumps(document(chance)).encode(), {"content-type": "application/json"}
    drawn = chance.random()
    if drawn < 0.4:
        headers["content-type"] = "text/event-stream"
        ends = (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n")
        body = b"".join(
            b"data: " + json.dumps(document(chance)).encode() + chance.choice(ends)
            for _ in range(chance.randint(0, 4))
        )
    elif drawn < 0.5:
        body = chance.choice((b"", b"<html>", b"\xff\xfe", b"null", body[:20]))
    if chance.random() < 0.2:
        headers["content-encoding"] = chance.choice(("gzip", "deflate", "br", "GZIP"))
        body = chance.choice((gzip.compress(body), body, gzip.compress(body)[:-5]))
    return Plan(body=body, headers=headers, status=chance.choice((200,) * 8 + (400, 429, 500)))


def test_every_call_ends_and_leaves_one_record(tmp_path):
    chance = random.Random(6)
    pins = tuple(Pin(provider=name, model=MODEL, window_tokens=3_000) for name in ("acme", "anthropic"))
    policy = AgentPolicy(
        agent=AGENT,
        charter="c",
        chain=pins,
        limits=Limits(total_s=3.0, stream_total_s=3.0, first_byte_s=0.5, idle_s=0.5, attempts=2),
        budget=Budget(calls_per_run=CALLS),
        guard=Guard(schema='{"type": "object"}', on_invalid="reject"),
        edits=EditPolicy(from_share=0.1, drop_duplicates=True, externalize_characters=400, keep_last=1),
    )
    told = set()
    with ProviderStub() as stub, Recorder(tmp_path) as log:
        providers = {"acme": stub.origin, "anthropic": stub.origin}
        with GatewaySite(providers, policy, log=log, guardian=Guardian(None), environment="pilot") as site:
            for _ in range(CALLS):
                stub._plans[:] = [plan(chance)] * 3
                asked = {**document(chance), "model": MODEL, "stream": chance.random() < 0.5}
                answer = ask(site, f"/v1/{chance.choice(PATHS)}", asked, {"accept-encoding": "gzip"})
                told.add(answer.status)
                assert len(answer.headers["x-pilothouse-call"]) == 16
            calls = site.wait_for(CALLS)
            assert (site.gateway.in_flight, site.gateway._upstream._pool._used) == (0, 0)
        log.flush()
        events = [log.read(run).events for run in {call.run for call in calls}]
    assert len(calls) == CALLS
    assert sum(isinstance(one.event, ModelResponse) for each in events for one in each) == CALLS
    assert {200, 400, 502} <= told <= {200, 400, 429, 500, 502, 503}
