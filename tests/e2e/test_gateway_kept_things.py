# SPDX-License-Identifier: Apache-2.0
"""No agent uses a file, container, vector store, prompt or item that a provider keeps for another one, however it names it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite, pinned
from tests.stubs.provider_stub import Plan, ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.conversations import SqlThingOwners
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.stored_answers import SqlAnswerOwners
from pilothouse.runtime.gateway import stored_answers
from pilothouse.runtime.gateway.keys import make_key

openai = LateModule("openai")

RESPONSES, CHAT, MESSAGES = "/v1/responses", "/v1/chat/completions", "/v1/messages"
IDENT = "kept-7"


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened.database


def opened(stub, ledger, provider="acme", **given):
    stub.seen.clear()
    stub._plans.clear()
    site = GatewaySite(
        {provider: stub.origin},
        pinned((provider, MODEL)),
        owners=SqlThingOwners(ledger),
        answer_owners=SqlAnswerOwners(ledger),
        **given,
    )
    site.foreign, prefix, digest = make_key()
    site.keys[prefix] = replace(site.virtual_key, prefix=prefix, digest=digest, agent="other")
    site.policies["other"] = replace(site.policies[AGENT], agent="other")
    return site


def by(site):
    return {"authorization": f"Bearer {site.foreign}", "x-api-key": site.foreign}


def owned(owners, ident):
    end = time.monotonic() + 5
    while not (found := owners.owners([ident])):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found[ident]


def user(*parts):
    return {"input": [{"role": "user", "content": list(parts)}]}


def messages(*parts):
    return {"max_tokens": 9, "messages": [{"role": "user", "content": list(parts)}]}


TOOLS = {
    "input": "x",
    "tools": [{"type": "function", "name": "f", "parameters": {"file_id": {"type": "string"}}}],
}
NAMING = [
    (RESPONSES, user({"type": "input_file", "file_id": IDENT})),
    (RESPONSES, user({"type": "input_image", "file_id": IDENT, "detail": "auto"})),
    (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": IDENT}]}]}),
    (RESPONSES, {"input": "x", "tools": [{"type": "code_interpreter", "container": IDENT}]}),
    (RESPONSES, {"input": "x", "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [IDENT]}}]}),
    (RESPONSES, {"input": "x", "tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": IDENT}}]}),
    (RESPONSES, {"input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["kept-1", IDENT]}]}),
    (RESPONSES, {"input": "x", "prompt": {"id": IDENT, "version": "2"}}),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": IDENT}}]}]}),
    (CHAT, {"messages": [{"role": "assistant", "audio": {"id": IDENT}}, {"role": "user", "content": "go on"}]}),
    (MESSAGES, messages({"type": "document", "source": {"type": "file", "file_id": IDENT}})),
    (MESSAGES, messages({"type": "container_upload", "file_id": IDENT})),
    (MESSAGES, {**messages({"type": "text", "text": "x"}), "container": IDENT}),
    (MESSAGES, {**messages({"type": "text", "text": "x"}), "container": {"id": IDENT, "skills": []}}),
]  # fmt: skip
HARMLESS = [
    (RESPONSES, {"input": "x", "metadata": {"file_id": IDENT, "container": IDENT}}),
    (RESPONSES, {"input": [{"type": "function_call", "name": "f", "call_id": "c", "arguments": json.dumps({"file_id": IDENT})}]}),
    (RESPONSES, TOOLS),
    (CHAT, {"messages": [{"role": "user", "content": f"file_id: {IDENT}"}]}),
    (MESSAGES, messages({"type": "tool_use", "id": "t", "name": "read", "input": {"file_id": IDENT, "container": IDENT}})),
]  # fmt: skip


def served(path):
    return "anthropic" if path == MESSAGES else "acme"


@pytest.mark.parametrize(("path", "named"), NAMING)
def test_what_one_agent_used_first_no_other_uses(path, named, stub, ledger):
    with opened(stub, ledger, served(path)) as site:
        assert ask(site, path, {"model": MODEL, **named}).status == 200
        assert owned(SqlThingOwners(ledger), IDENT) == AGENT
    with opened(stub, ledger, served(path)) as site:
        refused = ask(site, path, {"model": MODEL, **named}, by(site))
        assert (refused.status, "that another agent uses" in refused.error["message"]) == (404, True)
        assert not stub.seen
        assert ask(site, path, {"model": MODEL, **named}).status == 200
    with opened(stub, ledger, served(path), shared=frozenset({IDENT, "kept-1"})) as site:
        assert ask(site, path, {"model": MODEL, **named}, by(site)).status == 200


@pytest.mark.parametrize(("path", "named"), HARMLESS)
def test_what_an_agent_calls_so_itself_is_its_own_business(path, named, stub, ledger):
    SqlThingOwners(ledger).claim(IDENT, AGENT, datetime.now(UTC))
    with opened(stub, ledger, served(path)) as site:
        assert ask(site, path, {"model": MODEL, **named}, by(site)).status == 200


@pytest.mark.parametrize(
    "said",
    [
        b'"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "kept-8", "file_id": "kept-7"}]}]',
        b'"input": [{"role": "user", "content": [{"type": "input_file", "file\\u005fid": "a", "file_id": "b", "file_id": "c"}]}]',
        b'"input": "x", "prompt": {"id": "kept-8", "id": "kept-7"}',
        b'"input": "x", "prompt": {"id": "kept-8"}, "Prompt": {"id": "kept-7"}',
        b'"input": [{"type": "item_reference", "id": "msg_2", "id": "msg_1"}]',
    ],
)
def test_what_readers_take_for_different_things_is_refused(said, stub, ledger):
    with opened(stub, ledger) as site:
        body = b'{"model": "%b", %b}' % (MODEL.encode(), said)
        assert ask(site, RESPONSES, body).status == 422
        assert not stub.seen


def test_a_name_that_is_spelt_by_numbers_names_the_same(stub, ledger):
    SqlThingOwners(ledger).claim(IDENT, AGENT, datetime.now(UTC))
    body = b'{"model": "%b", "input": [{"role": "user", "content": [{"type": "input_file", "file\\u005fid": "kept-7"}]}]}'
    with opened(stub, ledger) as site:
        assert ask(site, RESPONSES, body % MODEL.encode(), by(site)).status == 404


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {"id": "msg_1", "type": None},
        {"type": "reasoning", "id": "msg_1", "summary": [{"type": "summary_text", "text": "because"}]},
        {"type": "image_generation_call", "id": "msg_1", "status": "completed", "result": None},
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_item_is_whose_it_was_given_also_after_a_kill(item, is_stream, stub, ledger):
    following = {"model": MODEL, "input": [item, {"role": "user", "content": "go on"}]}
    with opened(stub, ledger) as site:
        assert (
            ask(site, RESPONSES, {"model": MODEL, "input": "my account is 7", "stream": is_stream}).status
            == 200
        )
        assert owned(SqlAnswerOwners(ledger), "msg_1") == AGENT, "nobody saved it by hand"
    with opened(stub, ledger) as site:
        refused = ask(site, RESPONSES, following, by(site))
        assert (refused.status, refused.error["code"], len(stub.seen)) == (404, "route_unknown", 0)
        assert ask(site, RESPONSES, following).status == 200


def test_an_item_with_its_content_is_no_reference(stub, ledger):
    with opened(stub, ledger) as site:
        with openai.OpenAI(base_url=f"{site.origin}/v1", api_key=site.key, max_retries=0) as client:
            given = client.responses.create(model=MODEL, input="hi")
        handed_on = [*(one.model_dump(exclude_none=True) for one in given.output)]
        handed_on += [{"type": "reasoning", "id": "msg_1", "summary": [], "encrypted_content": "gAAA"}]
        body = {"model": MODEL, "input": [*handed_on, {"role": "user", "content": "go on"}]}
        assert ask(site, RESPONSES, body, by(site)).status == 200


@pytest.mark.parametrize("is_stream", [False, True])
def test_it_is_on_record_whose_an_answer_is_before_it_is_told(is_stream, stub, ledger, monkeypatch):
    order = []
    claim = SqlAnswerOwners.claim

    def slowly(self, given, at):
        time.sleep(0.2)
        found = claim(self, given, at)
        order.append("on record")
        return found

    monkeypatch.setattr(SqlAnswerOwners, "claim", slowly)
    with opened(stub, ledger) as site:
        assert ask(site, RESPONSES, {"model": MODEL, "input": "x", "stream": is_stream}).status == 200
        order.append("told")
        site.wait_for(1)
    assert order[:2] == ["on record", "told"]


def test_what_no_provider_keeps_is_written_nowhere(stub, ledger, monkeypatch):
    written = []
    monkeypatch.setattr(SqlAnswerOwners, "claim", lambda _self, given, _at: written.extend(given) or 0)
    with opened(stub, ledger) as site:
        assert ask(site, RESPONSES, {"model": MODEL, "input": "x", "store": False}).status == 200
        assert ask(site, CHAT, {"model": MODEL, "messages": []}).status == 200
        site.wait_for(2)
    assert written == []


def test_a_ledger_that_cannot_be_written_keeps_no_answer_back(stub, ledger, monkeypatch):
    def fails(*_):
        raise StorageUnavailable("the ledger is locked", remedy="")

    with opened(stub, ledger) as site, monkeypatch.context() as patched:
        patched.setattr(SqlAnswerOwners, "claim", fails)
        assert ask(site, RESPONSES, {"model": MODEL, "input": "x"}).status == 200
        assert site.gateway.counters["answers_given_unwritten"] == 1
        patched.undo()
        site.gateway.answers.save(datetime.now(UTC))
    assert owned(SqlAnswerOwners(ledger), "resp_1") == AGENT


def test_a_ledger_that_is_locked_for_long_keeps_no_answer_back(stub, ledger, monkeypatch):
    locked = threading.Event()
    monkeypatch.setattr(stored_answers, "GIVE_WAIT_S", 0.05)
    monkeypatch.setattr(SqlAnswerOwners, "claim", lambda *_: locked.wait(30) * 0)
    with opened(stub, ledger) as site:
        assert ask(site, RESPONSES, {"model": MODEL, "input": "x"}).status == 200
        assert not locked.is_set()
        assert site.gateway.counters["answers_given_unwritten"] == 1
        locked.set()


def test_what_nobody_was_given_becomes_whose_provider_takes_it(stub, ledger):
    following = {"model": MODEL, "input": "go on", "previous_response_id": "resp_before_us"}
    with opened(stub, ledger) as site:
        stub.plan(Plan(status=404))
        assert ask(site, RESPONSES, following, by(site)).status == 404
        assert ask(site, RESPONSES, following).status == 200
        assert owned(SqlAnswerOwners(ledger), "resp_before_us") == AGENT
        assert ask(site, RESPONSES, following, by(site)).status == 404
        assert len(stub.seen) == 2
