# SPDX-License-Identifier: Apache-2.0
"""The edit `inject_usage`: a chat stream is settled by what its provider counted, and its client gets the stream that it asked for."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.stubs.gateway_site import MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse
from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.usage_edit import UsageCutter
from pilothouse.runtime.gateway.wire import Answer
from pilothouse.runtime.replay.exchange import exchanges, request_key
from pilothouse.runtime.runlog.recorder import open_recorder

CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Where is the order?"}]}
COUNTED = TokenCount(input=10, output=6)
RUN = "ab" * 16


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def plain(stub):
    """What a client gets of this stream without any edit."""
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL))) as site:
        answer = ask(site, CHAT, BODY)
    assert b'"usage"' not in answer.body
    assert "x-pilothouse-edited" not in answer.headers
    return answer


def edited(stub, *, providers=None, log=None, **fields):
    policy = pinned(*(providers or {"acme": MODEL}).items(), inject_usage=True, **fields)
    urls = dict.fromkeys(providers or {"acme": MODEL}, stub.origin)
    return GatewaySite(urls, policy, log=log, cost_of=lambda _provider, _model, tokens, _at: tokens.total)


def test_a_stream_is_settled_exactly_and_its_client_sees_none_of_it(stub, plain, tmp_path):
    with open_recorder(tmp_path) as log:
        with edited(stub, log=log) as site:
            answer = ask(site, f"/r/{RUN}{CHAT}", {**BODY, "stream_options": {"include_obfuscation": False}})
            (call,) = site.wait_for(1)
            (spent,) = site.gateway.meter.take_unsaved().values()
        log.flush(5.0)
        recorded = log.read(RUN)
    assert answer.body == plain.body
    assert answer.headers["x-pilothouse-edited"] == "inject_usage"
    assert stub.seen[-1].json["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert (call.usage, spent.tokens, spent.estimated) == (COUNTED, 16, 0)
    events = [one.event for one in recorded.events]
    (request,) = (one for one in events if isinstance(one, ModelRequest))
    (response,) = (one for one in events if isinstance(one, ModelResponse))
    assert json.loads(request.body)["stream_options"] == {"include_obfuscation": False}
    assert request.sent == stub.seen[-1].body, "the record holds both"
    assert response.body == plain.body
    assert sum(response.chunk_sizes) == len(plain.body)
    assert response.usage["output"] == 6
    (found,) = exchanges(recorded)
    assert found.key == request_key(CHAT, request.body), "a replay is matched by what comes in"


def test_a_client_that_asks_for_usage_itself_gets_every_byte(stub):
    body = json.dumps({**BODY, "stream_options": {"include_usage": True}}).encode()
    with edited(stub) as site:
        answer = ask(site, CHAT, body)
        (call,) = site.wait_for(1)
    assert stub.seen[-1].body == body
    assert "x-pilothouse-edited" not in answer.headers
    assert b'"usage"' in answer.body
    assert call.usage == COUNTED
    assert call.sent is None


@pytest.mark.parametrize("body", [{**BODY, "stream": False}, {**BODY, "stream_options": 7}])
def test_what_is_no_stream_or_cannot_be_read_goes_as_it_is(body, stub):
    raw = json.dumps(body).encode()
    stub.plan(Plan(status=400)) if body["stream"] else None
    with edited(stub) as site:
        ask(site, CHAT, raw)
    assert stub.seen[-1].body == raw


def test_of_an_encoded_stream_nothing_is_taken_and_that_is_said(stub):
    """Its provider was asked for a plain one."""
    stub.plan(Plan(gzip=True))
    with edited(stub) as site:
        answer = ask(site, CHAT, BODY, {"accept-encoding": "gzip"})
        (call,) = site.wait_for(1)
    assert stub.seen[-1].headers["accept-encoding"] == "identity"
    assert answer.headers["x-pilothouse-edited"] == "inject_usage,inject_usage_left"
    assert b'"usage"' in gzip.decompress(answer.body)
    assert call.usage == COUNTED


def test_a_stand_in_is_asked_for_its_usage_too(stub, plain):
    stub.plan(Plan(status=500), Plan(status=500))
    with edited(stub, providers={"acme": MODEL, "spare": SPARE}) as site:
        answer = ask(site, CHAT, BODY)
        (call,) = site.wait_for(1)
    assert answer.headers["x-pilothouse-edited"] == "fallback_model,inject_usage"
    assert answer.body == plain.body.replace(MODEL.encode(), SPARE.encode())
    assert call.usage == COUNTED


def test_a_stream_that_breaks_off_before_its_usage_is_estimated(stub):
    stub.plan(Plan(after=3, ending="half_close"))
    with edited(stub) as site:
        answer = ask(site, CHAT, BODY)
        site.wait_for(1)
        (spent,) = site.gateway.meter.take_unsaved().values()
    assert b"broke off" in answer.body
    assert b"[DONE]" not in answer.body
    assert spent.estimated == 1


USAGE = b'{"id": "c", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 6}}'
OTHERS = (
    b'data: {"choices": [{"delta": {"content": "a \\"usage\\" b"}}], "usage": null}',
    b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}',
    b'data: {"choices": [], "usage": null, "prompt_filter_results": []}',
)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("last", [b"data: [DONE]", b""])
def test_the_extra_event_is_taken_wherever_the_stream_is_split(end, last):
    before, after = b"".join(one + end for one in OTHERS), last + end if last else b""
    stream = before + b"data: " + USAGE + (end if last else b"") + after
    for at in range(len(stream) + 1):
        said = Answer()
        cutter = UsageCutter(said)
        got = cutter.feed(stream[:at]) + cutter.feed(stream[at:]) + cutter.rest()
        assert got == before + after, at
        assert (said.usage, cutter.taken) == (COUNTED, len(stream) - len(got))
