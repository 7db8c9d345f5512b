# SPDX-License-Identifier: Apache-2.0
"""A background response is one call: asked for once, settled once by the fetch that brings its end, unknown and never free without one.

Whichever process is asked for it: each site here is a gateway of its own, on one ledger and one run log.
"""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse
from pilothouse.core.evidence.task import TokenCount
from pilothouse.errors import StorageUnavailable
from pilothouse.interfaces.http.replay import ReplayServer
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.promises import SqlPromises
from pilothouse.ports.gateway import Spent
from pilothouse.runtime.gateway import background
from pilothouse.runtime.gateway.call import Ending
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Budget, Guard
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import ReplaySession
from pilothouse.runtime.runlog.call_sink import recorded_call
from pilothouse.runtime.runlog.recorder import open_recorder
from pilothouse.workflows.replay.run import ReplayRequest, replay_run
from pilothouse.workflows.shows.runs import show_run

openai = LateModule("openai")

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
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def opened(stub, log, ledger, policy=None, **fields):
    policy = policy or pinned(("acme", MODEL), budget=Budget(tokens_per_day=100_000))
    made = GatewaySite(
        {"acme": stub.origin, **fields.pop("providers", {})},
        policy,
        cost_of=lambda *asked: asked[2].total,
        log=log,
        promises=SqlPromises(ledger.database, **fields),
        recorded=partial(recorded_call, log),
    )
    made.ledger = ledger
    return made


@pytest.fixture
def site(stub, log, ledger):
    stub.seen.clear()
    stub._plans.clear()
    with opened(stub, log, ledger) as gateway:
        yield gateway


@pytest.fixture
def other(stub, tmp_path, ledger, site):
    """Another process: nothing that the first one has in memory, and another hand on the run log."""
    with (
        open_recorder(tmp_path / "runlog") as log,
        opened(stub, log, ledger, policy=site.policies[AGENT]) as gateway,
    ):
        gateway.keys, gateway.key, gateway.log = site.keys, site.key, log
        yield gateway


def response(state, usage=None, ident="resp_1", text="It rained."):
    said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    body = {"id": ident, "object": "response", "model": MODEL, "status": state, "background": True}
    body |= {"usage": usage, "output": said if state == "completed" else []}
    return Plan(body=json.dumps(body).encode())


STATES = ("queued", "in_progress", "completed", "failed", "incomplete", "cancelled")


