# SPDX-License-Identifier: Apache-2.0
"""Official SDKs see through the gateway exactly what they see of the provider: objects, bytes, events, errors."""

from __future__ import annotations

import asyncio

import pydantic
import pytest
from late_module import LateModule
from tests.stubs.gateway_site import MODEL, SECRET, GatewaySite
from tests.stubs.provider_stub import Plan, ProviderStub

anthropic = LateModule("anthropic")
openai = LateModule("openai")

ASKED = [{"role": "user", "content": "Where is my order?"}]


class Answer(pydantic.BaseModel):
    """A structured answer."""

    place: str


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(stub):
    with GatewaySite({"acme": f"{stub.origin}/v1", "anthropic": stub.origin}) as gateway:
        yield gateway


_OPENED = []


@pytest.fixture(autouse=True)
def _closed_clients():
    yield
    while _OPENED:
        client = _OPENED.pop()
        if isinstance(client, (openai.OpenAI, anthropic.Anthropic)):
            client.close()


def _openai(kind, stub, site, retries=0):
    direct = kind(base_url=f"{stub.origin}/v1", api_key="x", max_retries=retries)
    through = kind(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=retries)
    _OPENED.extend((direct, through))
    return direct, through


def _anthropic(kind, stub, site, retries=0):
    direct = kind(base_url=stub.origin, api_key="x", max_retries=retries)
    through = kind(base_url=site.origin, api_key=site.key, max_retries=retries)
    _OPENED.extend((direct, through))
    return direct, through


def _chat(client):
    return client.chat.completions.create(model=MODEL, messages=ASKED).to_dict()


def _chat_raw(client):
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASKED)
    return (
        raw.content,
        raw.status_code,
        raw.headers["x-request-id"],
        raw.headers["content-type"],
        raw.parse().to_dict(),
    )


def _chat_stream(client):
    events = client.chat.completions.create(
        model=MODEL, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    return [event.to_dict() for event in events]


def _chat_stream_bytes(client):
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=ASKED, stream=True
    ) as response:
        return b"".join(response.iter_bytes())


def _responses(client):
    return client.responses.create(model=MODEL, input="hi").to_dict()


def _responses_stream(client):
    return [event.to_dict() for event in client.responses.create(model=MODEL, input="hi", stream=True)]


def _embeddings(client):
    return client.embeddings.create(model=MODEL, input="hi", encoding_format="float").to_dict()


def _models(client):
    return [model.to_dict() for model in client.models.list()]


def _stored(client):
    return client.responses.retrieve("resp_1").to_dict()


@pytest.mark.parametrize(
    "ask",
    [
        _chat,
        _chat_raw,
        _chat_stream,
        _chat_stream_bytes,
        _responses,
        _responses_stream,
        _embeddings,
        _models,
        _stored,
    ],
)
def test_the_openai_sdk_sees_no_difference(ask, stub, site):
    direct, through = _openai(openai.OpenAI, stub, site)
    assert ask(through) == ask(direct)


def test_structured_output_of_the_openai_sdk_is_the_same(stub, site):
    plan = Plan(text='{"place": "Hamburg"}')
    results = []
    for client in _openai(openai.OpenAI, stub, site):
        stub.plan(plan, plan)
        parsed = client.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Answer)
        answer = client.responses.parse(model=MODEL, input="hi", text_format=Answer)
        results.append((parsed.choices[0].message.parsed, answer.output_parsed))
    assert results[0] == results[1]
    assert results[0][0] == Answer(place="Hamburg")


def test_the_asynchronous_openai_sdk_sees_no_difference(stub, site):
    async def ask(client):
        whole = await client.chat.completions.create(model=MODEL, messages=ASKED)
        stream = await client.responses.create(model=MODEL, input="hi", stream=True)
        events = [event.to_dict() async for event in stream]
        await client.close()
        return whole.to_dict(), events

    async def both():
        direct, through = _openai(openai.AsyncOpenAI, stub, site)
        return await ask(direct), await ask(through)

    direct, through = asyncio.run(both())
    assert direct == through


def _message(client):
    return client.messages.create(model=MODEL, max_tokens=64, messages=ASKED).to_dict()


def _message_raw(client):
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=64, messages=ASKED)
    return raw.http_response.content, raw.status_code, raw.headers["x-request-id"]


def _message_stream(client):
    with client.messages.stream(model=MODEL, max_tokens=64, messages=ASKED) as stream:
        return [event.to_dict() for event in stream], stream.get_final_message().to_dict()


def _count(client):
    return client.messages.count_tokens(model=MODEL, messages=ASKED).to_dict()


def _claude_models(client):
    return [model.id for model in client.models.list()]


