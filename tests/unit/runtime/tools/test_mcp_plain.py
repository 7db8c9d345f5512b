# SPDX-License-Identifier: Apache-2.0
"""A call that is answered without the SDK's server is answered as the SDK answers it, and everything else is the SDK's."""

from __future__ import annotations

import asyncio
import json

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_site import FIND, Erp, erp_site
from tool_world import Kept

from pilothouse.core.charter.contract import ToolContract
from pilothouse.runtime.tools import mcp_http, mcp_plain
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.mcp_http import McpHttp
from pilothouse.runtime.tools.mcp_listing import manifest_of
from pilothouse.runtime.tools.mcp_proxy import McpProxy
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.runtime import ToolRuntime

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": VERSION,
    "mcp-method": "tools/call",
    "mcp-name": "find_V1",
}
HEADED = {
    "type": "object",
    "properties": {"po_number": {"type": "string", "x-mcp-header": "Po"}},
    "required": ["po_number"],
}


def request(number=1, *, method="tools/call", name="find_V1", args=None, meta=META, **more):
    params = {
        "name": name,
        "arguments": {"po_number": "PO-1"} if args is None else args,
        "_meta": meta,
        **more,
    }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def ask(answer, body, headers=(), *, leaves=None, parts=1, **changed):
    """Send a request to an ASGI application; returns status, content type and body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [*({**HEADERS, **{k.replace("_", "-"): v for k, v in changed.items()}}).items(), *headers]
    size = max(1, -(-len(text) // parts))
    messages = [
        {"type": "http.request", "body": text[at : at + size], "more_body": at + size < len(text)}
        for at in range(0, max(1, len(text)), size)
    ]
    sent, gone = [], leaves or asyncio.Event()

    async def receive():
        if messages:
            return messages.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in lines if value is not None],
    }
    await answer(scope, receive, send)
    if not sent:
        return None
    head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head.get("content-type"), b"".join(one.get("body", b"") for one in sent[1:])


def on_proxy(work, *, schema=FIND.input_schema):
    async def main():
        erp, kept = Erp(), Kept()
        erp.tools = [FIND]
        made = ToolContract.model_validate(
            {
                "name": "find",
                "version": 1,
                "description": "Find an order.",
                "input": schema,
                "output": {"type": "object"},
                "timeout_s": 20.0,
                "attempts": 1,
                "upstream": {"server": "erp", "tool": "find", "manifest_hash": manifest_of(FIND)},
            }
        )
        async with erp_site(erp) as url:
            host = url.split("/")[2]
            tool = GovernedTool(
                name="find@1",
                integration="erp",
                effect="read",
                contract=made,
                digest="d",
                hosts=frozenset([host]),
            )
            runtime = ToolRuntime(
                agent="t", version=None, tools={tool.name: tool}, door=Door(observers=(kept,))
            )
            proxy = McpProxy(runtime, {"erp": UpstreamAddress(name="erp", url=url)}, task_type="po_invoice")
            http = McpHttp(proxy)
            try:
                return await work(http, erp, kept)
            finally:
                await http.close()

    return asyncio.run(main())


def read(answer):
    status, kind, body = answer
    return status, kind, json.loads(body) if kind == "application/json" else body


REQUESTS = {
    "a call": (request(), {}),
    "in parts": (request("text"), {"parts": 7}),
    "without arguments": (request(args={}), {}),
    "arguments that the contract refuses": (request(args={"po_number": 7}), {}),
    "null arguments": (request() | {"params": {"name": "find_V1", "arguments": None, "_meta": META}}, {}),
    "an unknown tool": (request(name="other"), {"mcp_name": "other"}),
    "the charter's name": (request(name="find@1"), {"mcp_name": "find@1"}),
    "a name that is another in the header": (request(), {"mcp_name": "other"}),
    "a name in no header": (request(), {"mcp_name": None}),
    "a header twice": (request(), {"headers": [("mcp-name", "find_V1")]}),
    "another method in the body": (request(method="tools/list"), {}),
    "another version in the body": (
        request(meta={**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}),
        {},
    ),
    "no envelope": (request(meta={}), {}),
    "an envelope without capabilities": (request(meta={k: META[k] for k in list(META)[:2]}), {}),
    "wrong capabilities": (request(meta={**META, "io.modelcontextprotocol/clientCapabilities": 7}), {}),
    "wrong arguments of the protocol": (request(args=["a"]), {}),
    "an id that is a truth value": (request(number=True), {}),
    "an id that is a fraction": (request(number=1.5), {}),
    "no id": ({key: one for key, one in request().items() if key != "id"}, {}),
    "another protocol": (request() | {"jsonrpc": "1.0"}, {}),
    "several": ([request()], {}),
    "no JSON": (b"{", {}),
    "nested without end": (b"[" * 100_000, {}),
    "accepts no stream": (request(), {"accept": "application/json"}),
    "accepts anything": (request(), {"accept": "*/*"}),
    "another type": (request(), {"content_type": "text/plain"}),
    "a header of an argument": (request(), {"headers": [("mcp-param-po", "PO-1")]}),
    "too large": (request(args={"po_number": "x" * 2_000}), {}),
}


def test_what_is_answered_here_is_answered_as_by_the_sdk(monkeypatch):
    taken = []
    answer_plain = mcp_http.answer_plain

    async def counted(proxy, call, receive, send):
        taken.append(call.number)
        await answer_plain(proxy, call, receive, send)

    monkeypatch.setattr(mcp_http, "answer_plain", counted)
    monkeypatch.setattr(mcp_http, "BODY_BYTES_MAX", 1_500)

    async def work(http, _erp, kept):
        sdk = StreamableHTTPSessionManager(http.proxy.server, stateless=True, max_request_body_size=1_500)
        answers, plain = {}, set()
        async with sdk.run():
            for name, (body, how) in REQUESTS.items():
                before = len(taken)
                ours = await ask(http.answer, body, **how)
                if len(taken) > before:
                    plain.add(name)
                answers[name] = read(ours), read(await ask(sdk.handle_request, body, **how))
        return answers, plain, kept

    answers, plain, kept = on_proxy(work)
    different = {name: pair for name, pair in answers.items() if pair[0] != pair[1]}
    assert different == {}
    assert plain == {
        "a call",
        "in parts",
        "without arguments",
        "arguments that the contract refuses",
        "null arguments",
        "an unknown tool",
        "the charter's name",
    }
    status, kind, said = answers["a call"][0]
    assert (status, kind) == (200, "application/json")
    assert said["result"]["structuredContent"] == {"po": "PO-1", "done": "find"}
    assert said["result"]["_meta"]["erp/row"] == 7
    assert answers["too large"][0][0] == 413
    assert {one.call.task_type for one in kept.records} == {"po_invoice"}


def test_what_wants_progress_or_has_arguments_in_headers_is_the_sdks(monkeypatch):
    monkeypatch.delattr(mcp_http, "answer_plain")

    async def progress(http, _erp, _kept):
        return await ask(http.answer, request(args={"po_number": "steps"}, meta={**META, "progressToken": 5}))

    status, kind, body = on_proxy(progress)
    assert (status, kind) == (200, "text/event-stream")
    assert b'"progressToken":5' in body

    async def headed(http, _erp, _kept):
        return read(await ask(http.answer, request()))

    status, _, said = on_proxy(headed, schema=HEADED)
    assert (status, said["error"]["code"]) == (400, -32020)


def test_a_call_that_takes_long_says_so_and_one_whose_caller_goes_is_taken_back(monkeypatch):
    monkeypatch.setattr(mcp_plain, "ALIVE_EVERY_S", 0.05)

    async def work(http, erp, kept):
        gone = asyncio.Event()
        slow = asyncio.create_task(ask(http.answer, request(args={"po_number": "slow"}), leaves=gone))
        await asyncio.wait_for(erp.waits.wait(), 20.0)
        await asyncio.sleep(0.2)
        gone.set()
        left = await asyncio.wait_for(slow, 20.0)
        await asyncio.wait_for(erp.given_up.wait(), 20.0)

        async def later(*_args, **_more):
            await asyncio.sleep(0.2)
            return {"content": []}

        monkeypatch.setattr(http.proxy, "called", later)
        return left, kept.records[-1].error.kind, await ask(http.answer, request())

    (_, kind, body), failed, (_, other, said) = on_proxy(work)
    assert (kind, failed) == ("text/event-stream", "timeout")
    assert set(body.split(b"\r\n\r\n")) == {b": ping", b""}
    assert other == "text/event-stream"
    *pings, last, empty = said.split(b"\r\n\r\n")
    assert (set(pings), empty) == ({b": ping"}, b"")
    assert json.loads(last.removeprefix(b"event: message\r\ndata: "))["result"]["resultType"] == "complete"


def test_a_mistake_of_ours_is_told_without_its_reason(monkeypatch):
    async def work(http, _erp, _kept):
        async def wrong(*_args, **_more):
            raise ZeroDivisionError

        monkeypatch.setattr(http.proxy, "called", wrong)
        return read(await ask(http.answer, request()))

    status, _, said = on_proxy(work)
    assert status == 200
    assert said["error"] == {"code": -32603, "message": "Internal server error"}
