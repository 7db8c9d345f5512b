# SPDX-License-Identifier: Apache-2.0
"""A background response is one call: asked for once, settled once by the fetch that brings its end, unknown and never free without one."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import openai
import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse
from pilothouse.core.evidence.task import TokenCount
from pilothouse.errors import EvidenceError
from pilothouse.runtime.gateway import background
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Budget, Guard
from pilothouse.runtime.runlog.recorder import open_recorder
from pilothouse.workflows.replay.run import ReplayRequest, replay_run

RESPONSES = "/v1/responses"
BODY = {"model": MODEL, "input": "Write a long report.", "background": True}
USAGE = {
    "input_tokens": 900,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 5_000,
    "output_tokens_details": {"reasoning_tokens": 3_000},
}
USED = TokenCount(input=500, cache_read=400, output=2_000, reasoning=3_000)


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def log(tmp_path):
    with open_recorder(tmp_path / "runlog") as opened:
        yield opened


@pytest.fixture
def site(stub, log):
    stub.seen.clear()
    stub._plans.clear()
    policy = pinned(("acme", MODEL), budget=Budget(tokens_per_day=100_000))
    with GatewaySite(
        {"acme": stub.origin}, policy, cost_of=lambda *asked: asked[2].total, log=log
    ) as gateway:
        yield gateway


def response(state, usage=None, ident="resp_1", text="It rained."):
    said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    body = {"id": ident, "object": "response", "model": MODEL, "status": state, "background": True}
    body |= {"usage": usage, "output": said if state == "completed" else []}
    return Plan(body=json.dumps(body).encode())


def events(*states, usage=None):
    said = [
        {
            "type": f"response.{state}",
            "response": json.loads(response(state, usage if state == "completed" else None).body),
        }
        for state in states
    ]
    body = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in said)
    return Plan(body=body, headers={"content-type": "text/event-stream"})


def fetch(site, path="/resp_1", method="GET"):
    client = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        client.request(method, f"/gw{RESPONSES}{path}", headers={"authorization": f"Bearer {site.key}"})
        answer = client.getresponse()
        return answer.status, json.loads(answer.read() or b"null") if "stream" not in path else answer.read()
    finally:
        client.close()


def of_models(site, count):
    """Return the calls of a model that were kept, once there are so many."""
    end = time.monotonic() + 5
    while len(found := [call for call in site.kept.calls if call.route.names_model]) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} calls were kept"
        time.sleep(0.01)
    return found


def spent(site):
    return site.gateway.meter.take_unsaved()[datetime.now(UTC).date(), AGENT]


def begun(site):
    end = time.monotonic() + 5
    while not site.kept.begun:
        assert time.monotonic() < end
        time.sleep(0.01)
    return site.kept.begun[0]


def test_the_fetch_that_brings_the_end_settles_the_call_once(site, stub, log):
    stub.plan(
        response("queued"), response("queued"), response("in_progress"), *[response("completed", USAGE)] * 2
    )
    assert ask(site, RESPONSES, BODY).status == 200
    reserved = begun(site)
    first = spent(site)
    assert (first.calls, first.estimated) == (1, 1)
    assert first.tokens == first.usd_pico > 4_000
    assert [fetch(site)[1]["status"] for _ in range(4)] == ["queued", "in_progress", "completed", "completed"]
    (call,) = of_models(site, 1)
    assert call is reserved
    assert (call.usage, call.cost_pico, call.ending) == (USED, 5_900, Ending.DONE)
    then = spent(site)
    assert (first.usd_pico + then.usd_pico, first.tokens + then.tokens) == (5_900, 5_900)
    assert (then.calls, then.estimated) == (0, -1)
    log.flush()
    written = [event.event for event in log.read(call.run).events]
    (asked,) = [one for one in written if isinstance(one, ModelRequest)]
    (answered,) = [one for one in written if isinstance(one, ModelResponse)]
    assert json.loads(asked.body) == BODY
    assert json.loads(answered.body)["status"] == "completed"
    assert answered.usage["reasoning"] == 3_000


def test_the_official_client_polls_and_its_run_is_replayed_by_its_answer(site, stub, log):
    stub.plan(response("queued"), response("in_progress"), response("completed", USAGE))
    with openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client:
        asked = client.responses.create(model=MODEL, input="Write a long report.", background=True)
        while asked.status in {"queued", "in_progress"}:
            asked = client.responses.retrieve(asked.id)
    assert asked.output_text == "It rained."
    (call,) = of_models(site, 1)
    assert call.usage == USED
    log.flush()
    (report,) = replay_run(log.read(call.run), log.redaction, ReplayRequest(), None)
    assert (report.is_equal, report.recorded.text) == (True, "It rained.")


def test_a_run_whose_answer_nobody_fetched_is_replayed_up_to_the_promise(site, stub, log):
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    call = begun(site)
    log.flush()
    with pytest.raises(EvidenceError, match="no model call that was answered"):
        replay_run(log.read(call.run), log.redaction, ReplayRequest(), None)
    site.gateway.give_up_waiting()
    log.flush()
    (report,) = replay_run(log.read(call.run), log.redaction, ReplayRequest(), None)
    assert report.is_equal


def test_a_call_that_waits_is_on_record_before_its_answer(site, stub, log):
    """Or a process that is killed would have made a call that no record knows."""
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    call = begun(site)
    log.flush()
    assert any(isinstance(event.event, ModelRequest) for event in log.read(call.run).events)
    assert site.kept.calls == []


@pytest.mark.parametrize(
    "brought", [Plan(status=404), response("failed"), response("cancelled"), response("completed")]
)
def test_an_answer_without_usage_is_unknown_and_keeps_what_was_reserved(brought, site, stub):
    stub.plan(response("queued"), brought)
    ask(site, RESPONSES, BODY)
    begun(site)
    first = spent(site)
    fetch(site)
    (call,) = of_models(site, 1)
    assert (call.usage, call.cost_pico) == (None, None)
    then = spent(site)
    assert (then.usd_pico, then.tokens, then.calls, then.estimated) == (0, 0, 0, 0)
    assert first.estimated == 1


def test_an_answer_that_nobody_fetches_is_kept_as_unknown(site, stub, monkeypatch):
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    begun(site)
    first = spent(site)
    monkeypatch.setattr(background, "WAIT_S", -1.0)
    fetch(site, "/resp_of_nobody")
    (call,) = of_models(site, 1)
    assert call.usage is None
    assert spent(site).usd_pico == 0 < first.usd_pico
    assert site.gateway.counters["background_unanswered"] == 1


def test_waiting_requests_hold_no_more_than_their_room(site, stub, monkeypatch):
    monkeypatch.setattr(background, "CALLS_MAX", 2)
    stub.plan(*[response("queued", ident=f"resp_{number}") for number in range(5)])
    for _ in range(5):
        ask(site, RESPONSES, BODY)
    assert len(of_models(site, 3)) == 3
    site.gateway.give_up_waiting()
    assert len(of_models(site, 5)) == 5


def test_two_promises_of_one_id_are_two_calls(site, stub):
    stub.plan(response("queued"), response("queued"), response("completed", USAGE))
    for _ in range(2):
        ask(site, RESPONSES, BODY)
    assert of_models(site, 1)[0].usage is None
    fetch(site)
    assert [call.usage for call in of_models(site, 2)] == [None, USED]
    assert len(site.gateway._background) == site.gateway._background._bytes == 0


def test_an_answer_is_fetched_from_the_stand_in_that_has_it(stub, log):
    stub._plans.clear()
    policy = pinned(("acme", MODEL), ("spare", SPARE))
    with (
        ProviderStub() as other,
        GatewaySite({"acme": stub.origin, "spare": other.origin}, policy, log=log) as gateway,
    ):
        stub.plan(Plan(status=500), Plan(status=500))
        other.plan(
            Plan(body=response("queued").body.replace(MODEL.encode(), SPARE.encode())),
            Plan(body=response("completed", USAGE).body.replace(MODEL.encode(), SPARE.encode())),
        )
        assert ask(gateway, RESPONSES, BODY).status == 200
        begun(gateway)
        assert fetch(gateway)[1]["status"] == "completed"
        (call,) = of_models(gateway, 1)
        assert (call.usage, call.served_by) == (USED, "spare")
        assert [one.method for one in other.seen] == ["POST", "GET"]


def test_a_deletion_ends_the_waiting(site, stub):
    stub.plan(response("in_progress"), Plan(body=b'{"id": "resp_1", "deleted": true}'))
    ask(site, RESPONSES, BODY)
    begun(site)
    assert fetch(site, method="DELETE")[0] == 200
    assert of_models(site, 1)[0].usage is None


def test_the_response_of_another_agent_settles_nothing(site, stub):
    """Neither is its end known here, nor may one agent finish the call of another."""
    key, prefix, digest = make_key()
    site.keys[prefix] = replace(site.virtual_key, prefix=prefix, digest=digest, agent="other")
    stub.plan(response("queued"), response("completed", USAGE))
    ask(site, RESPONSES, BODY)
    begun(site)
    own, site.key = site.key, key
    assert fetch(site)[0] == 404
    site.key = own
    assert fetch(site)[1]["status"] == "completed"
    assert of_models(site, 1)[0].usage == USED


def test_a_stream_that_its_client_has_left_is_gone_on_with_and_settled(site, stub, log):
    stub.plan(events("queued", "in_progress"), events("in_progress", "completed", usage=USAGE))
    ask(site, RESPONSES, {**BODY, "stream": True})
    begun(site)
    assert b"completed" in fetch(site, "/resp_1?stream=true&starting_after=1")[1]
    (call,) = of_models(site, 1)
    assert (call.usage, call.answer_state) == (USED, "completed")
    assert call.response.count(b'"type": "response.queued"') == 1
    assert call.response.count(b'"type": "response.completed"') == 1


def test_a_background_stream_that_comes_to_its_end_waits_for_nothing(site, stub):
    stub.plan(events("queued", "in_progress", "completed", usage=USAGE))
    ask(site, RESPONSES, {**BODY, "stream": True})
    assert of_models(site, 1)[0].usage == USED
    assert site.kept.begun == []


def test_what_a_charter_checks_cannot_be_fetched_past_the_check(stub):
    stub._plans.clear()
    seen = len(stub.seen)
    policy = pinned(("acme", MODEL), guard=Guard(schema="{}", on_invalid="hold", repairs=0))
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as gateway:
        answer = ask(gateway, RESPONSES, BODY)
    assert answer.status == 422
    assert b"background_unchecked" in answer.body
    assert len(stub.seen) == seen
