# SPDX-License-Identifier: Apache-2.0
"""What attempts used that gave no answer: counted where a provider said it, estimated and said to be so where it was not heard, never zero."""

from __future__ import annotations

import json

import pytest
from tests.stubs.gateway_site import MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.policy import Guard, Limits
from pilothouse.runtime.gateway.spans import SpanSink
from pilothouse.runtime.runlog.recorder import open_recorder

MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"
BODY = {
    "model": MODEL,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Where is the order? " * 10}],
}
READ = TokenCount(input=10, cache_read=4)
ANSWERED = 20
"""Tokens of a whole message of the stub."""

QUICK = Limits(total_s=4.0, stream_total_s=4.0, first_byte_s=0.3, idle_s=0.3, member_attempts=1)


def cost(provider, model, tokens, at_ns):
    """A stand-in is a thousand times dearer."""
    del provider, at_ns
    return tokens.total * {MODEL: 1, SPARE: 1_000}[model]


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture(scope="module")
def spare():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def site(stub, spare):
    stub._plans.clear()
    spare._plans.clear()
    policy = pinned(("anthropic", MODEL), ("anthropic-spare", SPARE), limits=QUICK)
    providers = {"anthropic": stub.origin, "anthropic-spare": spare.origin}
    with GatewaySite(providers, policy, cost_of=cost) as gateway:
        yield gateway


def spent(site):
    (one,) = site.gateway.meter.take_unsaved().values()
    return one


def test_a_stream_that_failed_before_its_content_has_read_the_request(site, stub):
    """Its provider counted what it read; what it may have written, nobody knows."""
    stub.plan(Plan(ending="error_event", after=1))
    assert ask(site, MESSAGES, {**BODY, "stream": True}).status == 200
    (call,) = site.wait_for(1)
    assert sum(size for size, _ in call.chunks) == len(call.response), "the pieces of the answer alone"
    lost, answered = call.attempts
    assert (lost.failure, answered.failure, call.fallback) == ("error_event", "", "error_event")
    assert (lost.spent.input, lost.spent.cache_read, lost.is_counted) == (10, 4, False)
    one = spent(site)
    assert (one.calls, one.estimated) == (1, 1)
    assert one.tokens == lost.spent.total + ANSWERED
    assert one.usd_pico == lost.spent.total + 1_000 * ANSWERED, "each at the price of its own model"
    assert call.usage == TokenCount(input=10, cache_read=4, output=6), "the answer used what it used"
    assert call.cost_pico is None


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(pause_s=2.0), "first_byte"),
        (Plan(after=0, ending="half_close"), "cut"),
        (Plan(after=1, ending="stall"), "first_byte"),
    ],
)
def test_an_attempt_that_was_not_heard_is_estimated(plan, reason, site, stub):
    stub.plan(plan)
    assert ask(site, MESSAGES, {**BODY, "stream": True}).status == 200
    (call,) = site.wait_for(1)
    lost = call.attempts[0]
    assert (lost.failure, lost.is_counted) == (reason, False)
    assert lost.spent.total >= READ.total if plan.after == 1 else lost.spent.input == len(call.request) // 4
    one = spent(site)
    assert (one.tokens, one.estimated) == (lost.spent.total + ANSWERED, 1)


def test_a_whole_answer_that_breaks_off_may_be_paid_for(site, stub, spare):
    stub.plan(Plan(ending="half_close"))
    spare.plan(Plan(ending="half_close"), Plan(ending="half_close"), Plan(ending="half_close"))
    assert ask(site, MESSAGES, BODY).status == 503
    (call,) = site.wait_for(1)
    assert [one.failure for one in call.attempts] == ["cut"] * len(call.attempts)
    estimate = len(call.request) // 4
    one = spent(site)
    assert (one.calls, one.tokens, one.estimated) == (1, estimate * len(call.attempts), 1)


@pytest.mark.parametrize("plan", [Plan(status=500), Plan(status=429, headers={"retry-after": "900"})])
def test_what_a_provider_refused_or_failed_by_its_own_word_used_nothing(plan, site, stub):
    stub.plan(plan)
    assert ask(site, MESSAGES, BODY).status == 200
    (call,) = site.wait_for(1)
    assert [one.spent for one in call.attempts] == [None, None]
    one = spent(site)
    assert (one.tokens, one.usd_pico, one.estimated) == (ANSWERED, 1_000 * ANSWERED, 0)


