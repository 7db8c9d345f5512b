# SPDX-License-Identifier: Apache-2.0
"""What the official SDKs would do with a provider's answer behind the gateway's back: go elsewhere, ask again, take another model's word."""

from __future__ import annotations

import gzip
import json

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import MODEL, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.runtime.gateway.policy import Budget, Limits

anthropic = LateModule("anthropic")
openai = LateModule("openai")

ASKED = [{"role": "user", "content": "Where is my order?"}]


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def site(stub):
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL))) as gateway:
        yield gateway
    stub._plans.clear()


def _chat(origin, key, **options):
    with openai.OpenAI(base_url=f"{origin}/v1", api_key=key, **options) as client:
        return client.chat.completions.create(model=MODEL, messages=ASKED)


def _message(origin, key, **options):
    with anthropic.Anthropic(base_url=origin, api_key=key, **options) as client:
        return client.messages.create(model=MODEL, max_tokens=64, messages=ASKED)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    ("ask", "provider", "path"),
    [(_chat, "acme", "/v1/chat/completions"), (_message, "anthropic", "/v1/messages")],
)
def test_no_client_is_sent_to_a_place_where_nobody_pins_counts_or_records_it(
    ask, provider, path, status, stub
):
    with (
        ProviderStub() as elsewhere,
        GatewaySite({provider: stub.origin}, pinned((provider, MODEL))) as site,
    ):
        stub.plan(Plan(status=status, headers={"location": f"{elsewhere.origin}{path}?key=s3cret"}))
        with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)) as caught:
            ask(site.origin, site.key)
        assert elsewhere.seen == []
    assert f"status {status} to {elsewhere.origin}{path})" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    (call,) = site.kept.calls
    assert [one.failure for one in call.attempts] == ["redirect"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_provider_that_wants_to_be_asked_no_more_is_asked_as_often_as_without_a_gateway(status, stub, site):
    asked = []
    for origin, key in ((stub.origin, "x"), (site.origin, site.key)):
        stub.seen.clear()
        stub.plan(*[Plan(status=status, headers={"x-should-retry": "false"})] * 4)
        with pytest.raises(openai.APIStatusError) as caught:
            _chat(origin, key, max_retries=2)
        stub._plans.clear()
        asked.append((len(stub.seen), type(caught.value), caught.value.body))
    assert asked[0] == asked[1]
    assert asked[0][0] == 1


def _events(model, instructions):
    """Return what a provider streams: it says the instructions once more in the first events and in the last."""
    said = {"id": "resp_1", "object": "response", "model": model, "instructions": instructions, "output": []}
    usage = {"input_tokens": 10, "output_tokens": 6, "total_tokens": 16}
    events = [
        ("created", {"response": {**said, "status": "in_progress"}}),
        ("in_progress", {"response": {**said, "status": "in_progress"}}),
        ("output_text.delta", {"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "hi"}),
        ("completed", {"response": {**said, "status": "completed", "usage": usage}}),
    ]
    return "".join(
        f"event: response.{kind}\ndata: {json.dumps({'type': f'response.{kind}', **fields})}\n\n"
        for kind, fields in events
    ).encode()


@pytest.mark.parametrize(
    ("kind", "instructions"),
    [
        ("text/event-stream", "\u00e9" * 500_000),
        ("Text/Event-Stream", "short"),
        ("text/plain", "short"),
        ("application/json", "short"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_model_of_a_stream_is_seen_however_it_begins_and_whatever_it_is_called(
    kind, instructions, packed, stub, site
):
    headers = {"content-type": kind} | ({"content-encoding": "gzip"} if packed else {})

    def ask(model):
        body = _events(model, instructions)
        stub.plan(Plan(body=gzip.compress(body) if packed else body, headers=headers))
        with openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client:
            events = client.responses.create(model=MODEL, input="hi", instructions=instructions, stream=True)
            return [event.type for event in events]

    assert ask(MODEL)[-1] == "response.completed"
    (call,) = site.wait_for(1)
    assert (call.served_model, call.usage.total, call.answer_id) == (MODEL, 16, "resp_1")
    with pytest.raises(openai.InternalServerError, match="cheap-1 answered"):
        ask("cheap-1")


def test_a_model_that_thinks_before_it_speaks_is_not_asked_and_paid_again(stub):
    policy = pinned(("anthropic", MODEL), limits=Limits(stream_total_s=60.0, first_byte_s=2.0, idle_s=2.0))
    with GatewaySite({"anthropic": stub.origin}, policy) as site:
        stub.seen.clear()
        stub.plan(Plan(text="Lyon.", pings=6, between_s=0.5))
        with (
            anthropic.Anthropic(base_url=site.origin, api_key=site.key, max_retries=0) as client,
            client.messages.stream(model=MODEL, max_tokens=64, messages=ASKED) as stream,
        ):
            assert stream.get_final_text() == "Lyon."
        (call,) = site.wait_for(1)
    assert [one.failure for one in call.attempts] == [""]
    assert call.first_content_s > 2.0


@pytest.mark.parametrize("absurd", [-5, 1 << 40, 1 << 31])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_count_that_cannot_be_is_counted_and_breaks_no_budget(absurd, is_stream, stub):
    usage = {"prompt_tokens": 10, "completion_tokens": absurd, "total_tokens": 16}
    said = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
    if is_stream:
        first = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}
        early = {"choices": [first], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}
        events = [{**said, **early}, {**said, "choices": [], "usage": usage}]
        body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    else:
        body = json.dumps({**said, "object": "chat.completion", "choices": [], "usage": usage}).encode()
    kind = "text/event-stream" if is_stream else "application/json"
    policy = pinned(("acme", MODEL), budget=Budget(tokens_per_day=20_000))
    with (
        GatewaySite({"acme": stub.origin}, policy, cost_of=lambda *asked: asked[2].total) as site,
        openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client,
    ):
        stub.plan(Plan(body=body, headers={"content-type": kind}))
        got = client.chat.completions.create(model=MODEL, messages=ASKED, stream=is_stream)
        last = list(got)[-1] if is_stream else got
        assert last.usage.completion_tokens == absurd, "its client reads what the provider said"
        site.wait_for(1)
        client.chat.completions.create(model=MODEL, messages=ASKED)
        first, second = site.wait_for(2)
        (spent,) = site.gateway.meter.take_unsaved().values()
    assert (first.usage, first.is_absurd, second.usage.total) == (None, True, 16)
    assert site.gateway.counters["usage_absurd"] == 1
    assert (spent.calls, spent.estimated) == (2, 1)
    assert 16 < spent.tokens < 200


def test_a_stream_that_is_gone_on_with_has_the_time_of_a_stream(stub):
    policy = pinned(("acme", MODEL), limits=Limits(total_s=1.0, stream_total_s=60.0))
    with (
        GatewaySite({"acme": stub.origin}, policy) as site,
        openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client,
    ):
        stub.plan(Plan(between_s=0.2))
        got = [event.type for event in client.responses.retrieve("resp_1", stream=True, starting_after=0)]
    assert got[-1] == "response.completed"


@pytest.mark.parametrize(
    ("behind", "used"),
    [
        ([], 16),
        ([{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}], 16),
        ([{"choices": [], "x_groq": {"usage": {"queue_time": 0.1}}}], 16),
        ([{"choices": [], "metadata": {"usage": "low"}}] * 3, 16),
        ([{"choices": [], "usage": None}] * 8, None),
    ],
)
def test_a_usage_counts_although_its_stream_names_another_behind_it(behind, used, stub, site):
    first = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}
    usage = {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
    events = [{"choices": [first], "usage": None}, {"choices": [], "usage": usage}, *behind]
    body = b"".join(
        b"data: %b\n\n" % json.dumps({"id": "chatcmpl-1", "created": 1, "model": MODEL, **event}).encode()
        for event in events
    )
    stub.plan(Plan(body=body, headers={"content-type": "text/event-stream"}))
    with openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client:
        assert len(list(client.chat.completions.create(model=MODEL, messages=ASKED, stream=True))) == len(
            events
        )
    (call,) = site.wait_for(1)
    assert (call.usage and call.usage.total) == used


@pytest.mark.parametrize(("ask", "provider"), [(_chat, "acme"), (_message, "anthropic")])
def test_an_error_of_ours_names_the_call_that_it_is_about(ask, provider, stub):
    policy = pinned((provider, MODEL), budget=Budget(tokens_per_day=1))
    with GatewaySite({provider: stub.origin}, policy) as site:
        with pytest.raises((openai.PermissionDeniedError, anthropic.PermissionDeniedError)) as caught:
            ask(site.origin, site.key)
        (call,) = site.wait_for(1)
    assert caught.value.request_id == call.call_id
