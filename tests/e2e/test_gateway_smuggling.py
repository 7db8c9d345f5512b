# SPDX-License-Identifier: Apache-2.0
"""What is pinned, paid for and an agent's own is what its provider is asked for, whatever the spelling of the request."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.stubs.gateway_site import MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask, open_stream

from pilothouse.interfaces.http.joined_writes import HEAD_BYTES_MAX
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.gateway import chain
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Budget, Guard

CHAT, RESPONSES, COUNT = "/v1/chat/completions", "/v1/responses", "/v1/messages/count_tokens"
RUN = "5e" * 16
ASKED = [{"role": "user", "content": "where?"}]
PINNED = json.dumps({"model": MODEL, "messages": ASKED}).encode()


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def alone(stub):
    stub.seen.clear()
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL))) as gateway:
        yield gateway


def send(site, body, **headers):
    """POST bytes as they are and return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(
        "POST",
        f"/gw{CHAT}",
        body,
        {"authorization": f"Bearer {site.key}", "content-type": "application/json", **headers},
    )
    answer = connection.getresponse()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def refused(answer):
    status, body = answer
    return (status, body["error"]["code"]) == (422, "pin_unknown")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "dear-2026-01-01", "messages": [], "model": "%b"}',
        b'{"model": "%b", "messages": [], "model": "dear-2026-01-01"}',
        b'{"model" : "dear-2026-01-01", "messages": [], "model"\n: "%b"}',
        b'{"Model": "dear-2026-01-01", "messages": [], "model": "%b"}',
        b'{"mod\\u0065l": "dear-2026-01-01", "messages": [], "model": "%b"}',
        b'{"messages": [{"x": {"model": 1}}], "model": "dear-2026-01-01", "model": "%b"}',
        b'{"model": "%b", "messages": [], "max_tokens": 1, "max_tokens": 100000}',
        b'{"model": "%b", "messages": [], "BACKGROUND": true}',
        b'{"model": "%b", "messages": []}{"model": "dear-2026-01-01"}',
        b'\xef\xbb\xbf{"model": "%b", "messages": []}',
    ],
)
def test_a_body_that_readers_take_for_different_ones_is_sent_to_nobody(body, alone, stub):
    assert refused(send(alone, body % MODEL.encode()))
    assert not stub.seen


@pytest.mark.parametrize(
    "headers",
    [
        {"content_encoding": "gzip"},
        {"content_encoding": "deflate"},
        {"content_type": "application/json; charset=utf-7"},
        {"content_type": 'application/json;CHARSET = "utf-16"'},
    ],
)
def test_a_body_whose_header_says_another_spelling_is_sent_to_nobody(headers, alone, stub):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    assert refused(send(alone, PINNED, **given))
    assert not stub.seen


@pytest.mark.parametrize(
    "body",
    [
        {"model": MODEL, "messages": [{"role": "user", "content": 'Schön: {"model": 1, "model": 2} é'}]},
        {"model": MODEL, "messages": [], "tools": [{"parameters": {"model": {"stream": 1}, "Model": 2}}]},
        {"model": "model", "messages": [], "n": "n"},
    ],
)
def test_what_stands_inside_of_a_field_is_the_providers_business(body, stub):
    with GatewaySite(
        {"acme": stub.origin}, pinned(("acme", body["model"])), key_models=("model",)
    ) as gateway:
        gateway.keys[gateway.virtual_key.prefix] = replace(gateway.virtual_key, models=(body["model"],))
        assert (
            send(gateway, json.dumps(body).encode(), content_type="application/json; charset=UTF-8")[0] == 200
        )
        assert stub.seen[-1].json == body


def test_nobody_goes_on_from_a_response_that_another_agent_was_given(alone, stub):
    key, prefix, digest = make_key()
    alone.keys[prefix] = replace(alone.virtual_key, prefix=prefix, digest=digest, agent="other")
    own = ask(alone, RESPONSES, {"model": MODEL, "input": "my account is 7"})
    following = {
        "model": MODEL,
        "input": "what did I say?",
        "previous_response_id": json.loads(own.body)["id"],
    }
    asked = len(stub.seen)
    other = ask(alone, RESPONSES, following, {"authorization": f"Bearer {key}"})
    assert (other.status, other.error["code"], len(stub.seen)) == (404, "route_unknown", asked)
    assert ask(alone, RESPONSES, following).status == 200


def test_a_stand_in_that_is_asked_for_by_its_name_is_reserved_at_its_own_price(stub):
    prices = {MODEL: 10**6, SPARE: 10**9}
    policy = pinned(("acme", MODEL), ("acme", SPARE), budget=Budget(usd_per_day=Decimal("0.01")))
    cost = lambda _provider, model, tokens, _at: prices[model] * tokens.total if model in prices else None  # noqa: E731
    body = {"messages": [{"role": "user", "content": "x" * 4_000}], "max_tokens": 10}
    with GatewaySite({"acme": stub.origin}, policy, cost_of=cost) as gateway:
        assert ask(gateway, CHAT, {**body, "model": MODEL}).status == 200
        assert ask(gateway, CHAT, {**body, "model": SPARE}).error["code"] == "budget_exceeded"
        del prices[SPARE]
        assert ask(gateway, CHAT, {**body, "model": SPARE}).error["code"] == "price_unknown"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("operation", ["chat", "responses", "messages"])
