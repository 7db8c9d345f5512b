# SPDX-License-Identifier: Apache-2.0
"""What a charter may say of a pin: other names of it, the backends it was tested on, and who answers when its credential is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SPARE, GatewaySite, pinned, taken_from
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.app.opening import SystemClock
from pilothouse.core.evidence.trial_trace import trial_trace
from pilothouse.lake.node import open_node
from pilothouse.ports.lake import TaskFilter
from pilothouse.runtime.gateway.policy import Limits, Pin
from pilothouse.runtime.gateway.spans import SpanSink

CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Where is the order?"}]}


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def site(stub):
    stub._plans.clear()
    with GatewaySite({"acme": stub.origin, "spare": stub.origin}, pinned(("acme", MODEL))) as gateway:
        yield gateway


def with_pin(site, **said):
    pin = Pin(provider="acme", model=MODEL, **said)
    site.policies[AGENT] = replace(site.policies[AGENT], chain=(pin,))


def answered(model=MODEL, fingerprint=None, stream=False):
    """Plan an answer that says this of itself."""
    said = {"id": "c", "model": model, "choices": [], "system_fingerprint": fingerprint}
    if not stream:
        return Plan(body=json.dumps(said).encode())
    said["choices"] = [{"index": 0, "delta": {"content": "hi"}}]
    return Plan(
        body=f"data: {json.dumps(said)}\n\ndata: [DONE]\n\n".encode(),
        headers={"content-type": "text/event-stream"},
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_pin_may_be_served_under_the_names_that_the_charter_says_and_no_other(site, stub, stream):
    with_pin(site, served_as=frozenset({"m-server"}))
    stub.plan(answered("m-server", stream=stream), answered("m-other", stream=stream))
    good, refused = (ask(site, CHAT, {**BODY, "stream": stream}) for _ in range(2))
    assert (good.status, good.headers["x-pilothouse-model"]) == (200, "m-server")
    assert refused.error["code"] == "model_mismatch"
    assert "`served_as`" in refused.error["message"]
    assert [call.mismatch for call in site.wait_for(2)] == [False, True]


@pytest.mark.parametrize("stream", [False, True])
def test_a_backend_that_the_charter_does_not_name_is_withheld_where_it_says_refuse(site, stub, stream):
    with_pin(site, fingerprint="refuse", fingerprints=frozenset({"fp_1"}))
    stub.plan(*(answered(fingerprint=one, stream=stream) for one in ("fp_1", "fp_2", None)))
    good, refused, unsaid = (ask(site, CHAT, {**BODY, "stream": stream}) for _ in range(3))
    assert (good.status, refused.status, unsaid.status) == (200, 502, 200)
    assert refused.error["code"] == "model_mismatch"
    assert "'fp_2'" in refused.error["message"]
    site.wait_for(3)
    (seen,) = taken_from(site.gateway.signs.untold)
    assert (seen.fingerprint, seen.is_refused) == ("fp_2", True), "what was named is no news"


@pytest.mark.parametrize(("said", "told"), [("alert", ["fp_1"]), ("ignore", [])])
def test_a_new_backend_answers_and_is_told_unless_the_charter_ignores_it(said, told, site, stub):
    with_pin(site, fingerprint=said)
    stub.plan(answered(fingerprint="fp_1"))
    assert ask(site, CHAT, BODY).status == 200
    site.wait_for(1)
    assert [one.fingerprint for one in taken_from(site.gateway.signs.untold)] == told


def test_what_was_told_under_one_charter_is_told_under_the_next(site, stub):
    stub.plan(*[answered(fingerprint="fp_1")] * 2)
    ask(site, CHAT, BODY)
    site.policies[AGENT] = replace(site.policies[AGENT], charter="d")
    with_pin(site, fingerprint="refuse")
    ask(site, CHAT, BODY)
    site.wait_for(2)
    assert [one.is_refused for one in taken_from(site.gateway.signs.untold)] == [False, True]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stand_in_answers_a_refused_credential_where_the_charter_says_so_and_it_is_told_all_the_same(
    status, stream, site, stub
):
    chain = (Pin(provider="acme", model=MODEL), Pin(provider="spare", model=SPARE))
    site.policies[AGENT] = replace(site.policies[AGENT], chain=chain, fallback_when_refused=True)
    stub.plan(Plan(status=status))
    answer = ask(site, CHAT, {**BODY, "stream": stream})
    assert answer.status == 200
    told = [answer.headers[f"x-pilothouse-{name}"] for name in ("deployment", "fallback", "attempts")]
    assert told == ["spare", f"status_{status}", "2"], "who refuses is asked once"
    site.wait_for(1)
    assert [one.provider for one in site.gateway.signs.refusing()] == ["acme"]


def test_when_everybody_refuses_the_last_true_answer_passes_and_nobody_asks_again(site, stub):
    chain = (Pin(provider="acme", model=MODEL), Pin(provider="spare", model=SPARE))
    site.policies[AGENT] = replace(site.policies[AGENT], chain=chain, fallback_when_refused=True)
    stub.plan(Plan(status=401), Plan(status=403))
    answer = ask(site, CHAT, BODY)
    assert (answer.status, answer.headers["x-should-retry"]) == (403, "false")
    site.wait_for(1)
    assert [one.provider for one in site.gateway.signs.refusing()] == ["acme", "spare"]


def test_a_task_names_the_stand_in_that_answered_also_where_its_answer_names_nobody(site, stub, tmp_path):
    """Its models tell whose work a task is: one that named nobody counted as work of the pin."""
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=Limits(member_attempts=1))
    site.policies[AGENT] = replace(policy, version="a" * 64)
    nameless = json.dumps({"id": "c", "choices": []}).encode()
    stub.plan(
        answered(),
        Plan(status=500),
        answered(SPARE),
        Plan(body=nameless),
        Plan(status=500),
        Plan(body=nameless),
    )
    for _ in range(4):
        assert ask(site, CHAT, BODY).status == 200
    node = open_node(tmp_path / "lake", SystemClock())
    try:
        sink = SpanSink(node)
        calls = site.wait_for(4)
        for call in calls:
            sink.keep(call)
        sink.flush(everything=True)
        node.settle(also_rootless=True)
        tasks = {task.trace_id: task.models for task in node.tasks(TaskFilter(), limit=9).tasks}
    finally:
        node.stop()
    assert [call.served_model for call in calls] == [MODEL, SPARE, None, None]
    assert [tasks[call.run] for call in calls] == [(MODEL,), (SPARE,), (), (SPARE,)]


TRIAL, LOAD = (f"00-{trial_trace('ab' * 32, is_load=one)}-{'c' * 16}-01" for one in (False, True))


@pytest.mark.parametrize(
    ("environment", "trace", "stands_in"),
    [
        (None, TRIAL, False),
        (None, LOAD, True),
        ("replay", None, False),
        ("replay", LOAD, True),
        (None, None, True),
    ],
)
def test_a_trial_or_a_replay_is_answered_by_its_model_or_by_nobody(environment, trace, stands_in, stub):
    """A release gate opened on what the stand-in did. A load run asks what users get."""
    stub._plans.clear()
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=Limits(member_attempts=1, attempts=2))
    headers = {} if trace is None else {"traceparent": trace}
    with GatewaySite({"acme": stub.origin, "spare": stub.origin}, policy, environment=environment) as gateway:
        stub.plan(Plan(status=500), Plan(status=500) if not stands_in else answered(SPARE))
        answer = ask(gateway, CHAT, BODY, headers)
        assert (answer.status, answer.headers["x-pilothouse-model"] == SPARE) == (
            (200, True) if stands_in else (500, False)
        )
        stub._plans.clear()
        assert ask(gateway, CHAT, {**BODY, "model": SPARE}, headers).status == 200, (
            "the gate of the stand-in itself"
        )


def test_the_pinned_model_at_a_second_provider_answers_a_trial_and_is_no_stand_in(stub):
    chain = (
        Pin(provider="acme", model=MODEL, served_as=frozenset({"m-far"})),
        Pin(provider="spare", model="m-far", version="b" * 64),
    )
    policy = replace(pinned(("acme", MODEL), limits=Limits(member_attempts=1)), chain=chain, version="a" * 64)
    stub._plans.clear()
    with GatewaySite({"acme": stub.origin, "spare": stub.origin}, policy) as gateway:
        stub.plan(Plan(status=500), answered("m-far"))
        answer = ask(gateway, CHAT, BODY, {"traceparent": TRIAL})
        assert (answer.status, answer.headers["x-pilothouse-deployment"]) == (200, "spare")
        (call,) = gateway.wait_for(1)
    assert (call.is_of_stand_in, call.version) == (False, "a" * 64)


def test_a_trial_whose_model_cannot_be_asked_at_all_says_why(stub):
    policy = pinned(("gone", MODEL), ("spare", SPARE))
    with GatewaySite({"spare": stub.origin}, policy) as gateway:
        refused = ask(gateway, CHAT, BODY, {"traceparent": TRIAL})
        assert (refused.status, refused.error["code"]) == (503, "upstream_unavailable")
        assert ask(gateway, CHAT, BODY).headers["x-pilothouse-model"] == SPARE
