# SPDX-License-Identifier: Apache-2.0
"""The official Anthropic client with edits on: a long conversation is shortened, told, kept, recalled and whole again."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json

import pytest
from late_module import LateModule
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.core.evidence.run_log import ContextEdited, ModelRequest
from pilothouse.runtime.context.edits import ContextEdits, EditPolicy, restore
from pilothouse.runtime.gateway.policy import AgentPolicy, Pin
from pilothouse.runtime.runlog.recorder import Recorder

anthropic = LateModule("anthropic")

PAGE = "the order of the customer is on its way to the house " * 30
FACT = "The reference is DE44-5001."
PINNED = "Never pay twice."
EDITS = EditPolicy(from_share=0.3, keep_last=2, pinned=(PINNED,))


def tool(name, **properties):
    return {
        "name": name,
        "description": "",
        "input_schema": {"type": "object", "properties": properties, "required": list(properties)[:1]},
    }


def conversation():
    """Six pages read, results as texts and as blocks; the first holds a fact, the second a prohibition."""
    messages = [{"role": "user", "content": "What is the reference?"}]
    for number in range(6):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "read_page", "input": {"number": number}}
        text = f"Page {number}. {PAGE}" + {0: FACT, 1: PINNED}.get(number, "")
        content = text if number % 2 else [{"type": "text", "text": text}]
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": content}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return {
        "model": MODEL,
        "max_tokens": 50,
        "system": "Read, then answer.",
        "tools": [tool("read_page", number={"type": "integer"}), tool("recall", id={"type": "string"})],
        "messages": messages,
    }


def results(request):
    return [
        part["content"]
        for message in request["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "tool_result"
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pin = Pin(provider="anthropic", model=MODEL, window_tokens=4_000)
    policy = AgentPolicy(agent=AGENT, charter="c", chain=(pin,), edits=EDITS)
    with (
        ProviderStub() as stub,
        Recorder(tmp_path_factory.mktemp("runs")) as log,
        GatewaySite({"anthropic": stub.origin}, policy, log=log) as running,
    ):
        running.stub, running.log = stub, log
        yield running


@pytest.fixture
def run(request):
    """A run of the test's own: what is kept of it is what this test asked."""
    return hashlib.sha256(request.node.name.encode()).hexdigest()[:32]


@pytest.fixture
def client(site, run):
    with anthropic.Anthropic(base_url=f"{site.origin}/r/{run}", api_key=site.key, max_retries=0) as one:
        yield one


def test_old_results_leave_the_request_and_the_answer_says_so(site, client, run):
    asked = conversation()
    answer = client.messages.with_raw_response.create(**copy.deepcopy(asked))
    assert answer.headers["x-pilothouse-edited"] == "context.keep_last"
    assert float(answer.headers["x-pilothouse-context"]) < 1
    assert answer.parse().content[0].text == Plan().text
    sent = site.stub.seen[-1].json
    kept, whole = results(sent), results(asked)
    assert [one == other for one, other in zip(kept, whole, strict=True)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    assert all("recall(id=" in note for note in (kept[0], kept[2], kept[3]))
    assert {name: sent[name] for name in sent if name != "messages"} == {
        name: asked[name] for name in asked if name != "messages"
    }
    (call,) = [one for one in site.kept.calls if one.run == run]
    assert restore(ContextEdits(request=sent, ledger=call.removed)) == json.loads(call.request) == asked


def test_what_went_is_in_the_record_and_its_agent_recalls_it(site, client, run):
    asked = conversation()
    with client.messages.stream(**asked) as stream:
        assert stream.get_final_text() == Plan().text
        assert stream.response.headers["x-pilothouse-edited"] == "context.keep_last"
    note = results(site.stub.seen[-1].json)[0]
    ident = note.partition("recall(id='")[2].partition("'")[0]
    back = client.get(f"/v1/recall/{ident}", cast_to=str)
    assert json.loads(back) == results(asked)[0]
    part = client.get(f"/v1/recall/{ident}", cast_to=str, options={"params": {"start": 0, "end": 2}})
    assert part == back[:2]
    events = [one.event for one in site.log.read(run).events]
    requests = [event for event in events if isinstance(event, ModelRequest)]
    assert all(json.loads(event.body)["messages"] == asked["messages"] for event in requests)
    assert json.loads(requests[-1].sent) == site.stub.seen[-1].json
    edited = [event for event in events if isinstance(event, ContextEdited)]
    assert len(edited) == len(requests) == 1
    assert FACT in edited[-1].removed.decode()


def test_an_unknown_id_is_an_error_as_the_client_knows_it(client, run):
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.get(f"/v1/recall/{run}-{'0' * 16}", cast_to=str)
    assert refused.value.body["error"]["type"]
    assert "nothing is kept under" in refused.value.body["error"]["message"]


def test_the_asynchronous_client_meets_the_same(site):
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=site.origin, api_key=site.key, max_retries=0) as one:
            return await one.messages.with_raw_response.create(**conversation())

    assert asyncio.run(ask()).headers["x-pilothouse-edited"] == "context.keep_last"
