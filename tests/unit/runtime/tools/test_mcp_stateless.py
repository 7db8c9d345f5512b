# SPDX-License-Identifier: Apache-2.0
"""A call that is sent without the SDK's client says what the SDK would say, and reads whatever a server answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from mcp.shared.exceptions import MCPError
from mcp_site import FIND, served

from pilothouse.runtime.tools import mcp_stateless
from pilothouse.runtime.tools.failure import read_failure
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.mcp_upstream import Upstream, UpstreamGone

VERSION = "2026-07-28"
INFO = {"io.modelcontextprotocol/serverInfo": {"name": "stub", "version": "1"}}
GOOD = {
    "content": [{"type": "text", "text": "found"}],
    "structuredContent": {"id": "C1"},
    "resultType": "complete",
}
SHAPED = FIND.model_copy(
    update={"output_schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}
)


class Server:
    """Answers `server/discover` and `tools/list` as a server does, and calls as a test says."""

    def __init__(self, *answers, tool=FIND):
        self.answers, self.tool, self.asked = list(answers), tool, []

    async def __call__(self, scope, receive, send):
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        said = json.loads(body)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((headers, said))
        if said["method"] == "tools/call":
            status, kind, text = self.answers.pop(0)
            text = text(said["id"]) if callable(text) else text
        else:
            result = {
                "server/discover": {"supportedVersions": [VERSION], "capabilities": {"tools": {}}},
                "tools/list": {
                    "tools": [self.tool.model_dump(mode="json", by_alias=True, exclude_none=True)]
                },
            }[said["method"]]
            more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "_meta": INFO}
            status, kind, text = 200, "application/json", answer(result | more)(said["id"])
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind.encode()), (b"retry-after", b"7"), (b"location", b"/mcp")],
            }
        )
        await send({"type": "http.response.body", "body": text})

    @property
    def calls(self):
        return [pair for pair in self.asked if pair[1]["method"] == "tools/call"]


def answer(result=GOOD, **more):
    return lambda number: json.dumps({"jsonrpc": "2.0", "id": number, "result": result} | more).encode()


def failure(code, status=200):
    return (
        status,
        "application/json",
        lambda number: json.dumps(
            {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": "no"}}
        ).encode(),
    )


def events(*frames):
    return (200, "text/event-stream", lambda number: b"".join(one(number) for one in frames))


def event(make):
    return lambda number: b"event: message\ndata: " + make(number) + b"\n\n"


def on_server(server, work, **address):
    async def main():
        async with served(server) as origin:
            upstream = Upstream(UpstreamAddress(name="stub", url=f"{origin}/mcp", **address))
            try:
                await upstream.tools()
                return await work(upstream)
            finally:
                await upstream.close()

    return asyncio.run(main())


async def find(upstream, **more):
    return await upstream.call("find", {"po_number": "ä-1"}, **more)


def test_it_says_what_the_sdk_says():
    server = Server(*[(200, "application/json", answer())] * 2)

    async def work(upstream):
        ours = await find(upstream)
        upstream._stateless = None
        return ours, await find(upstream)

    ours, theirs = on_server(server, work, headers={"x-tenant": "7"})
    assert ours | {"isError": False} == theirs
    (our_headers, our_body), (their_headers, their_body) = server.calls
    assert our_body | {"id": 0} == their_body | {"id": 0}
    unlike = {
        name for name in our_headers | their_headers if our_headers.get(name) != their_headers.get(name)
    }
    assert unlike <= {"user-agent", "accept-encoding", "content-length", "host", "connection"}
    assert our_headers["x-tenant"] == "7"


@pytest.mark.parametrize(
    "reply",
    [
        (200, "application/json", answer()),
        (200, "application/json; charset=utf-8", answer()),
        events(event(answer())),
        events(
            lambda _number: b": ping\r\n\r\n",
            event(lambda _number: b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'),
            lambda _number: b"id: 3\ndata:\n\n",
            event(answer()),
        ),
    ],
)
def test_a_good_answer_is_read_in_either_form(reply):
    found = on_server(Server(reply), find)
    assert found["structuredContent"] == {"id": "C1"}


@pytest.mark.parametrize("first", [(307, "text/plain", b""), failure(-32020, 400)])
def test_what_was_not_done_and_the_sdk_knows_how_to_do_is_left_to_it(first):
    server = Server(first, (200, "application/json", answer()))
    assert on_server(server, find)["structuredContent"] == {"id": "C1"}
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "retry_after_s"),
    [
        (failure(-32602, 400), "upstream_bug", None),
        ((429, "text/plain", b"slow down"), "rate_limited", 7.0),
        ((503, "text/html", b"<html>"), "unavailable", 7.0),
        ((401, "text/plain", b""), "auth", 7.0),
        ((404, "text/html", b"<html>"), "upstream_bug", None),
        ((200, "text/html", b"<html>"), "upstream_bug", None),
        ((200, "application/json", b"{"), "upstream_bug", None),
        ((200, "application/json", b"[" * 100_000), "upstream_bug", None),
        ((200, "application/json", b"[1]"), "upstream_bug", None),
        ((200, "application/json", answer(id=99)), "upstream_bug", None),
        ((200, "application/json", answer({"content": "no list"})), "upstream_bug", None),
        (
            (200, "application/json", answer({"resultType": "input_required", "inputRequests": {}})),
            "upstream_bug",
            None,
        ),
        ((200, "application/json", answer(GOOD | {"resultType": "input_required"})), "upstream_bug", None),
        ((200, "application/json", answer(GOOD | {"resultType": "task"})), "upstream_bug", None),
        ((200, "application/json", answer(GOOD | {"_meta": {"x": "y" * 3_000}})), "upstream_bug", None),
        ((200, "application/json", answer(error={"code": "x"})), "upstream_bug", None),
        (events(event(lambda _number: b"{")), "upstream_bug", None),
        (events(event(answer(GOOD | {"_meta": {"x": "y" * 3_000}}))), "upstream_bug", None),
    ],
)
def test_an_answer_that_is_none_is_a_failure_of_its_kind(monkeypatch, reply, kind, retry_after_s):
    monkeypatch.setattr(mcp_stateless, "ANSWER_BYTES_MAX", 2_000)
    server = Server(reply)

    async def work(upstream):
        with pytest.raises(Exception) as caught:
            await find(upstream)
        return caught.value

    error = on_server(server, work)
    said = read_failure(error, tool="t", effect="read", codes={}, now=datetime.now(UTC))
    assert (said.kind, said.retry_after_s) == (kind, retry_after_s)
    assert len(server.calls) == 1


def test_a_result_that_is_not_what_the_server_listed_is_refused():
    wrong = answer(GOOD | {"structuredContent": {"id": 7}})
    server = Server((200, "application/json", wrong), (200, "application/json", answer()), tool=SHAPED)

    async def work(upstream):
        with pytest.raises(RuntimeError, match="structured content"):
            await find(upstream)
        return await find(upstream)

    assert on_server(server, work)["structuredContent"] == {"id": "C1"}


def test_a_server_that_is_gone_is_told_as_such_and_connected_to_again():
    async def main():
        async with served(Server()) as origin:
            upstream = Upstream(UpstreamAddress(name="stub", url=f"{origin}/mcp"))
            await upstream.tools()
        with pytest.raises((UpstreamGone, MCPError)):
            await find(upstream)
        with pytest.raises(UpstreamGone, match="cannot be reached"):
            await find(upstream)
        await upstream.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "target", "line", "host"),
    [
        ("http://erp.test/mcp", ("erp.test", 80, False), "/mcp", "erp.test"),
        ("https://erp.test:8443", ("erp.test", 8443, True), "/", "erp.test:8443"),
        (
            "https://erp.test:443/a%20b c?x=ä&y=%2F",
            ("erp.test", 443, True),
            "/a%20b%20c?x=%C3%A4&y=%2F",
            "erp.test",
        ),
        ("http://[::1]:9/mcp", ("::1", 9, False), "/mcp", "[::1]:9"),
        ("http://bücher.test/mcp", ("xn--bcher-kva.test", 80, False), "/mcp", "xn--bcher-kva.test"),
    ],
)
def test_an_address_says_where_to_connect_and_what_to_ask_for(url, target, line, host):
    assert mcp_stateless._place(url) == (target, f"POST {line} HTTP/1.1\r\nhost: {host}\r\n".encode())


@pytest.mark.parametrize("value", ["7\r\nx-other: 8", "7\n", "7\0"])
def test_a_header_cannot_become_two(value):
    server = Server((200, "application/json", answer()))

    async def work(upstream):
        upstream.address.headers["x-tenant"] = value
        with pytest.raises(UpstreamGone) as caught:
            await find(upstream)
        return caught.value.__cause__

    assert "end of a line" in str(on_server(server, work, headers={"x-tenant": "7"}))
    assert not server.calls


def test_an_answer_that_breaks_off_is_no_answer_and_the_next_call_goes_on():
    cut = json.dumps({"jsonrpc": "2.0"}).encode()
    server = Server((200, "application/json", answer()))

    async def broken(scope, receive, send):
        if not server.calls and dict(scope["headers"]).get(b"mcp-method") == b"tools/call":
            server.asked.append(({}, {"method": "tools/call"}))
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(cut) + 1).encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": cut, "more_body": True})
            raise ConnectionAbortedError
        await server(scope, receive, send)

    async def work(upstream):
        with pytest.raises(UpstreamGone, match="went away"):
            await find(upstream)
        return await find(upstream)

    assert on_server(broken, work)["structuredContent"] == {"id": "C1"}
