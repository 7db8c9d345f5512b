# SPDX-License-Identifier: Apache-2.0
"""An input that does not fit is refused before anybody cuts it; what was counted once stays exact."""

from __future__ import annotations

import json

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, SPARE, GatewaySite, taken_from
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.run_log import ModelRequest
from pilothouse.interfaces.cli.replay_text import recorded_text
from pilothouse.runtime.gateway.near_window import REFUSED_LEVEL
from pilothouse.runtime.gateway.policy import AgentPolicy, Pin
from pilothouse.runtime.runlog.recorder import Recorder

anthropic = LateModule("anthropic")
openai = LateModule("openai")

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
WINDOW = 2_000
WORDS = "the order of the customer is on its way to the house "


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def site(stub):
    stub.seen.clear()
    stub._plans.clear()
    chain = (
        Pin(provider="acme", model=MODEL, window_tokens=WINDOW),
        Pin(provider="spare", model=SPARE, window_tokens=WINDOW // 2),
    )
    policy = AgentPolicy(agent=AGENT, charter="c", chain=chain)
    with GatewaySite({"acme": stub.origin, "spare": stub.origin}, policy) as running:
        yield running


def body(*texts, **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": text} for text in texts], **more}


def answered(input_tokens):
    """An answer that says how many tokens were read."""
    said = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": input_tokens, "completion_tokens": 1, "total_tokens": input_tokens + 1},
    }
    return Plan(body=json.dumps(said).encode())


def test_what_does_not_fit_is_refused_as_frameworks_know_it_and_nothing_is_sent(site, stub):
    client = openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key)
    with client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**body(WORDS * 200))
    assert refused.value.code == "context_length_exceeded"
    assert "context_exceeded: up to" in refused.value.message
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert float(refused.value.response.headers["x-pilothouse-context"]) > 1
    assert not stub.seen
    assert site.gateway.context.counters["context_exceeded"] == 1
    assert [one.level for one in taken_from(site.gateway.context.near.untold)] == [REFUSED_LEVEL]
    assert site.wait_for(1)[0].told.startswith("context_exceeded")


def test_the_output_that_is_asked_for_counts_in_the_other_protocol_too(stub):
    pin = Pin(provider="anthropic", model=MODEL, window_tokens=WINDOW)
    policy = AgentPolicy(agent=AGENT, charter="c", chain=(pin,))
    with (
        GatewaySite({"anthropic": stub.origin}, policy) as site,
        anthropic.Anthropic(base_url=site.origin, api_key=site.key) as client,
    ):
        assert client.messages.create(max_tokens=20, **body(WORDS)).content
        with pytest.raises(anthropic.BadRequestError) as refused:
            client.messages.create(max_tokens=WINDOW, **body(WORDS))
    assert refused.value.body["error"]["type"] == "invalid_request_error"


def test_a_short_input_passes_unread_and_a_growing_one_passes_its_alerts(site, stub):
    stub.plan(*[answered(400), answered(1_150), answered(1_950)])
    small = ask(site, CHAT, body(WORDS))
    assert float(small.headers["x-pilothouse-context"]) < 0.1
    first = ask(site, CHAT, body(WORDS * 60))
    assert first.status == 200
    estimated = float(first.headers["x-pilothouse-context"])
    # 3,180 characters at the table's ratio and its margin are 0.50 of the window; the provider counts 0.575.
    again = ask(site, CHAT, body(WORDS * 60, WORDS * 20))
    assert again.status == 200
    assert float(again.headers["x-pilothouse-context"]) > estimated
    assert site.gateway.context.counters["context_notice"] == 1
    (near,) = taken_from(site.gateway.context.near.untold)
    assert (near.agent, near.model, near.level, near.window) == (AGENT, MODEL, 70, WINDOW)
    assert near.share == pytest.approx(float(again.headers["x-pilothouse-context"]), abs=0.01)