def events(*states, usage=None):
    said = [
        {
            "type": f"response.{state}",
            "sequence_number": STATES.index(state),
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
    """Return what the ledger knows of today; nothing of these calls is only in memory."""
    assert site.gateway.meter.take_unsaved() == {}
    return SqlGatewayStore(site.ledger.database).spent(datetime.now(UTC).date())[AGENT]


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
    assert (call.call_id, call.run, len(call.attempts)) == (reserved.call_id, reserved.run, 1)
    assert (call.usage, call.cost_pico, call.ending) == (USED, 5_900, Ending.DONE)
    assert spent(site) == Spent(usd_pico=5_900, tokens=5_900, calls=1)
    log.flush()
    written = [event.event for event in log.read(call.run).events]
    (asked,) = [one for one in written if isinstance(one, ModelRequest)]
    promised, answered = [one for one in written if isinstance(one, ModelResponse)]
    assert (json.loads(promised.body)["status"], promised.usage) == ("queued", None)
    assert json.loads(asked.body) == BODY
    assert json.loads(answered.body)["status"] == "completed"
    assert answered.usage["reasoning"] == 3_000
    said = show_run(log, AGENT, call.run, datetime.now(UTC)).model_dump_json()
    assert said.count("It rained.") == 1, "a promise says nothing"


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


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_an_agent_does_with_an_answer_that_is_kept_for_it_is_replayed_too(is_stream, site, stub, log):
    def work(base_url, key):
        with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
            asked = client.responses.create(
                model=MODEL, input="Write a long report.", background=not is_stream, stream=is_stream
            )
            said = [event.response for event in asked if hasattr(event, "response")] if is_stream else [asked]
            ident = said[-1].id
            while (found := client.responses.retrieve(ident)).status in {"queued", "in_progress"}:
                pass
            found = client.responses.retrieve(ident)
            client.responses.cancel(ident)
            client.responses.delete(ident)
            return found.output_text

    done, gone = response("completed", USAGE), Plan(body=b'{"id": "resp_1", "deleted": true}')
    first = Plan(text="It rained.") if is_stream else response("queued")
    stub.plan(first, *[done] * 3, gone)
    run = "ab" * 16
    assert work(f"{site.origin}/r/{run}/v1", site.key) == "It rained."
    of_models(site, 1)
    log.flush()
    session = ReplaySession(exchanges(log.read(run)), ReplayMode.STRICT, log.redaction)
    with ReplayServer({run: session}) as server:
        assert work(f"{server.origin}/gw/r/{run}/v1", "x") == "It rained."
        with openai.OpenAI(base_url=f"{server.origin}/v1", api_key="x", max_retries=0) as client:
            assert session.first_divergence() is None
            for ask in (client.responses.retrieve, client.responses.input_items.list):
                with pytest.raises(openai.UnprocessableEntityError, match="extra"):
                    ask("resp_2" if ask == client.responses.retrieve else "resp_1")


def test_a_run_whose_answer_nobody_fetched_is_replayed_up_to_the_promise(site, stub, log, monkeypatch):
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    call = begun(site)
    for _ in range(2):
        log.flush()
        (report,) = replay_run(log.read(call.run), log.redaction, ReplayRequest(), None)
        assert report.is_equal
        monkeypatch.setattr(background, "WAIT_S", -1.0)
        site.gateway.end_overdue()


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
    assert spent(site) == first
    assert (first.calls, first.estimated) == (1, 1)


def test_an_answer_that_nobody_fetches_is_kept_as_unknown(site, stub, monkeypatch):
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    begun(site)
    first = spent(site)
    site.gateway.end_overdue()
    assert of_models(site, 0) == []
    monkeypatch.setattr(background, "WAIT_S", -1.0)
    for _ in range(2):
        site.gateway.end_overdue()
    (call,) = of_models(site, 1)
    assert call.usage is None
    assert spent(site) == first
    assert first.usd_pico > 0
    assert site.gateway.counters["background_unanswered"] == 1


def test_one_agent_waits_for_no_more_answers_than_there_is_room(stub, log, ledger):
    stub._plans.clear()
    stub.plan(*[response("queued", ident=f"resp_{number}") for number in range(5)])
    with opened(stub, log, ledger, promises_max=2) as site:
        for _ in range(5):
            assert ask(site, RESPONSES, BODY).status == 200
        assert [call.usage for call in of_models(site, 3)] == [None] * 3
        assert len(site.kept.begun) == 2
        assert site.gateway.counters["background_unanswered"] == 3
        (unsaved,) = site.gateway.meter.take_unsaved().values()
        assert (unsaved.calls, unsaved.estimated) == (3, 3)
        assert unsaved.tokens > 3 * 4_000, "an answer that nobody will see is no free one"


def test_two_promises_of_one_id_are_two_calls(site, stub):
    stub.plan(response("queued"), response("queued"), response("completed", USAGE))
    for _ in range(2):
        ask(site, RESPONSES, BODY)
    assert of_models(site, 1)[0].usage is None
    fetch(site)
    assert [call.usage for call in of_models(site, 2)] == [None, USED]
    assert spent(site).calls == 2


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_an_answer_is_fetched_from_the_stand_in_that_has_it(is_elsewhere, stub, log, ledger):
    stub._plans.clear()
    seen = len(stub.seen)
    policy = pinned(("acme", MODEL), ("spare", SPARE))
    with ProviderStub() as spare:
        sites = [opened(stub, log, ledger, policy, providers={"spare": spare.origin}) for _ in range(2)]
        sites[1].keys, sites[1].key = sites[0].keys, sites[0].key
        stub.plan(Plan(status=500), Plan(status=500))
        spare.plan(
            Plan(body=response("queued").body.replace(MODEL.encode(), SPARE.encode())),
            Plan(body=response("completed", USAGE).body.replace(MODEL.encode(), SPARE.encode())),
        )
        with sites[0], sites[1]:
            assert ask(sites[0], RESPONSES, BODY).status == 200
            begun(sites[0])
            asked = sites[is_elsewhere]
            assert fetch(asked)[1]["status"] == "completed"
            (call,) = of_models(asked, 1)
        assert (call.usage, call.served_by, call.served_model) == (USED, "spare", SPARE)
        assert [one.method for one in spare.seen] == ["POST", "GET"]
        assert [one.method for one in stub.seen[seen:]] == ["POST", "POST"]


def test_an_answer_is_fetched_where_it_is_although_the_charter_names_another_provider_by_now(
    stub, log, ledger
):
    stub._plans.clear()
    with ProviderStub() as spare:
        site = opened(stub, log, ledger, pinned(("spare", SPARE)), providers={"spare": spare.origin})
        asked = {**BODY, "model": SPARE}
        spare.plan(*[Plan(body=response("queued").body.replace(MODEL.encode(), SPARE.encode()))] * 2)
        spare.plan(Plan(body=response("completed", USAGE).body.replace(MODEL.encode(), SPARE.encode())))
        with site:
            ask(site, RESPONSES, asked)
            begun(site)
            site.policies[AGENT] = pinned(("acme", MODEL))
            assert fetch(site)[1]["status"] == "queued"
            providers, site.providers = site.providers, {"acme": site.providers["acme"]}
            seen = len(stub.seen)
            assert fetch(site)[0] == 503
            assert len(stub.seen) == seen, "who does not have it would say that there is no such answer"
            site.providers = providers
            assert fetch(site)[1]["status"] == "completed"
            (call,) = of_models(site, 1)
        assert (call.usage, call.served_by) == (USED, "spare")


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


def test_a_stream_that_is_read_again_from_where_its_client_stopped_is_on_record_once_and_replayed(
    site, stub, log
):
    """More had been sent than the client read: what came twice stood twice in the record."""
    kinds = ("queued", "in_progress", "completed")
    stub.plan(events(*kinds[:2]), events(*kinds[1:], usage=USAGE))
    ask(site, RESPONSES, {**BODY, "stream": True})
    begun(site)
    resumed = fetch(site, "/resp_1?stream=true&starting_after=0")[1]
    (call,) = of_models(site, 1)
    assert [call.response.count(f'"type": "response.{kind}"'.encode()) for kind in kinds] == [1, 1, 1]
    log.flush()
    session = ReplaySession(exchanges(log.read(call.run)), ReplayMode.STRICT, log.redaction)
    served = session.take("/v1/responses", call.request)
    assert served.exchange.response.body == call.response
    kept = partial(session.kept_answer, "GET", "/v1/responses/resp_1")
    assert kept(b"stream=true&starting_after=0") == ("text/event-stream", resumed)
    assert kept(b"stream=true") == ("text/event-stream", call.response)
    assert kept(b"stream=true&starting_after=9") == ("text/event-stream", b"")
    assert kept(b"")[0] == "application/json"


def test_a_background_stream_that_comes_to_its_end_waits_for_nothing(site, stub):
    stub.plan(events("queued", "in_progress", "completed", usage=USAGE))
    ask(site, RESPONSES, {**BODY, "stream": True})
    assert of_models(site, 1)[0].usage == USED
    assert site.kept.begun == []
    assert SqlPromises(site.ledger.database).find("resp_1") == ()


def test_an_answer_that_another_process_fetches_settles_the_call_there(site, other, stub):
    stub.plan(response("queued"), response("in_progress"), response("completed", USAGE))
    ask(site, RESPONSES, BODY)
    asked = begun(site)
    assert spent(site).estimated == 1
    assert [fetch(other)[1]["status"] for _ in range(2)] == ["in_progress", "completed"]
    (call,) = of_models(other, 1)
    assert (call.run, call.call_id, call.began_ns) == (asked.run, asked.call_id, asked.began_ns)
    assert (call.usage, call.cost_pico, call.request) == (USED, 5_900, asked.request)
    assert spent(other) == Spent(usd_pico=5_900, tokens=5_900, calls=1)
    assert of_models(site, 0) == []
    other.log.flush()
    recorded = other.log.read(call.run)
    assert recorded.damage is None
    assert [one.event.kind for one in recorded.events] == [
        "run.open", "model.request", "model.response", "model.response",
    ]  # fmt: skip
    assert recorded.events[-1].event.usage["output"] == 2_000
    (report,) = replay_run(recorded, other.log.redaction, ReplayRequest(), None)
    assert (report.is_equal, report.recorded.text) == (True, "It rained.")


def test_the_process_that_asked_learns_what_its_agent_has_spent(site, other, stub):
    stub.plan(response("queued"), response("completed", {**USAGE, "output_tokens": 98_000}))
    ask(site, RESPONSES, BODY)
    begun(site)
    fetch(other)
    of_models(other, 1)
    today, store = datetime.now(UTC).date(), SqlGatewayStore(site.ledger.database)
    for one in (site, other):
        assert one.gateway.meter.take_unsaved() == {}
        one.gateway.meter.learn(today, store.spent(today))
        refused = ask(one, RESPONSES, {**BODY, "max_output_tokens": 2_000})
        assert refused.status == 403
        assert b"98,900 of 100,000 tokens are spent" in refused.body


def test_an_answer_that_several_processes_fetch_at_once_is_settled_once(site, other, stub):
    stub.plan(response("queued"), *[response("completed", USAGE)] * 8)
    ask(site, RESPONSES, BODY)
    begun(site)
    with ThreadPoolExecutor(8) as pool:
        fetched = list(pool.map(fetch, [site, other] * 4))
    assert [body["status"] for _, body in fetched] == ["completed"] * 8
    end = time.monotonic() + 5
    while len(site.kept.calls) + len(other.kept.calls) < 9:
        assert time.monotonic() < end
        time.sleep(0.01)
    settled = [call for one in (site, other) for call in one.kept.calls if call.route.names_model]
    assert [call.usage for call in settled] == [USED]
    assert spent(site) == Spent(usd_pico=5_900, tokens=5_900, calls=1)


def test_an_answer_that_nobody_fetches_from_a_process_that_is_no_more_is_kept_by_another(
    site, other, stub, monkeypatch
):
    stub.plan(response("queued"))
    ask(site, RESPONSES, BODY)
    asked = begun(site)
    first = spent(site)
    monkeypatch.setattr(background, "WAIT_S", -1.0)
    other.gateway.end_overdue()
    site.gateway.end_overdue()
    (call,) = of_models(other, 1)
    assert (call.call_id, call.usage, call.request) == (asked.call_id, None, asked.request)
    assert of_models(site, 0) == []
    assert spent(site) == first


def test_another_agent_is_not_told_an_answer_by_a_process_that_has_given_it_to_nobody(site, other, stub):
    key, prefix, digest = make_key()
    site.keys[prefix] = replace(site.virtual_key, prefix=prefix, digest=digest, agent="other")
    stub.plan(response("queued"), response("completed", USAGE))
    ask(site, RESPONSES, BODY)
    begun(site)
    other.key = key
    assert fetch(other)[0] == 404
    other.key = site.key
    assert fetch(other)[1]["status"] == "completed"


def test_where_no_promise_can_be_kept_the_call_is_over_and_unknown(site, stub, monkeypatch):
    def fails(*_):
        raise StorageUnavailable("the ledger is locked", remedy="")

    stub.plan(response("queued"), response("completed", USAGE))
    monkeypatch.setattr(site.gateway._background._promises, "keep", fails)
    assert ask(site, RESPONSES, BODY).status == 200
    (call,) = of_models(site, 1)
    assert call.usage is None
    (unsaved,) = site.gateway.meter.take_unsaved().values()
    assert (unsaved.calls, unsaved.estimated) == (1, 1)
    assert unsaved.tokens > 4_000
    assert site.gateway.counters["promises_lost"] == 1
    assert fetch(site)[1]["status"] == "completed"


def test_where_nobody_can_say_whose_call_an_answer_belongs_to_it_is_not_fetched_unpaid(
    site, stub, monkeypatch
):
    def fails(*_):
        raise StorageUnavailable("the ledger is locked", remedy="")

    stub.plan(response("queued"), response("completed", USAGE))
    ask(site, RESPONSES, BODY)
    begun(site)
    asked = len(stub.seen)
    with monkeypatch.context() as patched:
        patched.setattr(site.gateway._background._promises, "find", fails)
        status, told = fetch(site)
        assert (status, told["error"]["code"], len(stub.seen)) == (503, "record_required", asked)
    assert fetch(site)[1]["status"] == "completed"
    assert of_models(site, 1)[0].usage is not None


def test_what_a_charter_checks_cannot_be_fetched_past_the_check(stub):
    stub._plans.clear()
    seen = len(stub.seen)
    policy = pinned(("acme", MODEL), guard=Guard(schema="{}", on_invalid="hold", repairs=0))
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as gateway:
        answer = ask(gateway, RESPONSES, BODY)
    assert answer.status == 422
    assert b"background_unchecked" in answer.body
    assert len(stub.seen) == seen