def test_an_error_that_says_what_it_used_is_counted_as_it_says(site, stub):
    used = {"input_tokens": 30, "output_tokens": 12}
    body = json.dumps({"type": "error", "error": {"type": "api_error", "message": "x"}, "usage": used})
    stub.plan(Plan(status=500, body=body.encode()))
    assert ask(site, MESSAGES, BODY).status == 200
    (call,) = site.wait_for(1)
    assert (call.attempts[0].spent, call.attempts[0].is_counted) == (TokenCount(input=30, output=12), True)
    one = spent(site)
    assert (one.tokens, one.usd_pico, one.estimated) == (42 + ANSWERED, 42 + 1_000 * ANSWERED, 0)
    assert call.cost_pico == one.usd_pico


def test_a_stream_that_broke_off_after_chunks_counts_once(site, stub):
    stub.plan(Plan(after=4, ending="reset"))
    ask(site, MESSAGES, {**BODY, "stream": True})
    (call,) = site.wait_for(1)
    assert (call.ending, [one.spent for one in call.attempts]) == (Ending.CUT, [None])
    one = spent(site)
    assert (one.calls, one.estimated) == (1, 1)
    assert READ.total < one.tokens < READ.total + 10


def test_a_repair_that_breaks_off_may_be_paid_for(stub):
    stub._plans.clear()
    stub.plan(Plan(), Plan(ending="half_close"))
    policy = pinned(("acme", MODEL), guard=Guard(schema='{"type": "object"}', on_invalid="pass"))
    with GatewaySite({"acme": stub.origin}, policy, cost_of=cost, guardian=Guardian(None)) as site:
        assert ask(site, CHAT, BODY).status == 200
        (call,) = site.wait_for(1)
        one = spent(site)
    assert [attempt.failure for attempt in call.attempts] == ["", "cut"]
    assert (one.tokens, one.estimated) == (16 + len(call.request) // 4, 1)


class Lake:
    """Takes spans."""

    def __init__(self):
        self.spans = []

    def accept(self, signal, *, body, **_):
        del signal
        for resource in json.loads(body)["resourceSpans"]:
            self.spans += resource["scopeSpans"][0]["spans"]
        raise ConnectionError("it is enough that they were sent")


def test_the_backend_that_served_stands_in_record_and_span(stub, tmp_path):
    stub._plans.clear()
    body = {"model": MODEL, "system_fingerprint": "fp_7", "choices": [], "usage": {"prompt_tokens": 1}}
    stub.plan(Plan(body=json.dumps(body).encode()))
    with (
        open_recorder(tmp_path) as log,
        GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL)), log=log) as site,
    ):
        ask(site, CHAT, BODY)
        (call,) = site.wait_for(1)
        log.flush()
        assert log.read(call.run).events[-1].event.fingerprint == "fp_7"
    lake = Lake()
    sink = SpanSink(lake)
    sink.keep(call)
    with pytest.raises(ConnectionError):
        sink.flush()
    assert "fp_7" in str(lake.spans[0]["attributes"])


def test_what_spent_tokens_is_a_call_of_its_own_in_the_trace(site, stub):
    used = {"input_tokens": 30, "output_tokens": 12}
    error = json.dumps({"type": "error", "error": {"type": "api_error", "message": "x"}, "usage": used})
    stub.plan(Plan(status=500, body=error.encode()), Plan(pause_s=2.0))
    ask(site, MESSAGES, BODY)
    ask(site, MESSAGES, {**BODY, "stream": True})
    lake = Lake()
    sink = SpanSink(lake)
    for call in site.wait_for(2):
        sink.keep(call)
    with pytest.raises(ConnectionError):
        sink.flush()
    said = [
        {pair["key"]: next(iter(pair["value"].values())) for pair in span["attributes"]}
        for span in lake.spans
    ]
    models = [each.get("gen_ai.request.model") for each in said]
    assert models == [MODEL, MODEL, MODEL, MODEL], "the call's own span names what was asked for"
    by_call = [(each.get("error.type"), each.get("gen_ai.usage.input_tokens")) for each in said]
    assert by_call == [(None, "14"), ("status_500", "30"), (None, "14"), ("first_byte", None)]
    own, lost = lake.spans[0], lake.spans[1]
    assert own["parentSpanId"] == lost["parentSpanId"] != own["spanId"] != lost["spanId"]