def test_a_call_is_charged_by_the_tier_that_answered(operation, is_stream, stub):
    """Priority costs twice as much as listed: whatever the tier, the day was charged with the listed price."""
    name = "anthropic" if operation == "messages" else "acme"
    path = {"chat": CHAT, "responses": "/v1/responses", "messages": "/v1/messages"}[operation]
    prices = {MODEL: 1, f"{MODEL} (flex)": 2}
    policy = pinned((name, MODEL), budget=Budget(usd_per_day=Decimal(1)))
    cost = lambda _provider, model, tokens, _at: prices[model] * tokens.total if model in prices else None  # noqa: E731
    body = {
        "model": MODEL,
        "max_tokens": 5,
        "stream": is_stream,
        "input" if operation == "responses" else "messages": ASKED,
    }
    with GatewaySite({name: stub.origin}, policy, cost_of=cost) as gateway:
        for asked, answered in (
            (None, "default"),
            ("flex", "flex"),
            ("flex", None),
            ("flex", "default"),
            ("auto", "scale"),
        ):
            stub.plan(
                Plan(
                    body=answer_in(operation, answered, is_stream=is_stream),
                    headers=EVENTS if is_stream else {},
                )
            )
            assert ask(gateway, path, body | ({} if asked is None else {"service_tier": asked})).status == 200
        costs = [call.cost_pico for call in gateway.wait_for(5)]
        assert costs == [30, 60, 60, 30, None]
        refused = ask(gateway, path, {**body, "service_tier": "priority"})
        assert refused.status == 422
        assert "--tier priority" in json.dumps(refused.error)


EVENTS = {"content-type": "text/event-stream"}


def answer_in(operation, tier, *, is_stream):
    """Return an answer of 30 tokens as the provider of a protocol says its tier."""
    said = {} if tier is None else {"service_tier": tier}
    if operation == "messages":
        begun, done = (
            {"input_tokens": 10, "output_tokens": 1, **said},
            {"input_tokens": 10, "output_tokens": 20},
        )
        if not is_stream:
            return json.dumps({"model": MODEL, "content": [], "usage": {**done, **said}}).encode()
        events = [
            {"type": "message_start", "message": {"model": MODEL, "usage": begun}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": done},
        ]
    elif operation == "chat":
        usage = {"prompt_tokens": 10, "completion_tokens": 20}
        if not is_stream:
            return json.dumps({"model": MODEL, "choices": [], "usage": usage, **said}).encode()
        events = [
            {"model": MODEL, "choices": [{"delta": {"content": "Yes."}}], **said},
            {"model": MODEL, "choices": [], "usage": usage, **said},
        ]
    else:
        usage = {"input_tokens": 10, "output_tokens": 20}
        whole = {"id": "resp_1", "model": MODEL, "status": "completed", "usage": usage, **said}
        if not is_stream:
            return json.dumps(whole).encode()
        begun = {"id": "resp_1", "model": MODEL, "status": "in_progress", "service_tier": "auto"}
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_text.delta", "delta": "Yes."},
            {"type": "response.completed", "response": whole},
        ]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


@pytest.mark.parametrize(
    "maxima",
    [
        {"max_output_tokens": 1},
        {"max_completion_tokens": 30_000, "max_tokens": 1},
        {"max_tokens": 30_000},
        {},
    ],
)
def test_a_maximum_that_its_provider_does_not_read_reserves_no_less(maxima, stub):
    """A chat has no `max_output_tokens`, and of its two maxima one counts: what is reserved is the most that may be written."""
    policy = pinned(("acme", MODEL), budget=Budget(tokens_per_day=20_000))
    with GatewaySite({"acme": stub.origin}, policy) as gateway:
        stub.plan(Plan(body=b'{"usage": {"prompt_tokens": 1, "completion_tokens": 15000}}'))
        assert ask(gateway, CHAT, {"model": MODEL, "messages": ASKED, "max_tokens": 16_000}).status == 200
        assert ask(gateway, CHAT, {"model": MODEL, "messages": ASKED, **maxima}).status == 403
        assert ask(gateway, CHAT, {"model": MODEL, "messages": ASKED, "max_tokens": 1}).status == 200


def test_a_count_of_tokens_costs_nothing_and_is_no_call_of_its_run(stub):
    policy = pinned(("anthropic", MODEL), budget=Budget(calls_per_run=1, usd_per_day=Decimal(1)))
    with GatewaySite({"anthropic": stub.origin}, policy, cost_of=lambda *_: 10**12) as gateway:
        body = {"model": MODEL, "messages": ASKED, "max_tokens": 5}
        assert [ask(gateway, f"/r/{RUN}{COUNT}", body).status for _ in range(3)] == [200] * 3
        assert gateway.gateway.meter.take_unsaved() == {}
        assert ask(gateway, f"/r/{RUN}/v1/messages", body).status == 200


