# SPDX-License-Identifier: Apache-2.0
"""Answers that break the output schema: repaired, held for a person across a restart, rejected, and counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.stubs.gateway_site import AGENT, MODEL, SPARE, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.evidence.evidence import Binding
from pilothouse.core.evidence.run_log import OutputHeld
from pilothouse.errors import LimitExceeded, StorageUnavailable
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.holds import Hold, HoldState
from pilothouse.runtime.gateway.guard import AnswerCount, Guardian
from pilothouse.runtime.gateway.policy import ConfidenceRule, Guard
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.answers import record_answers

SCHEMA = json.dumps({"type": "object", "required": ["place"], "properties": {"place": {"type": "string"}}})
GOOD, BAD = Plan(text='{"place": "Hamburg"}'), Plan(text='{"place": 7}')
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "where?"}]}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def site(stub, holds, on_invalid="hold", repairs=1, provider="acme", *, log=None):
    stub.seen.clear()
    stub._plans.clear()
    policy = pinned((provider, MODEL), guard=Guard(schema=SCHEMA, on_invalid=on_invalid, repairs=repairs))
    return GatewaySite({provider: stub.origin}, policy, guardian=Guardian(holds), log=log)


def counts_of(gateway):
    return gateway.gateway._guardian.take_counts().get((AGENT, None, None))


def test_a_valid_answer_passes_byte_for_byte(stub, ledger):
    with site(stub, SqlHolds(ledger.database)) as gateway:
        stub.plan(GOOD)
        answer = ask(gateway, CHAT, BODY)
        assert answer.status == 200
        assert "x-pilothouse-edited" not in answer.headers
        assert counts_of(gateway) == AnswerCount(delivered=1)


@pytest.mark.parametrize(("path", "provider"), [(CHAT, "acme"), (RESPONSES, "acme"), (MESSAGES, "anthropic")])
def test_an_invalid_answer_is_asked_for_again_with_its_error_and_paid_for(path, provider, stub, ledger):
    body = {"model": MODEL, "input": "where?"} if path == RESPONSES else {**BODY, "max_tokens": 9}
    with site(stub, SqlHolds(ledger.database), provider=provider) as gateway:
        stub.plan(BAD, GOOD)
        answer = ask(gateway, path, body)
        (call,) = gateway.wait_for(1)
        assert answer.status == 200
        assert "Hamburg" in answer.body.decode()
        assert answer.headers["x-pilothouse-edited"] == "repair"
        assert answer.headers["x-pilothouse-attempts"] == "2"
        told = stub.seen[1].json["input" if path == RESPONSES else "messages"]
        assert "$.place: 7 is not of type 'string'" in told[-1]["content"]
        assert call.usage.output == 12
        assert counts_of(gateway) == AnswerCount(delivered=1, repaired=1)


def test_a_stand_in_is_asked_again_under_its_own_name(stub):
    stub.seen.clear()
    stub._plans.clear()
    guard = Guard(schema=SCHEMA, on_invalid="reject", repairs=1)
    policy = pinned(("acme", MODEL), ("acme", SPARE), guard=guard)
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as gateway:
        stub.plan(Plan(status=500), Plan(status=500), BAD, GOOD)
        answer = ask(gateway, CHAT, BODY)
        (call,) = gateway.wait_for(1)
    assert (answer.status, answer.headers["x-pilothouse-model"], call.repairs) == (200, SPARE, 1)
    assert [json.loads(one.body)["model"] for one in stub.seen][-2:] == [SPARE, SPARE]


def test_what_a_stand_in_says_is_counted_and_held_under_its_own_version(stub, ledger):
    """It counted as an answer of the pinned version, which had not answered."""
    stub.seen.clear()
    stub._plans.clear()
    guard = Guard(schema=SCHEMA, on_invalid="hold", repairs=0)
    policy = replace(pinned(("acme", MODEL), ("acme", SPARE), guard=guard), version="a" * 64)
    pin, spare = policy.chain
    policy = replace(policy, chain=(pin, replace(spare, version="b" * 64)))
    guardian = Guardian(SqlHolds(ledger.database))
    with GatewaySite({"acme": stub.origin}, policy, guardian=guardian) as gateway:
        down = (Plan(status=500), Plan(status=500))
        stub.plan(GOOD, *down, GOOD, *down, BAD)
        for _ in range(3):
            ask(gateway, CHAT, BODY)
        gateway.wait_for(3)
    assert guardian.take_counts() == {
        (AGENT, "a" * 64, None): AnswerCount(delivered=1),
        (AGENT, "b" * 64, None): AnswerCount(delivered=1, stopped=1),
    }
    (held,) = SqlReviewQueue(ledger.database).items(AGENT)
    assert held.item.version == "b" * 64


def test_a_repair_by_another_model_than_the_one_that_answered_is_none(stub):
    with site(stub, None, on_invalid="reject") as gateway:
        stub.plan(BAD, Plan(text=GOOD.text, model="another-2026-03-03"))
        answer = ask(gateway, CHAT, BODY)
    assert (answer.status, answer.error["code"]) == (502, "output_invalid")


def test_what_no_repair_cures_is_rejected(stub):
    with site(stub, None, on_invalid="reject") as gateway:
        stub.plan(BAD, BAD)
        answer = ask(gateway, CHAT, BODY)
        assert (answer.status, answer.error["code"]) == (502, "output_invalid")
        assert answer.headers["x-should-retry"] == "false"
        assert len(stub.seen) == 2
        assert counts_of(gateway) == AnswerCount(stopped=1)


def test_a_request_for_tools_is_no_answer(stub):
    calls = {
        "choices": [
            {"message": {"tool_calls": [{"id": "1"}], "content": None}, "finish_reason": "tool_calls"}
        ],
        "model": MODEL,
    }
    with site(stub, None, on_invalid="reject") as gateway:
        stub.plan(Plan(body=json.dumps(calls).encode()))
        assert ask(gateway, CHAT, BODY).status == 200
        assert counts_of(gateway) is None


def test_that_an_answer_is_held_and_why_stands_in_the_record_of_its_run(stub, ledger, tmp_path):
    with Recorder(tmp_path) as log, site(stub, SqlHolds(ledger.database), repairs=0, log=log) as gateway:
        stub.plan(BAD)
        hold = ask(gateway, CHAT, BODY).headers["x-pilothouse-held"]
        ask(gateway, CHAT, BODY, {"x-pilothouse-hold": hold})
        gateway.wait_for(2)
        log.flush()
        events = [one.event for run in log.runs() for one in log.read(run.run).events]
    (held,) = [event for event in events if isinstance(event, OutputHeld)]
    assert (held.hold, "schema" in held.reason) == (hold, True)


def test_a_held_answer_survives_a_restart_and_is_never_released_by_itself(stub, ledger):
    with site(stub, SqlHolds(ledger.database), repairs=0) as gateway:
        stub.plan(BAD)
        answer = ask(gateway, CHAT, BODY)
        hold = answer.headers["x-pilothouse-held"]
        said = json.loads(answer.body)["choices"][0]["message"]["content"]
        assert hold in said
        assert "7" not in said.replace(hold, "")
        assert counts_of(gateway) == AnswerCount(stopped=1)
    with site(stub, SqlHolds(ledger.database), repairs=0) as restarted:
        again = ask(restarted, CHAT, BODY, {"x-pilothouse-hold": hold})
        assert (again.status, again.headers["x-pilothouse-held"]) == (200, hold)
        assert not stub.seen
    SqlHolds(ledger.database).expire(datetime.now(UTC) + timedelta(days=2))
    with site(stub, SqlHolds(ledger.database), repairs=0) as later:
        expired = ask(later, CHAT, BODY, {"x-pilothouse-hold": hold})
        assert (expired.status, expired.error["code"]) == (502, "output_rejected")
        assert "expired" in expired.error["message"]
        assert ask(later, CHAT, BODY, {"x-pilothouse-hold": "nothing"}).status == 404


@pytest.mark.parametrize(
    ("state", "output", "status", "told"),
    [
        (HoldState.CORRECTED, '{"place": "Kiel"}', 200, "Kiel"),
        (HoldState.REJECTED, None, 502, "it is rejected: not ours"),
    ],
)
def test_an_answer_that_a_person_has_decided_before_is_not_asked_about_again(
    state, output, status, told, stub
):
    class Decided:
        def hold(self, held):
            return Hold(
                hold_id="h1", agent=held.agent, trace_id=held.trace_id, call_digest=held.call_digest, state=state,
                output=output, note="not ours", deadline=held.deadline,
            )  # fmt: skip

    with site(stub, Decided(), repairs=0) as gateway:
        stub.plan(BAD)
        answer = ask(gateway, CHAT, BODY)
    assert answer.status == status
    assert told in answer.body.decode()


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("state", [HoldState.RELEASED, HoldState.CORRECTED])
def test_the_decision_of_a_person_replaces_the_answer(path, state, stub):
    class _Decided:
        def read(self, hold_id, now):
            return Hold(
                hold_id=hold_id,
                agent=AGENT,
                trace_id="a" * 32,
                call_digest="d",
                state=state,
                output='{"place": "Kiel"}',
                deadline=now,
            )

    body = {"model": MODEL, "input": "where?"} if path == RESPONSES else BODY
    with site(stub, _Decided()) as gateway:
        answer = json.loads(ask(gateway, path, body, {"x-pilothouse-hold": "h1"}).body)
    found = (
        answer["output"][0]["content"][0]["text"]
        if path == RESPONSES
        else answer["choices"][0]["message"]["content"]
    )
    assert found == '{"place": "Kiel"}'


@pytest.mark.parametrize(
    ("threshold", "text", "is_held"),
    [
        (0.7, '{"place": "Kiel", "sure": 0.9}', False),
        (0.7, '{"place": "Kiel", "sure": 0.6}', True),
        (None, '{"place": "Kiel", "sure": 0.99}', True),
        (0.7, '{"place": "Kiel", "sure": 90}', True),
        (0.7, '{"place": "Kiel"}', True),
    ],
)
def test_an_answer_goes_out_alone_only_when_it_is_surer_than_a_valid_threshold(
    threshold, text, is_held, stub, ledger
):
    stub._plans.clear()
    policy = pinned(("acme", MODEL), confidence=ConfidenceRule(field="sure", threshold=threshold))
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(SqlHolds(ledger.database))) as gateway:
        stub.plan(Plan(text=text))
        answer = ask(gateway, CHAT, BODY)
        (call,) = gateway.wait_for(1)
        assert ("x-pilothouse-held" in answer.headers, "Kiel" in answer.body.decode()) == (
            is_held,
            not is_held,
        )
        assert call.proposal == (text if is_held else "")
        waited = ask(
            gateway, CHAT, BODY, {"x-pilothouse-hold": call.hold_id or "", "x-pilothouse-hold-wait-ms": "600"}
        )
        assert waited.status == (200 if is_held else 404)
    held = SqlReviewQueue(ledger.database).items(AGENT)
    assert [one.item.confidence for one in held] == ([call.confidence] if is_held else [])


@pytest.mark.parametrize("asked", [MODEL, SPARE])
def test_a_threshold_of_the_pin_lets_no_answer_of_a_stand_in_out(asked, stub, ledger):
    """It was proven with the answers of the pin; how sure another model is says something else, whoever asked for it."""
    stub._plans.clear()
    rule = ConfidenceRule(field="sure", threshold=0.7)
    policy = pinned(("acme", MODEL), ("spare", SPARE), confidence=rule)
    sites = dict.fromkeys(("acme", "spare"), stub.origin)
    with GatewaySite(sites, policy, guardian=Guardian(SqlHolds(ledger.database))) as gateway:
        if asked == MODEL:
            stub.plan(Plan(status=500), Plan(status=500))
        stub.plan(Plan(text='{"place": "Kiel", "sure": 0.9}'))
        answer = ask(gateway, CHAT, {**BODY, "model": asked})
    assert answer.headers["x-pilothouse-deployment"] == "spare"
    assert "x-pilothouse-held" in answer.headers
    (held,) = SqlReviewQueue(ledger.database).items(AGENT)
    assert held.item.confidence == 0.9


@pytest.mark.parametrize(
    "held_for",
    [
        {"guard": Guard(schema=SCHEMA, on_invalid="hold", repairs=0)},
        {"confidence": ConfidenceRule(field="sure")},
    ],
)
def test_a_person_has_the_time_that_the_charter_says_whatever_an_answer_is_held_for(held_for, stub, ledger):
    stub._plans.clear()
    policy = pinned(("acme", MODEL), hold_life=timedelta(hours=4), **held_for)
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(SqlHolds(ledger.database))) as gateway:
        stub.plan(Plan(text='{"place": 7, "sure": 0.6}'))
        ask(gateway, CHAT, BODY)
        (call,) = gateway.wait_for(1)
    hold = SqlHolds(ledger.database).read(call.hold_id, datetime.now(UTC))
    assert timedelta(hours=3, minutes=59) < hold.deadline - datetime.now(UTC) <= timedelta(hours=4)


class NobodyHere:
    """Holds nothing, so that whatever would be held is rejected."""

    def hold(self, held):
        raise LimitExceeded("the queue is full", remedy="Decide what waits.")


@pytest.mark.parametrize(
    ("on_invalid", "text", "counted"),
    [
        ("hold", '{"place": "Kiel", "sure": 0.9}', AnswerCount(delivered=1)),
        ("hold", '{"place": "Kiel", "sure": 0.6}', AnswerCount(stopped=1)),
        ("pass", '{"place": 7, "sure": 0.6}', AnswerCount(stopped=1)),
        ("hold", '{"place": 7, "sure": 0.6}', AnswerCount(stopped=1)),
    ],
)
@pytest.mark.parametrize("is_full", [False, True])
def test_an_answer_that_is_held_for_its_doubt_was_not_delivered(
    on_invalid, text, counted, *, is_full, stub, ledger
):
    """Whatever a person makes of it: of a valid one as of one that would have passed although it is invalid."""
    stub._plans.clear()
    policy = pinned(
        ("acme", MODEL),
        guard=Guard(schema=SCHEMA, on_invalid=on_invalid, repairs=0),
        confidence=ConfidenceRule(field="sure", threshold=0.7),
    )
    holds = NobodyHere() if is_full else SqlHolds(ledger.database)
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(holds)) as gateway:
        stub.plan(Plan(text=text))
        answer = ask(gateway, CHAT, BODY)
        assert (answer.status == 200) is (counted.delivered == 1 or not is_full)
        assert counts_of(gateway) == counted


def test_what_was_delivered_becomes_a_running_count_of_evidence(ledger):
    first = {
        (AGENT, "v1", None): AnswerCount(delivered=40, invalid=1, runs=("r1",)),
        (AGENT, "v2", None): AnswerCount(stopped=2),
    }
    (record,) = record_answers(ledger, first, NOW)
    assert (record.kind, record.n, record.good, record.items) == ("output_schema", 40, 39, ("r1",))
    (more,) = record_answers(
        ledger, {(AGENT, "v1", None): AnswerCount(delivered=20, repaired=3)}, NOW + timedelta(hours=1)
    )
    assert (more.n, more.good, more.counts["repaired"]) == (60, 59, 3)
    assert more.binds == Binding(version="v1")
    (anew,) = record_answers(ledger, {(AGENT, "v1", None): AnswerCount(delivered=1)}, NOW + timedelta(days=8))
    assert (anew.n, anew.good) == (1, 1)


@pytest.mark.parametrize(
    "schema", ["{", '{"type": 5}', '{"$ref": "#/none"}', '{"properties": {"place": {"pattern": "("}}}']
)
def test_a_schema_that_is_none_delivers_nothing(schema, stub):
    stub._plans.clear()
    policy = pinned(("acme", MODEL), guard=Guard(schema=schema, on_invalid="reject", repairs=0))
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as gateway:
        stub.plan(GOOD)
        answer = ask(gateway, CHAT, BODY)
    assert (answer.status, answer.error["code"]) == (502, "output_invalid")
    assert "the schema cannot be applied" in answer.error["message"]


def test_a_decision_that_cannot_be_read_is_told_as_any_other_error(stub):
    class Gone:
        def read(self, hold_id, now):
            raise StorageUnavailable("the ledger is gone", remedy="Look: `pilothouse doctor`")

    with site(stub, Gone(), repairs=0) as gateway:
        answer = ask(gateway, CHAT, BODY, {"x-pilothouse-hold": "h1"})
    assert (answer.status, answer.headers["x-should-retry"]) == (503, "false")
    assert "the ledger is gone" in answer.error["message"]


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_an_answer_that_cannot_be_read_is_not_delivered(encoding, stub):
    stub._plans.clear()
    policy = pinned(("acme", MODEL), guard=Guard(schema=SCHEMA, on_invalid="reject", repairs=0))
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as gateway:
        stub.plan(Plan(body=b"\x8b\x02\x80", headers={"content-encoding": encoding}))
        assert ask(gateway, CHAT, BODY).status == 502


def test_a_stream_that_came_for_a_stream_that_is_no_true_is_counted_as_unchecked():
    """As providers read `1` that take it for `true`; what was asked for says nothing of what came."""
    events = b'data: {"choices": [{"delta": {"content": "not JSON"}}]}\n\ndata: [DONE]\n\n'
    policy = pinned(("acme", MODEL), guard=Guard(schema=SCHEMA, on_invalid="reject", repairs=0))
    with ProviderStub() as stub, GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(None)) as site:
        stub.plan(Plan(body=events, headers={"content-type": "text/event-stream"}), Plan(status=500))
        for stream in (1, True):
            ask(site, "/v1/chat/completions", {"model": MODEL, "messages": [], "stream": stream})
        site.wait_for(2)
        assert site.gateway.counters["answers_streamed_unchecked"] == 2


@pytest.mark.parametrize(
    ("delta", "unchecked"),
    [({"content": "not JSON"}, 1), ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}, 0)],
)
def test_a_final_answer_that_is_streamed_is_no_valid_one(delta, unchecked):
    events = f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\ndata: [DONE]\n\n".encode()
    policy = pinned(("acme", MODEL), guard=Guard(schema=SCHEMA, on_invalid="reject", repairs=0))
    guardian = Guardian(None)
    with ProviderStub() as stub, GatewaySite({"acme": stub.origin}, policy, guardian=guardian) as site:
        stub.plan(Plan(body=events, headers={"content-type": "text/event-stream"}))
        ask(site, "/v1/chat/completions", {"model": MODEL, "messages": [], "stream": True})
        site.wait_for(1)
    assert sum(one.unchecked for one in guardian.take_counts().values()) == unchecked


def choices(*texts):
    said = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(texts)
    ]
    return Plan(body=json.dumps({"model": MODEL, "choices": said}).encode())


VALID, BROKEN = '{"place": "Hamburg"}', '{"place": 7}'


@pytest.mark.parametrize("texts", [(VALID, BROKEN), (BROKEN, VALID), (VALID, VALID, "no JSON")])
def test_every_choice_of_an_answer_is_checked(texts, stub):
    """The agent may take any of them; the first one alone was looked at."""
    with site(stub, None, on_invalid="reject", repairs=0) as gateway:
        stub.plan(choices(*texts), choices(VALID, VALID))
        refused = ask(gateway, CHAT, {**BODY, "n": len(texts)})
        assert (refused.status, refused.error["code"]) == (502, "output_invalid")
        assert "choice" in refused.error["message"]
        assert ask(gateway, CHAT, {**BODY, "n": 2}).status == 200


def test_several_choices_are_as_sure_as_the_least_sure_of_them(stub, ledger):
    policy = pinned(("acme", MODEL), confidence=ConfidenceRule(field="sure", threshold=0.8))
    stub._plans.clear()
    with GatewaySite({"acme": stub.origin}, policy, guardian=Guardian(SqlHolds(ledger.database))) as gateway:
        stub.plan(
            choices('{"sure": 0.9}', '{"sure": 0.1}'),
            choices('{"sure": 0.9}', "nothing"),
            choices('{"sure": 0.9}', '{"sure": 0.85}'),
        )
        held = [
            "x-pilothouse-held" in ask(gateway, CHAT, {**BODY, "n": 2, "user": str(at)}).headers
            for at in range(3)
        ]
        assert held == [True, True, False]
        assert [call.confidence for call in gateway.wait_for(3)] == [0.1, None, 0.85]