def test_the_beginning_that_a_provider_counted_is_exact(site, stub):
    stub.plan(answered(1_990))
    assert ask(site, CHAT, body(WORDS * 60)).status == 200
    site.wait_for(1)
    refused = ask(site, CHAT, body(WORDS * 60, WORDS * 2))
    assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")
    assert "of which 1,990 were counted before" in refused.error["message"]


def test_an_input_that_was_read_short_is_counted(site, stub):
    stub.plan(answered(12))
    assert ask(site, CHAT, body(WORDS * 60)).status == 200
    site.wait_for(1)
    assert site.gateway.context.counters["context_read_short"] == 1


def test_a_stand_in_whose_window_is_too_small_is_not_asked(site, stub):
    stub.plan(*[Plan(status=500)] * 4)
    assert ask(site, CHAT, body(WORDS * 70)).status == 500
    assert {seen.json["model"] for seen in stub.seen} == {MODEL}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}],
        [{"type": "tool_result", "content": [{"type": "image", "source": {"data": "A" * 9_000}}]}],
    ],
)
def test_what_bytes_do_not_tell_is_not_judged_and_says_so(content, site):
    sent = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    answer = ask(site, CHAT, sent)
    assert (answer.status, answer.headers["x-pilothouse-context"]) == (200, "unknown")
    assert site.gateway.context.counters["context_unreadable"] == 1


def test_a_window_that_nobody_said_is_unknown(stub):
    policy = AgentPolicy(agent=AGENT, charter="c", chain=(Pin(provider="acme", model=MODEL),))
    with GatewaySite({"acme": stub.origin}, policy) as site:
        answer = ask(site, CHAT, body(WORDS * 4_000))
        assert (answer.status, answer.headers["x-pilothouse-context"]) == (200, "unknown")
        assert site.gateway.context.counters["context_window_unknown"] == 1


ASKED = {"edits": [{"type": "clear_tool_uses_20250919"}]}


def test_what_a_provider_may_shorten_passes_and_is_marked_opaque_in_the_record(stub, tmp_path):
    policy = AgentPolicy(agent=AGENT, charter="c", chain=(Pin(provider="acme", model=MODEL),))
    with (
        Recorder(tmp_path) as log,
        GatewaySite({"acme": stub.origin}, policy, log=log) as site,
    ):
        plain, marked = (
            ask(site, CHAT, body(WORDS)),
            ask(site, CHAT, body(WORDS, context_management=ASKED)),
        )
        assert (plain.status, marked.status) == (200, 200)
        assert stub.seen[-1].body == json.dumps(body(WORDS, context_management=ASKED)).encode()
        site.wait_for(2)
        log.flush()
        opaque = [
            one.event.opaque
            for run in log.runs()
            for one in log.read(run.run).events
            if isinstance(one.event, ModelRequest)
        ]
        shown = "".join(recorded_text(log.read(run.run)) for run in log.runs())
    assert sorted(opaque) == [(), ("clear_tool_uses_20250919",)]
    assert shown.count("opaque: its provider may shorten it (clear_tool_uses_20250919)") == 1
    assert site.gateway.context.counters["context_opaque"] == 1


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(body(WORDS, context_management=ASKED)),
        json.dumps(body(WORDS, truncation="auto")),
        json.dumps(body(WORDS, context_management=ASKED)).replace("context_m", "context\\u005fm"),
        json.dumps(body(WORDS, context_management=ASKED))[:-1] + ', "context_management": null}',
    ],
)
def test_a_charter_may_forbid_it_in_whatever_spelling(raw, stub):
    stub.seen.clear()
    chain = (Pin(provider="acme", model=MODEL),)
    policy = AgentPolicy(agent=AGENT, charter="c", chain=chain, refuses_provider_edits=True)
    with GatewaySite({"acme": stub.origin}, policy) as site:
        refused = ask(site, CHAT, raw.encode())
        # A name that is spelt by numbers is refused for that already, whatever the charter says.
        code = "pin_unknown" if "\\u" in raw else "context_edit_refused"
        assert (refused.status, refused.error["code"]) == (422, code)
        assert not stub.seen
        assert ask(site, CHAT, body(WORDS)).status == 200