def test_looking_for_a_decision_is_no_call_and_needs_no_budget(stub, tmp_path):
    policy = pinned(
        ("acme", MODEL),
        guard=Guard(schema='{"type": "object"}', on_invalid="hold", repairs=0),
        budget=Budget(calls_per_run=1),
    )
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        guardian = Guardian(SqlHolds(ledger.database))
        with GatewaySite({"acme": stub.origin}, policy, guardian=guardian) as gateway:
            stub.plan(Plan(text="no JSON"))
            held = ask(gateway, f"/r/{RUN}{CHAT}", json.loads(PINNED)).headers["x-pilothouse-held"]
            asked = {"x-pilothouse-hold": held}
            looks = [ask(gateway, f"/r/{RUN}{CHAT}", json.loads(PINNED), asked) for _ in range(3)]
    assert [(one.status, one.headers["x-pilothouse-held"]) for one in looks] == [(200, held)] * 3


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX + 1, 4 << 20])
def test_a_head_without_end_is_refused_and_no_providers_fault(size, alone, stub):
    stream = open_stream(
        alone, CHAT, json.loads(PINNED), {"content-length": str(len(PINNED)), "x-long": "a" * 64}
    )
    stream.settimeout(20)
    assert stream.recv(12) == b"HTTP/1.1 200"
    stream.close()
    asked = len(stub.seen)
    with socket.create_connection(("127.0.0.1", alone.port), timeout=20) as client:
        try:
            client.sendall(b"POST /gw/v1/messages HTTP/1.1\r\nhost: x\r\nx-long: ")
            for _ in range(size // 4096 + 1):
                client.sendall(b"a" * 4096)
            client.sendall(b"\r\n\r\n")
            told = client.recv(100)
        except ConnectionError:
            told = b""
    assert not told or told.startswith(b"HTTP/1.1 400")
    assert len(stub.seen) == asked
    assert send(alone, PINNED)[0] == 200


def test_what_decides_about_a_call_does_not_come_behind_it(stub):
    """A trailer was sent on as a header after the headers had been looked at: so an advisor answered that no charter named."""
    advised = {**json.loads(PINNED), "tools": [{"type": "advisor_20260301", "name": "a", "model": "dear-2026-01-01"}]}  # fmt: skip
    body = json.dumps(advised).encode()
    with GatewaySite({"anthropic": stub.origin}, pinned(("anthropic", MODEL))) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
            head = f"POST /gw/v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: {gateway.key}\r\n"
            client.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
            time.sleep(0.1)  # the head is looked at before the rest is there
            client.sendall(
                b"%x\r\n%b\r\n0\r\nanthropic-beta: advisor-tool-2026-03-01\r\n\r\n" % (len(body), body)
            )
            assert client.recv(12) == b"HTTP/1.1 200"
        assert "anthropic-beta" not in stub.seen[-1].headers


@pytest.mark.parametrize(
    "part",
    [b"{}", b"[]", b"1", b'"a"', b'{"role": "user", "content": "hi"}', b'{"model": 1}', b'{ "n" : 1 }'],
)
def test_a_body_of_very_many_parts_holds_nobody_up(part, alone, stub):
    """It was read part by part, in the loop that answers everybody: 28 MB of them for up to three minutes."""
    asked = len(stub.seen)
    many = b",".join([part] * 400_000)
    began = time.monotonic()
    status, body = send(alone, b'{"model": "%b", "messages": [{"content": [%b]}]}' % (MODEL.encode(), many))
    assert (status, body["error"]["code"], len(stub.seen)) == (413, "body_too_large", asked)
    assert time.monotonic() - began < 5.0


def test_many_parts_within_a_text_are_one_text(alone):
    said = json.dumps([{"a": {}, "b": [1, 2]}] * 40_000)
    body = {"model": MODEL, "messages": [{"role": "user", "content": said}]}
    assert send(alone, json.dumps(body).encode())[0] == 200


def test_invented_models_are_forgotten_again(stub, monkeypatch):
    monkeypatch.setattr(chain, "BREAKERS_MAX", 3)
    with GatewaySite({"acme": stub.origin}) as gateway:
        for number in range(1, 9):
            model = f"m-2026-01-0{number}"
            assert ask(gateway, CHAT, {"model": model, "messages": ASKED}).status == 200
            assert ask(gateway, CHAT, {"model": MODEL, "messages": ASKED, "n": number}).status == 200
        kept = [model for _, model in gateway.gateway._chains._breakers]
    assert kept == ["m-2026-01-07", "m-2026-01-08", MODEL]


def test_a_run_that_is_no_trace_is_none(alone, stub):
    asked = len(stub.seen)
    for run in ("0" * 32, "A" * 32, "5e" * 15):
        assert ask(alone, f"/r/{run}{CHAT}", json.loads(PINNED)).error["code"] == "route_unknown"
    assert len(stub.seen) == asked
