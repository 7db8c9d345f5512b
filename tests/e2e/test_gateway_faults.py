# SPDX-License-Identifier: Apache-2.0
"""Providers and clients that fail in every way: the right status, the provider told to stop, exactly one record."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SECRET, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask, open_stream

from pilothouse.core.evidence.task import TokenCount
from pilothouse.interfaces.cli.replay_text import recorded_text
from pilothouse.ports.controls import ControlState, Rollback
from pilothouse.ports.gateway import REPLAY_ENVIRONMENT, Spent
from pilothouse.ports.planted import SHADOW, FaultKind, PlantedFault
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.policy import Budget, Limits
from pilothouse.runtime.runlog.recorder import open_recorder
from pilothouse.workflows.shows.runs import show_run

QUICK = Limits(total_s=3.0, stream_total_s=3.0, first_byte_s=0.4, idle_s=0.4, client_s=0.6)
CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


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
    stub.seen.clear()
    spare.seen.clear()
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=QUICK)
    with GatewaySite({"acme": stub.origin, "spare": spare.origin}, policy) as gateway:
        yield gateway
    stub._plans.clear()
    spare._plans.clear()


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


def test_a_failing_provider_is_asked_again_and_then_its_stand_in(site, stub, spare):
    stub.plan(*[Plan(status=500)] * 2)
    answer = ask(site, CHAT, BODY)
    assert answer.status == 200
    assert answer.headers["x-pilothouse-model"] == SPARE
    assert answer.headers["x-pilothouse-deployment"] == "spare"
    assert answer.headers["x-pilothouse-fallback"] == "status_500"
    assert answer.headers["x-pilothouse-attempts"] == "3"
    assert answer.headers["x-pilothouse-edited"] == "fallback_model"
    assert spare.seen[0].json == {**BODY, "model": SPARE}
    call = one(site)
    assert [attempt.failure for attempt in call.attempts] == ["status_500", "status_500", ""]


def test_who_answered_and_why_stands_in_the_record(stub, spare, tmp_path):
    stub.plan(*[Plan(status=500)] * 2)
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=QUICK)
    with (
        open_recorder(tmp_path) as log,
        GatewaySite({"acme": stub.origin, "spare": spare.origin}, policy, log=log) as site,
    ):
        for _ in range(2):
            ask(site, CHAT, BODY)
        first, second = (call.run for call in site.wait_for(2))
        log.flush()
        answers = [log.read(run).events[-1].event for run in (first, second)]
        assert [(one.provider, one.model, one.fallback, one.attempts) for one in answers] == [
            ("spare", SPARE, "status_500", 3),
            ("acme", MODEL, None, 1),
        ]
        said = [show_run(log, AGENT, run, datetime.now(UTC)).model_dump_json() for run in (first, second)]
        assert [f"{SPARE} stand-in after status_500" in one for one in said] == [True, False]
        assert "bytes of a stand-in after status_500" in recorded_text(log.read(first))


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(status=429, headers={"retry-after": "30"}), "status_429"),
        (Plan(ending="reset", after=0), "cut"),
        (Plan(ending="half_close"), "cut"),
        (Plan(status=529), "status_529"),
        (Plan(status=308, headers={"location": "https://elsewhere.example/v1"}), "redirect"),
        (Plan(status=503, headers={"x-should-retry": "false"}), "status_503"),
    ],
)
def test_what_fails_before_the_first_content_goes_on_to_the_stand_in(plan, reason, site, stub):
    stub.plan(plan, plan)
    answer = ask(site, CHAT, BODY)
    assert (answer.status, answer.headers["x-pilothouse-fallback"]) == (200, reason)
    one(site)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(ending="stall", after=1),
        Plan(ending="error_event", after=1),
        Plan(ending="reset", after=1),
        Plan(pause_s=2.0),
    ],
)
def test_a_stream_that_fails_before_content_is_answered_whole_by_the_stand_in(plan, site, stub):
    stub.plan(plan, plan)
    answer = ask(site, CHAT, {**BODY, "stream": True})
    assert answer.status == 200
    assert answer.headers["x-pilothouse-deployment"] == "spare"
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert MODEL.encode() not in answer.body
    call = one(site)
    assert call.ending is Ending.DONE
    assert call.response == answer.body


@pytest.mark.parametrize("status", [400, 404, 413, 422, 401, 403])
def test_a_wrong_request_is_wrong_everywhere(status, site, stub, spare):
    stub.plan(Plan(status=status))
    answer = ask(site, CHAT, BODY)
    assert answer.status == status
    assert (len(stub.seen), len(spare.seen)) == (1, 0)
    one(site)


@pytest.mark.parametrize(("ending", "reason"), [("stall", "idle"), ("reset", "cut"), ("half_close", "cut")])
def test_after_content_a_stream_ends_in_an_error_event_and_no_other_model_speaks(
    ending, reason, site, stub, spare
):
    stub.plan(Plan(ending=ending, after=3))
    answer = ask(site, CHAT, {**BODY, "stream": True})
    assert answer.status == 200
    events = [event for event in answer.body.split(b"\n\n") if event]
    assert json.loads(events[-1].removeprefix(b"data: "))["error"]["code"] == "upstream_unavailable"
    assert all(json.loads(event.removeprefix(b"data: "))["model"] == MODEL for event in events[:-1])
    assert b"[DONE]" not in answer.body
    assert not spare.seen
    call = one(site)
    assert (call.ending, call.stopped) == (Ending.CUT, reason)


def test_errors_of_a_broken_stream_have_the_form_of_each_protocol(stub):
    with GatewaySite({"acme": stub.origin, "anthropic": stub.origin}, None, key_models=(MODEL,)) as gateway:
        stub.plan(Plan(ending="reset", after=4), Plan(ending="reset", after=4))
        message = ask(gateway, "/v1/messages", {**BODY, "max_tokens": 9, "stream": True})
        response = ask(gateway, "/v1/responses", {"model": MODEL, "input": "hi", "stream": True})
    last = [event for event in message.body.split(b"\n\n") if event][-1]
    assert last.startswith(b"event: error\n")
    assert json.loads(last.partition(b"data: ")[2])["error"]["type"] == "api_error"
    last = [event for event in response.body.split(b"\n\n") if event][-1]
    assert json.loads(last.partition(b"data: ")[2])["type"] == "error"


def test_the_deadline_that_a_caller_lowers_holds_and_the_provider_is_told_to_stop(alone, stub):
    stub.plan(Plan(pause_s=5.0))
    began = time.monotonic()
    answer = ask(alone, CHAT, BODY, {"x-pilothouse-deadline-ms": "300"})
    assert answer.status == 504
    assert answer.error["code"] == "deadline"
    assert answer.headers["x-should-retry"] == "false"
    assert time.monotonic() - began < 2.5
    assert _told(stub)
    assert one(alone).stopped == "deadline"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_the_provider(stream, alone, stub):
    stub.plan(Plan(ending="stall", after=3) if stream else Plan(pause_s=5.0))
    alone.policies[AGENT] = replace(alone.policies[AGENT], limits=Limits())
    client = open_stream(alone, CHAT, {**BODY, "stream": stream})
    # The call is under way: the provider has been asked, and of a stream the client has what there will be.
    assert _until(lambda: stub.seen)
    if stream:
        time.sleep(0.3)
    client.close()
    assert _told(stub)
    call = one(alone)
    assert (call.ending, call.stopped) == (Ending.CANCELLED, "client_gone")


def test_a_client_that_takes_nothing_is_let_go_and_the_provider_is_told_to_stop(alone, stub):
    stub.plan(Plan(text=" ".join(["x" * 16_000] * 2_000)))
    # Only the client is hurried: a busy machine makes so long an answer slowly, and a second attempt would get a short one.
    alone.policies[AGENT] = replace(alone.policies[AGENT], limits=Limits(client_s=QUICK.client_s))
    client = open_stream(alone, CHAT, {**BODY, "stream": True}, receive_bytes=4096)
    assert _told(
        stub, 40.0
    )  # megabytes must pass before anything is full, which takes long on a busy machine
    call = one(alone)
    assert call.ending is Ending.CLIENT_SLOW
    assert len(call.response) < 16 << 20
    client.close()


@pytest.mark.parametrize("stream", [False, True])
def test_gzip_passes_untouched_and_is_read_for_the_record(stream, alone, stub):
    stub.plan(Plan(gzip=True))
    asked = {**BODY, "stream": stream, "stream_options": {"include_usage": True}}
    answer = ask(alone, CHAT, asked, {"accept-encoding": "gzip, br"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.body[:2] == b"\x1f\x8b"
    assert stub.seen[-1].headers["accept-encoding"] == "gzip"
    call = one(alone)
    assert call.served_model == MODEL
    assert call.usage is not None


def test_ten_megabytes_pass_both_ways(alone, stub):
    long = {**BODY, "messages": [{"role": "user", "content": "x" * (10 << 20)}]}
    stub.plan(Plan(text="y" * (10 << 20)))
    answer = ask(alone, CHAT, long)
    assert answer.status == 200
    assert stub.seen[-1].json == long
    assert len(answer.body) > 10 << 20
    assert one(alone).response == answer.body


def test_a_body_over_the_limit_is_refused_before_it_is_read(alone, stub):
    client = open_stream(alone, CHAT, None, {"content-length": str(33 << 20)})
    client.settimeout(5)
    assert b"413" in client.recv(200)
    client.close()
    assert not stub.seen


def test_a_dead_provider_is_503_and_says_where(stub):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with GatewaySite({"acme": f"http://127.0.0.1:{port}"}, pinned(("acme", MODEL))) as gateway:
        answer = ask(gateway, CHAT, BODY)
        assert answer.status == 503
        assert answer.error["code"] == "upstream_unavailable"
        assert len(one(gateway).attempts) == 4


def test_another_model_than_the_pin_is_withheld_in_the_pilot_it_is_told(alone, stub):
    stub.plan(*[Plan(model="m-2026-09-09")] * 3)
    for stream in (False, True):
        answer = ask(alone, CHAT, {**BODY, "stream": stream})
        assert answer.status == 502
        assert answer.error["code"] == "model_mismatch"
    alone.policies[AGENT] = replace(alone.policies[AGENT], refuse_mismatch=False)
    answer = ask(alone, CHAT, BODY)
    assert (answer.status, answer.headers["x-pilothouse-model"]) == (200, "m-2026-09-09")
    assert [call.mismatch for call in alone.wait_for(3)] == [True] * 3
    assert alone.gateway.counters["model_mismatch"] == 3


@pytest.mark.parametrize(
    ("model", "code", "status"),
    [
        ("gpt-4o", "pin_floating", 422),
        ("acme-latest", "pin_floating", 422),
        ("x-2026-01-01", "pin_unknown", 422),
        (None, "pin_unknown", 422),
    ],
)
def test_only_the_exact_pin_is_asked(model, code, status, alone, stub):
    answer = ask(alone, CHAT, {**BODY, "model": model})
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["x-should-retry"] == "false"
    if model == "gpt-4o":
        assert "gpt-4o-2024-11-20" in answer.error["message"]
    assert not stub.seen


def test_a_stand_in_without_evidence_is_skipped(stub, spare):
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=QUICK)
    policy = replace(policy, chain=(policy.chain[0], replace(policy.chain[1], proven=False)))
    stub.plan(*[Plan(status=500)] * 4)
    spare.seen.clear()
    with GatewaySite({"acme": stub.origin, "spare": spare.origin}, policy) as gateway:
        assert ask(gateway, CHAT, BODY).status == 500
        assert not spare.seen
    stub._plans.clear()


def test_no_region_outside_is_asked(stub):
    policy = pinned(("acme", MODEL), regions=frozenset({"eu"}))
    policy = replace(policy, chain=(replace(policy.chain[0], region="us"),))
    with GatewaySite({"acme": stub.origin}, policy) as gateway:
        answer = ask(gateway, CHAT, BODY)
    assert answer.status == 503
    assert "residency" in answer.error["message"]


def test_keys_runs_and_routes_that_are_not_the_callers(alone, stub):
    assert ask(alone, CHAT, BODY, {"authorization": "Bearer sk-own"}).error["code"] == "key_unknown"
    wrong = alone.key[:-1] + ("0" if alone.key[-1] != "0" else "1")
    assert ask(alone, CHAT, BODY, {"authorization": f"Bearer {wrong}"}).status == 401
    run = "a" * 32
    assert ask(alone, f"/r/{run}{CHAT}", BODY).headers["x-pilothouse-run"] == run
    alone.gateway._runs._owners.put(run, "another")
    assert ask(alone, f"/r/{run}{CHAT}", BODY).error["code"] == "run_not_yours"
    assert ask(alone, "/r/nonsense" + CHAT, BODY).status == 404
    alone.gateway.answers.claim(["resp_9"], "another")
    assert ask(alone, "/v1/responses/resp_9", None).status == 404
    refused = ask(alone, "/v1/audio/speech", BODY)
    assert (refused.status, refused.error["code"]) == (404, "route_unknown")
    anthropic = ask(alone, "/v1/files", None, {"anthropic-version": "2023-06-01"})
    assert json.loads(anthropic.body)["error"]["type"] == "not_found_error"
    alone.keys[alone.virtual_key.prefix] = replace(alone.virtual_key, revoked_at=alone.virtual_key.created_at)
    assert ask(alone, CHAT, BODY).error["code"] == "key_expired"


def test_a_websocket_is_refused_with_the_setting_to_turn_off(alone):
    answer = ask(alone, "/v1/responses", None, {"upgrade": "websocket", "connection": "upgrade"})
    assert answer.status == 426
    assert "transport" in answer.error["message"]


def test_a_paused_agent_gets_no_model(alone, stub):
    class _Paused(ControlState):
        def refusal_of(self, agent, **_):
            return f"{agent} is paused"

    alone.controls = _Paused()
    answer = ask(alone, CHAT, BODY)
    assert (answer.status, answer.error["code"]) == (403, "killed")
    assert not stub.seen


def test_what_a_stopped_agent_did_can_be_asked_again_while_it_is_stopped(alone, stub):
    """Else whoever looks for the cause has to let it go on first."""

    class _Stopped(ControlState):
        def refusal_of(self, agent, **_):
            return f"{agent} is paused"

    alone.controls = _Stopped()
    mine = alone.virtual_key
    alone.keys[mine.prefix] = replace(mine, environment=REPLAY_ENVIRONMENT)
    assert ask(alone, CHAT, BODY).status == 200
    alone.keys[mine.prefix] = replace(mine, environment="production")
    assert ask(alone, CHAT, BODY).status == 403
    assert len(stub.seen) == 1


def test_after_a_rollback_the_version_that_was_launched_decides(alone, stub):
    """Not what lies beside the charter: files come back before the process does, and the other way round."""
    back = Rollback(
        agent=AGENT,
        to_version="a" * 64,
        from_version=None,
        reason="wrong queue",
        actor="dana",
        at=datetime.now(UTC),
    )
    alone.controls = ControlState(rollbacks={AGENT: back})
    mine = alone.virtual_key
    for version, status in (("a" * 64, 200), ("b" * 64, 403), (None, 403)):
        alone.keys[mine.prefix] = replace(mine, version=version)
        answer = ask(alone, CHAT, BODY)
        assert answer.status == status
    assert "pilothouse rollback" in answer.error["message"], "resume would let nobody go on"
    assert len(stub.seen) == 1


def test_a_record_that_is_required_and_impossible_refuses_before_the_provider(alone, stub):
    alone.kept.trouble = "the run log cannot be written: no space left"
    answer = ask(alone, CHAT, BODY)
    assert (answer.status, answer.error["code"]) == (503, "record_required")
    assert not stub.seen


def test_a_run_stops_after_its_most_calls(alone):
    alone.policies[AGENT] = replace(alone.policies[AGENT], budget=Budget(calls_per_run=2))
    run = "b" * 32
    codes = [ask(alone, f"/r/{run}{CHAT}", BODY).status for _ in range(3)]
    assert codes == [200, 200, 422]
    assert ask(alone, CHAT, BODY).status == 200


def test_under_a_charter_that_cannot_be_read_no_provider_is_asked(stub):
    policy = replace(pinned(("acme", MODEL)), problem="charter 4 of 'triage' is in force, but cannot be read")
    with GatewaySite({"acme": stub.origin}, policy) as gateway:
        answer = ask(gateway, CHAT, BODY)
        assert not one(gateway).attempts
    assert (answer.status, answer.error["code"]) == (503, "charter_unreadable")
    assert "cannot be read" in answer.error["message"]


def test_budgets_refuse_before_they_are_passed_and_count_what_was_used(stub):
    def cost_of(provider, model, tokens, at_ns):
        del provider, at_ns
        return None if model != MODEL else (tokens.total * 10**6)

    budget = Budget(tokens_per_day=2_000, usd_per_day=Decimal("0.01"))
    policy = pinned(("acme", MODEL), budget=budget)
    with GatewaySite({"acme": stub.origin}, policy, cost_of=cost_of) as gateway:
        asked = {**BODY, "max_tokens": 500}
        statuses = [ask(gateway, CHAT, asked).status for _ in range(150)]
        spent = sum(call.usage.total for call in gateway.kept.calls if call.usage)
        first = statuses.index(403)
        assert statuses == [200] * first + [403] * (150 - first)
        assert spent <= 2_000
        assert first * 16 == spent
        assert gateway.kept.calls[0].usage == TokenCount(input=6, cache_read=4, output=6)
        assert gateway.kept.calls[0].cost_pico == 16 * 10**6
        meter = gateway.gateway.meter
        unsaved = meter.take_unsaved()
        assert next(iter(unsaved.values())).tokens == spent
        meter.give_back(unsaved)
        assert (meter.take_unsaved(), meter.take_unsaved()) == (unsaved, {}), (
            "what was not saved is due again"
        )


def test_what_other_processes_spent_counts_and_what_this_one_saved_counts_once(stub):
    policy = pinned(("acme", MODEL), budget=Budget(tokens_per_day=2_000))
    with GatewaySite({"acme": stub.origin}, policy) as gateway:
        asked, meter = {**BODY, "max_tokens": 500}, gateway.gateway.meter
        assert ask(gateway, CHAT, asked).status == 200
        ((day, agent), own) = next(iter(meter.take_unsaved().items()))
        meter.learn(day, {agent: own})
        assert ask(gateway, CHAT, asked).status == 200
        meter.learn(day, {agent: Spent(tokens=own.tokens + 1_960)})
        assert ask(gateway, CHAT, asked).status == 403


def test_a_money_budget_without_a_price_refuses(stub):
    policy = pinned(("acme", MODEL), budget=Budget(usd_per_run=Decimal(1)))
    with GatewaySite({"acme": stub.origin}, policy) as gateway:
        answer = ask(gateway, CHAT, BODY)
    assert (answer.status, answer.error["code"]) == (422, "price_unknown")
    assert f"pilothouse price acme {MODEL}" in answer.error["message"]


def test_the_credential_of_the_provider_is_in_nothing_that_comes_out(alone, stub):
    stub.plan(
        Plan(status=500),
        Plan(status=400, body=b'{"error": {"message": "bad"}}'),
        Plan(ending="reset", after=0),
    )
    told = [ask(alone, CHAT, BODY) for _ in range(3)]
    seen = b"".join(answer.raw for answer in told) + repr(alone.kept.calls).encode()
    seen += repr(alone.gateway.counters).encode()
    assert any(SECRET in str(request.headers) for request in stub.seen)
    assert SECRET.encode() not in seen
    assert alone.key.encode() not in seen


def _told(stub, timeout_s=4.0):
    return _until(lambda: stub.seen and stub.seen[-1].client_gone, timeout_s)


def _until(true, timeout_s=4.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def silence(**fields):
    now = datetime.now(UTC)
    base = {"agent": AGENT, "kind": FaultKind.MODEL_TIMEOUT, "hang_s": 0.1, "actor": "drill", "at": now}
    return ControlState(planted=(PlantedFault(**base | {"until": now + timedelta(minutes=1)} | fields),))


def test_a_silence_that_a_drill_planted_is_a_real_failure_for_the_shadow_and_nothing_for_the_live_agent(
    stub, spare
):
    stub.seen.clear()
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=QUICK)
    with GatewaySite({"acme": stub.origin, "spare": spare.origin}, policy, environment=SHADOW) as shadow:
        shadow.controls = silence()
        answer = ask(shadow, CHAT, BODY)
        assert answer.status == 503
        assert b"said nothing for 0.1 s" in answer.body
        assert stub.seen == [], "no provider is asked"
        call = one(shadow)
        assert {attempt.failure for attempt in call.attempts} == {"timeout"}
        assert {attempt.provider for attempt in call.attempts} == {"acme", "spare"}
        assert shadow.gateway._chains._breakers["acme", MODEL].state(time.monotonic()).value == "closed"
        shadow.controls = silence(until=datetime.now(UTC))
        assert ask(shadow, CHAT, BODY).status == 200, "it ends by itself"
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL), limits=QUICK)) as live:
        live.controls = silence()
        assert ask(live, CHAT, BODY).status == 200
        live.controls = silence(environment=None)
        assert ask(live, CHAT, BODY).status == 503


def test_a_stream_of_endless_pieces_keeps_few_sizes_that_still_add_up(alone, stub, monkeypatch):
    monkeypatch.setattr("pilothouse.runtime.gateway.passage.CHUNKS_MAX", 3)
    stub.plan(Plan(text="word " * 20_000))
    answer = ask(alone, CHAT, {**BODY, "stream": True})
    assert answer.status == 200
    call = one(alone)
    sizes = [size for size, _ in call.chunks]
    assert len(sizes) == 3
    assert sum(sizes) == len(call.response) == len(answer.body)


def test_who_was_not_asked_uses_up_no_attempt(stub, spare):
    """A client that wants one attempt gets it from the stand-in while the pin fails too often to be asked."""
    stub._plans.clear()
    spare._plans.clear()
    policy = pinned(("acme", MODEL), ("spare", SPARE), limits=QUICK)
    with GatewaySite({"acme": stub.origin, "spare": spare.origin}, policy) as site:
        stub.plan(*[Plan(status=500)] * 40)
        for _ in range(12):
            assert ask(site, CHAT, BODY).status == 200
        seen = len(stub.seen)
        answer = ask(site, CHAT, BODY, {"x-pilothouse-attempts": "1"})
        assert (answer.status, answer.headers.get("x-pilothouse-fallback")) == (200, "breaker_open")
        assert len(stub.seen) == seen
    stub._plans.clear()
