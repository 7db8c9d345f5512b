# SPDX-License-Identifier: Apache-2.0
"""No agent reads an answer that another was given, or goes on from it: in whichever process, and after a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite, pinned
from tests.stubs.provider_stub import ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.stored_answers import SqlAnswerOwners
from pilothouse.runtime.gateway import stored_answers
from pilothouse.runtime.gateway.keys import make_key

anthropic = LateModule("anthropic")

RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
ASKED = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "my account is 7"}]}


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def owners(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield SqlAnswerOwners(ledger.database)


def opened(stub, owners, provider="acme"):
    stub.seen.clear()
    stub._plans.clear()
    site = GatewaySite({provider: stub.origin}, pinned((provider, MODEL)), answer_owners=owners)
    site.foreign, prefix, digest = make_key()
    site.keys[prefix] = replace(site.virtual_key, prefix=prefix, digest=digest, agent="other")
    site.policies["other"] = replace(site.policies[AGENT], agent="other")
    return site


def save(site):
    site.wait_for(1)
    site.gateway.answers.save(datetime.now(UTC))


def by(key):
    return {"authorization": f"Bearer {key}"}


def test_after_a_restart_an_answer_is_still_its_agents(stub, owners):
    with opened(stub, owners) as before:
        ident = json.loads(ask(before, RESPONSES, {"model": MODEL, "input": "my account is 7"}).body)["id"]
        save(before)
    with opened(stub, owners) as site:
        following = {"model": MODEL, "input": "what did I say?", "previous_response_id": ident}
        for path, body in ((f"{RESPONSES}/{ident}", None), (RESPONSES, following)):
            refused = ask(site, path, body, by(site.foreign))
            assert (refused.status, refused.error["code"]) == (404, "route_unknown")
        assert not stub.seen
        assert ask(site, RESPONSES, following).status == 200
        assert ask(site, f"{RESPONSES}/resp_of_nobody", None, by(site.foreign)).status != 503


def test_where_nobody_can_say_whose_it_is_it_is_read_by_nobody(stub, owners, monkeypatch):
    def fails(*_):
        raise StorageUnavailable("the ledger is locked", remedy="")

    with opened(stub, owners) as site:
        ident = json.loads(ask(site, RESPONSES, {"model": MODEL, "input": "x"}).body)["id"]
        site.wait_for(1)
        with monkeypatch.context() as patched:
            patched.setattr(owners, "owners", fails)
            patched.setattr(owners, "claim", fails)
            assert ask(site, f"{RESPONSES}/resp_other", None).error["code"] == "record_required"
            with pytest.raises(StorageUnavailable):
                site.gateway.answers.save(datetime.now(UTC))
        save(site)
    assert owners.owners([ident]) == {ident: AGENT}


def test_what_waits_for_the_ledger_has_an_end(stub, owners, monkeypatch):
    monkeypatch.setattr(stored_answers, "UNSAVED_MAX", 2)
    with opened(stub, owners) as site:
        for number in range(4):
            site.gateway.answers.claim([f"resp_{number}"], AGENT)
        site.gateway.answers.save(datetime.now(UTC))
        assert site.gateway.counters["answers_unclaimed"] == 2
    assert set(owners.owners([f"resp_{number}" for number in range(4)])) == {"resp_2", "resp_3"}


def test_nobody_goes_on_with_another_agents_thread(stub, owners):
    with opened(stub, owners, "anthropic") as site:
        with anthropic.Anthropic(base_url=site.origin, api_key=site.key, max_retries=0) as client:
            first = client.beta.messages.create(**ASKED, thread={"type": "create"}, betas=["threads-2026"])
        following = {**ASKED, "thread": {"type": "continue", "previous_message_id": first.id}}
        save(site)
    with opened(stub, owners, "anthropic") as site:
        refused = ask(site, MESSAGES, following, by(site.foreign))
        assert (refused.status, len(stub.seen)) == (404, 0)
        assert ask(site, MESSAGES, following).status == 200
        assert site.wait_for(2)[-1].is_kept


@pytest.mark.parametrize(
    "said",
    [
        b'"thread": {"type": "continue", "previous_message_id": "msg_1"}, "thread": null',
        b'"thread": {"type": "create"}, "Thread": {"type": "continue", "previous_message_id": "msg_1"}',
        b'"thread": {"type": "create", "previous_message_id": "msg_1"}',
        b'"thread": {"type": "continue", "previous_message_id": "msg\\u005f1"}',
        b'"thread": "msg_1"',
        b'"fallbacks": [{"model": "dear-2026-01-01"}], "fallbacks": null',
    ],
)
def test_what_readers_take_for_different_threads_is_refused(said, stub, owners):
    with opened(stub, owners, "anthropic") as site:
        body = b'{"model": "%b", "max_tokens": 10, "messages": [], %b}' % (MODEL.encode(), said)
        assert ask(site, MESSAGES, body, {"anthropic-beta": "threads-2026"}).status == 422
        assert not stub.seen


@pytest.mark.parametrize("fallbacks", ["default", [{"model": "dear-2026-01-01"}]])
def test_a_provider_is_not_asked_to_answer_by_another_model(fallbacks, stub, owners):
    with opened(stub, owners, "anthropic") as site:
        refused = ask(site, MESSAGES, {**ASKED, "fallbacks": fallbacks})
        assert (refused.status, "lets the provider answer by another model" in refused.error["message"]) == (
            403,
            True,
        )
        assert not stub.seen


def advised(model):
    return {**ASKED, "tools": [{"type": "advisor_20260301", "name": "advisor", "model": model}]}


def test_no_model_is_asked_for_advice_that_the_charter_does_not_name(stub, owners):
    beta = {"anthropic-beta": "advisor-tool-2026-03-01"}
    twice = json.dumps(advised(MODEL)).replace('"name"', '"model": "dear-2026-01-01", "name"').encode()
    with opened(stub, owners, "anthropic") as site:
        for body, code in (
            (advised("dear-2026-01-01"), "pin_unknown"),
            (advised("dear-latest"), "pin_floating"),
            (advised(""), "pin_"),
            (twice, "pin_unknown"),
        ):
            refused = ask(site, MESSAGES, body, beta)
            assert (refused.status, code in refused.error["message"]) == (422, True)
        assert not stub.seen
        assert ask(site, MESSAGES, advised(MODEL), beta).status == 200


def test_a_beta_that_names_neither_costs_nothing_but_a_look(stub, owners):
    named = {**ASKED, "metadata": {"thread": "ours", "fallbacks": 1}, "thread": None, "fallbacks": None}
    with opened(stub, owners, "anthropic") as site:
        assert ask(site, MESSAGES, named, {"anthropic-beta": "context-1m-2025-08-07"}).status == 200
        assert not site.wait_for(1)[0].is_kept
