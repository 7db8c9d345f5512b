# SPDX-License-Identifier: Apache-2.0
"""Clients and providers of odd shapes and bad manners: passed on as they are, counted as they cost, trusted with nothing."""

from __future__ import annotations

import gzip
import json
import socket
import time
from dataclasses import replace

import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SECRET, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask, open_stream

from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Limits, Pin

QUICK = Limits(total_s=3.0, stream_total_s=3.0, first_byte_s=0.4, idle_s=0.4, client_s=0.6)
CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def alone(stub):
    stub.seen.clear()
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL), limits=QUICK)) as gateway:
        yield gateway
    stub._plans.clear()


def one(site):
    time.sleep(0.05)
    (call,) = site.wait_for(1)
    return call


def _until(true, timeout_s):
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_a_run_stays_one_although_its_answers_are_compressed(alone, stub):
    tools = [{"id": "call_z", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    asked = {"role": "assistant", "content": None, "tool_calls": tools}
    answer = {"id": "c", "model": MODEL, "choices": [{"message": asked, "finish_reason": "tool_calls"}]}
    packed = gzip.compress(json.dumps(answer).encode())
    stub.plan(Plan(body=packed, headers={"content-encoding": "gzip"}))
    first = ask(alone, CHAT, BODY, {"accept-encoding": "gzip"})
    alone.wait_for(1)
    result = {"role": "tool", "tool_call_id": "call_z", "content": "7"}
    second = ask(alone, CHAT, {**BODY, "messages": [*BODY["messages"], asked, result]})
    assert second.headers["x-pilothouse-run"] == first.headers["x-pilothouse-run"]


def test_a_long_request_of_another_shape_is_the_providers_to_judge(alone, stub):
    alone.policies = {
        AGENT: replace(alone.policies[AGENT], chain=(Pin(provider="acme", model=MODEL, window_tokens=400),))
    }
    parts = [{"type": ["text"], "text": "x" * 200}]
    odd = {**BODY, "messages": [{"role": ["user"], "type": [], "content": parts}]}
    assert ask(alone, CHAT, odd).status == 200
    assert stub.seen[-1].json == odd
    one(alone)


@pytest.mark.parametrize("calls", [5, "x", {"id": "c"}, [5], [None]])
def test_a_request_of_another_shape_is_the_providers_to_judge(calls, alone, stub):
    odd = {**BODY, "messages": [{"role": "assistant", "tool_calls": calls}]}
    assert ask(alone, CHAT, odd).status == 200
    assert stub.seen[-1].json == odd
    one(alone)


def test_an_event_of_another_shape_passes(alone, stub):
    odd = b'data: {"type": [1], "choices": 7, "message": 3}\n\n'
    stub.plan(Plan(body=odd, headers={"content-type": "text/event-stream"}))
    answer = ask(alone, CHAT, {**BODY, "stream": True})
    assert (answer.status, answer.body) == (200, odd)
    one(alone)


def test_an_answer_of_a_message_in_events_is_counted_as_the_provider_counts_it(stub):
    policy = pinned(("anthropic", MODEL), limits=QUICK)
    with GatewaySite({"anthropic": stub.origin}, policy) as gateway:
        asked = {"model": MODEL, "max_tokens": 99, "stream": True, "messages": BODY["messages"]}
        assert ask(gateway, "/v1/messages", asked, {"anthropic-version": "2023-06-01"}).status == 200
        assert one(gateway).usage == TokenCount(input=10, cache_read=4, output=6)


def test_a_message_that_breaks_off_costs_what_came_and_what_was_read(stub):
    stub.plan(Plan(ending="reset", after=90, text="many words " * 100))
    policy = pinned(("anthropic", MODEL), limits=QUICK)
    asked = {"model": MODEL, "max_tokens": 99, "stream": True, "messages": BODY["messages"]}
    with GatewaySite({"anthropic": stub.origin}, policy) as gateway:
        ask(gateway, "/v1/messages", asked, {"anthropic-version": "2023-06-01"})
        call = one(gateway)
        spent = gateway.gateway.meter.take_unsaved()
    assert (call.ending, call.usage, call.begun) == (
        Ending.CUT,
        None,
        TokenCount(input=10, cache_read=4, output=1),
    )
    assert [one.estimated for one in spent.values()] == [1]
    assert all(14 + 80 < one.tokens < 14 + 160 for one in spent.values())


@pytest.mark.parametrize("status", [401, 500])
def test_a_provider_that_says_the_key_that_it_refuses_says_it_to_nobody(status, alone, stub):
    told = json.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}"}}).encode()
    stub.plan(*[Plan(status=status, body=told)] * 4)
    answer = ask(alone, CHAT, BODY)
    assert (answer.status, answer.error["message"]) == (status, "Incorrect API key provided: [credential]")
    assert SECRET.encode() not in answer.raw + one(alone).response


def test_a_client_in_a_hurry_closes_no_provider_for_others(alone, stub):
    for _ in range(12):
        stub.plan(Plan(pause_s=0.5))
        assert ask(alone, CHAT, BODY, {"x-pilothouse-deadline-ms": "40"}).status == 504
    breaker = alone.gateway._chains._breakers["acme", MODEL]
    assert breaker.state(time.monotonic()).value == "closed"


def test_what_gave_no_answer_does_not_split_the_run_that_goes_on(alone, stub):
    stub.plan(Plan(status=400))
    assert ask(alone, CHAT, BODY).status == 400
    alone.wait_for(1)
    first = ask(alone, CHAT, BODY)
    alone.wait_for(2)
    going_on = [*BODY["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    second = ask(alone, CHAT, {**BODY, "messages": going_on})
    assert second.headers["x-pilothouse-run"] == first.headers["x-pilothouse-run"]


def test_a_count_of_tokens_does_not_split_the_run_that_it_is_made_for(stub):
    with GatewaySite({"anthropic": stub.origin}, pinned(("anthropic", MODEL), limits=QUICK)) as gateway:
        speaks = {"anthropic-version": "2023-06-01"}
        ask(gateway, "/v1/messages/count_tokens", BODY, speaks)
        gateway.wait_for(1)
        first = ask(gateway, "/v1/messages", {**BODY, "max_tokens": 9}, speaks)
        gateway.wait_for(2)
        going_on = [
            *BODY["messages"],
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": "y"},
        ]
        second = ask(gateway, "/v1/messages", {**BODY, "max_tokens": 9, "messages": going_on}, speaks)
    assert second.headers["x-pilothouse-run"] == first.headers["x-pilothouse-run"]


def test_what_another_gateway_says_of_its_own_call_is_not_passed_on(alone, stub):
    stub.plan(Plan(headers={"x-pilothouse-run": "other", "x-pilothouse-held": "other"}))
    answer = ask(alone, CHAT, BODY)
    assert (len(answer.headers["x-pilothouse-run"]), "x-pilothouse-held" in answer.headers) == (32, False)


@pytest.mark.parametrize("model", ["m\r\nx-evil: 1\r\n\r\nhi", "m" * 70_000, "m\u00e9\u2028"])
def test_a_model_that_calls_itself_by_headers_is_named_and_writes_none(model, stub):
    stub.plan(Plan(model=model))
    policy = pinned(("acme", MODEL), limits=QUICK)
    with GatewaySite({"acme": stub.origin}, policy, environment="pilot") as gateway:
        answer = ask(gateway, CHAT, BODY)
        assert one(gateway).served_model == model
    assert (answer.status, "x-evil" in answer.headers, json.loads(answer.body)["model"]) == (
        200,
        False,
        model,
    )


@pytest.mark.parametrize("is_stream", [False, True])
def test_requests_in_a_row_on_one_connection_are_answered_in_their_order(is_stream, alone, stub):
    stub.plan(*(Plan(text=f"answer number {word}") for word in ("one", "two", "three")))
    data = json.dumps({**BODY, "stream": is_stream}).encode()
    head = f"POST /gw{CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {alone.key}\r\ncontent-length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", alone.port)) as client:
        client.sendall((head.encode() + data) * 3)
        client.settimeout(10)
        said = b""
        while said.count(b"HTTP/1.1 200") < 3 or not said.endswith((b"0\r\n\r\n", b"}}}", b"]}", b"}}")):
            said += client.recv(65_536)
    calls = alone.wait_for(3)
    assert len({call.run for call in calls}) == len(calls) == 3
    places = [said.index(word) for word in (b'one"', b'two"', b'three"')]
    assert places == sorted(places)
    assert [call.ending for call in calls] == [Ending.DONE] * 3


def test_a_call_that_is_called_off_while_a_provider_works_on_it_costs_what_was_read(stub):
    """Or an agent with a short time-out of its own would spend without end."""
    long = {**BODY, "messages": [{"role": "user", "content": "word " * 400}]}
    priced = []

    def cost_of(provider, model, tokens, _at_ns):
        priced.append((provider, model))
        return tokens.total

    with GatewaySite(
        {"acme": stub.origin}, pinned(("acme", MODEL), limits=QUICK), cost_of=cost_of
    ) as gateway:
        stub.plan(Plan(pause_s=2.0), Plan(pause_s=2.0))
        client = open_stream(gateway, CHAT, long)
        assert _until(lambda: len(stub.seen) and not stub.seen[-1].done, 5)
        time.sleep(0.1)
        client.close()
        assert ask(gateway, CHAT, long, {"x-pilothouse-deadline-ms": "200"}).status == 504
        calls = gateway.wait_for(2)
        spent = next(iter(gateway.gateway.meter.take_unsaved().values()))
    assert {call.stopped for call in calls} == {"client_gone", "deadline"}
    assert (spent.calls, spent.estimated) == (2, 2)
    assert 2 * 500 < spent.tokens == spent.usd_pico < 2 * 560
    assert set(priced) == {("acme", MODEL)}


def test_a_replay_of_a_run_is_neither_part_of_it_nor_in_its_way(alone, stub):
    from_replay = add_key(alone, environment="replay")
    going_on = [*BODY["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    longer = {**BODY, "messages": going_on}
    run = ask(alone, CHAT, BODY).headers["x-pilothouse-run"]
    alone.wait_for(1)
    replayed = [ask(alone, CHAT, body, from_replay).headers["x-pilothouse-run"] for body in (BODY, longer)]
    alone.wait_for(3)
    assert len({run, *replayed}) == 3
    assert ask(alone, CHAT, longer).headers["x-pilothouse-run"] == run


def add_key(site, **fields):
    """Let another key of the agent be used, and return the header that shows it."""
    key, prefix, digest = make_key()
    site.keys[prefix] = replace(site.virtual_key, prefix=prefix, digest=digest, **fields)
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("path", "more", "provider"),
    [
        (CHAT, {}, "acme"),
        ("/v1/responses", {"input": "hi"}, "acme"),
        ("/v1/messages", {"max_tokens": 9}, "anthropic"),
    ],
)
def test_an_answer_that_its_provider_ends_with_an_error_is_none(path, more, provider, stub):
    """The client has had its beginning and hears the error; record, span and breaker must not call it an answer."""
    stub._plans.clear()
    with GatewaySite({provider: stub.origin}, pinned((provider, MODEL), limits=QUICK)) as gateway:
        stub.plan(Plan(ending="error_event", after=5))
        answer = ask(gateway, path, {**BODY, **more, "stream": True})
        call = one(gateway)
        breaker = gateway.gateway._chains._breakers[provider, MODEL]
    assert answer.status == 200
    assert b"made to fail" in answer.body.rstrip().splitlines()[-1]
    assert (call.ending, call.attempts[-1].failure, call.usage) == (Ending.CUT, "error_event", None)
    assert breaker._bad == 1
