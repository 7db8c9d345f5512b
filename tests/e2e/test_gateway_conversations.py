# SPDX-License-Identifier: Apache-2.0
"""No agent goes on with a conversation that a provider keeps for another one, in whichever process and however it names it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.conversations import SqlThingOwners
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.gateway.keys import make_key

openai = LateModule("openai")

RESPONSES = "/v1/responses"


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def owners(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield SqlThingOwners(ledger.database)


@pytest.fixture
def sites(stub, owners):
    """Two processes of one ledger, with a key for each of two agents."""
    stub.seen.clear()
    stub._plans.clear()
    first, second = (GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL)), owners=owners) for _ in "ab")
    first.foreign, prefix, digest = make_key()
    first.keys[prefix] = replace(first.virtual_key, prefix=prefix, digest=digest, agent="other")
    first.policies["other"] = replace(first.policies[AGENT], agent="other")
    second.keys, second.key, second.policies = first.keys, first.key, first.policies
    with first, second:
        yield first, second


def said(site, conversation, key=None, raw=None):
    own, site.key = site.key, key or site.key
    body = raw or json.dumps({"model": MODEL, "input": "go on", "conversation": conversation}).encode()
    try:
        return ask(site, RESPONSES, body)
    finally:
        site.key = own


def owned(owners, ident):
    end = time.monotonic() + 5
    while not (found := owners.owners([ident])):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found[ident]


def test_a_conversation_is_its_agents_in_every_process(sites, owners, stub):
    first, second = sites
    assert said(first, "conv_1").status == 200
    assert owned(owners, "conv_1") == AGENT
    asked = len(stub.seen)
    for site in sites:
        for named in ("conv_1", {"id": "conv_1"}):
            refused = said(site, named, first.foreign)
            assert (refused.status, refused.error["message"].split(". ")[0]) == (
                404,
                "[route_unknown] no such conversation",
            )
    assert len(stub.seen) == asked
    raw = b'{"model": "%b", "input": "go on", "store": false, "conversation": "conv_1"}' % MODEL.encode()
    assert said(second, None, first.foreign, raw=raw).status == 404
    assert said(second, {"id": "conv_1"}).status == 200
    assert said(second, "conv_2", first.foreign).status == 200
    assert owned(owners, "conv_2") == "other"
    assert said(first, "conv_2").status == 404


def test_the_official_client_goes_on_with_its_own(sites, owners):
    with openai.OpenAI(base_url=f"{sites[0].origin}/v1", api_key=sites[0].key, max_retries=0) as client:
        for conversation in ("conv_1", {"id": "conv_1"}):
            client.responses.create(model=MODEL, input="hi", conversation=conversation)
            with client.responses.stream(model=MODEL, input="hi", conversation=conversation) as stream:
                stream.until_done()
    assert owned(owners, "conv_1") == AGENT
    with (
        openai.OpenAI(base_url=f"{sites[1].origin}/v1", api_key=sites[0].foreign, max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="no such conversation"),
    ):
        client.responses.create(model=MODEL, input="hi", conversation="conv_1")


def test_a_conversation_that_its_provider_did_not_take_is_nobodys(sites, owners, stub):
    stub.plan(Plan(status=404))
    assert said(sites[0], "conv_3").status == 404
    sites[0].wait_for(1)
    assert said(sites[0], "conv_3", sites[0].foreign).status == 200
    assert owned(owners, "conv_3") == "other"


@pytest.mark.parametrize(
    "twice",
    [
        b'"conversation": "conv_9", "conversation": "conv_1"',
        b'"conversation": "conv_1", "conversation": null',
        b'"conversation": "conv_9", "Conversation": "conv_1"',
        b'"CONVERSATION": "conv_1"',
        b'"conversation": {"id": "conv_9", "id": "conv_1"}',
        b'"conversation": {"id": "conv_9", "ID": "conv_1"}',
        b'"conversation": {"id": {"id": "conv_1"}}',
        b'"conversation": "conv\\u005f1"',
        b'"c\\u006fnversation": "conv_1"',
        b'"conversation": ["conv_1"]',
    ],
)
def test_a_conversation_that_readers_take_for_different_ones_is_refused(twice, sites, owners, stub):
    assert said(sites[0], "conv_1").status == 200
    owned(owners, "conv_1")
    asked = len(stub.seen)
    body = b'{"model": "%b", "input": "go on", %b}' % (MODEL.encode(), twice)
    assert said(sites[1], None, sites[0].foreign, raw=body).status == 422
    assert len(stub.seen) == asked


@pytest.mark.parametrize(
    "harmless",
    [
        b'"conversation": null',
        b'"metadata": {"conversation": "conv_1"}',
        b'"tools": [{"type": "function", "name": "f", "parameters": {"conversation": {"type": "string"}}}]',
        b'"instructions": "say \\"conversation\\": conv_1"',
    ],
)
def test_the_word_elsewhere_is_the_providers_business(harmless, sites, owners):
    assert said(sites[0], "conv_1").status == 200
    owned(owners, "conv_1")
    body = b'{"model": "%b", "input": "go on", %b}' % (MODEL.encode(), harmless)
    assert said(sites[0], None, sites[0].foreign, raw=body).status == 200


def test_where_nobody_can_say_whose_it_is_nobody_goes_on_with_it(sites, owners, stub, monkeypatch):
    def fails(*_):
        raise StorageUnavailable("the ledger is locked", remedy="")

    assert said(sites[0], "conv_1").status == 200
    owned(owners, "conv_1")
    asked = len(stub.seen)
    monkeypatch.setattr(owners, "owners", fails)
    assert said(sites[1], "conv_1").status == 503
    assert len(stub.seen) == asked
    assert said(sites[0], "conv_1").status == 200, "who has gone on with it here is known"