@pytest.mark.parametrize("ask", [_message, _message_raw, _message_stream, _count, _claude_models])
def test_the_anthropic_sdk_sees_no_difference(ask, stub, site):
    direct, through = _anthropic(anthropic.Anthropic, stub, site)
    assert ask(through) == ask(direct)


def test_the_asynchronous_anthropic_sdk_sees_no_difference(stub, site):
    async def ask(client):
        async with client.messages.stream(model=MODEL, max_tokens=64, messages=ASKED) as stream:
            events = [event.to_dict() async for event in stream]
        await client.close()
        return events

    async def both():
        direct, through = _anthropic(anthropic.AsyncAnthropic, stub, site)
        return await ask(direct), await ask(through)

    direct, through = asyncio.run(both())
    assert direct == through


def _error_of(ask, client):
    with pytest.raises((openai.APIError, anthropic.APIError)) as caught:
        ask(client)
    error = caught.value
    return type(error).__name__, getattr(error, "status_code", None), getattr(error, "body", None), str(error)


@pytest.mark.parametrize("status", [400, 401, 409, 429, 500, 529])
@pytest.mark.parametrize(("clients", "ask"), [(_openai, _chat), (_anthropic, _message)])
def test_errors_and_retry_counts_are_equal_when_the_gateway_does_not_retry(clients, ask, status, stub, site):
    kind = openai.OpenAI if clients is _openai else anthropic.Anthropic
    seen = []
    for client in clients(kind, stub, site, retries=2):
        plan = Plan(status=status, headers={"retry-after-ms": "1"})
        stub.plan(plan, plan, plan)
        before = len(stub.seen)
        once = client.with_options(default_headers={"x-pilothouse-attempts": "1"})
        seen.append((_error_of(ask, once), len(stub.seen) - before))
        stub._plans.clear()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("clients", "ask"), [(_openai, _chat_stream), (_openai, _responses_stream), (_anthropic, _message_stream)]
)
@pytest.mark.parametrize("after", [0, 5])
def test_an_error_event_in_a_stream_is_the_same_error(clients, ask, after, stub, site):
    kind = openai.OpenAI if clients is _openai else anthropic.Anthropic
    seen = []
    for client in clients(kind, stub, site):
        stub.plan(Plan(ending="error_event", after=after))
        once = client.with_options(default_headers={"x-pilothouse-attempts": "1"})
        if ask is _responses_stream:  # this client yields the error as an event
            events = ask(once)
            assert events[-1]["type"] == "error"
            seen.append(events)
        else:
            seen.append(_error_of(ask, once))
    assert seen[0] == seen[1]


def test_with_retries_of_the_gateway_the_provider_sees_no_more_than_its_limit(stub):
    stub.plan(*[Plan(status=500)] * 12)
    before = len(stub.seen)
    with GatewaySite({"acme": stub.origin}) as fresh:
        _, through = _openai(openai.OpenAI, stub, fresh, retries=2)
        with pytest.raises(openai.InternalServerError) as caught:
            _chat(through)
    stub._plans.clear()
    assert len(stub.seen) - before == 4
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_where_nobody_else_can_answer_the_wait_that_a_provider_asks_for_is_waited(stub, site):
    """An official client would have waited, and is told by the gateway not to ask again."""
    stub.plan(Plan(status=429, headers={"retry-after-ms": "2100"}))
    before = len(stub.seen)
    _, through = _openai(openai.OpenAI, stub, site, retries=2)
    assert _chat(through)
    assert len(stub.seen) - before == 2


def test_every_answer_says_run_call_model_and_attempts(site):
    with openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key) as client:
        headers = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASKED).headers
    assert len(headers["x-pilothouse-run"]) == 32
    assert headers["x-pilothouse-model"] == MODEL
    assert headers["x-pilothouse-deployment"] == "acme"
    assert headers["x-pilothouse-attempts"] == "1"
    assert headers["x-pilothouse-fallback"] == "none"


def test_the_provider_gets_the_same_bytes_its_own_credential_and_nothing_of_ours(stub, site):
    direct, through = _openai(openai.OpenAI, stub, site)
    given = {
        "cookie": "a=b",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "x-pilothouse-x": "1",
        "x-mine": "2",
    }
    _chat(through.with_options(default_headers=given))
    _chat(direct)
    through, plain = stub.seen[-2:]
    assert through.body == plain.body
    assert through.headers["authorization"] == f"Bearer {SECRET}"
    assert through.headers["x-mine"] == "2"
    assert not {"cookie", "traceparent", "x-pilothouse-x"} & set(through.headers)
    assert site.key not in str(through.headers)
    assert through.headers["user-agent"] == plain.headers["user-agent"]
