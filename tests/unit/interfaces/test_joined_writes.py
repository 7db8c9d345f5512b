# SPDX-License-Identifier: Apache-2.0
"""A part of a stream is written in the turn in which it came, and only where it may be."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn

from pilothouse.interfaces.http.gateway import _AsgiCaller
from pilothouse.interfaces.http.joined_writes import PASS_ON, JoinedWritesProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


class Served(uvicorn.Server):
    """A server on a socket of its own that installs no handlers."""

    def __init__(self, app, http=JoinedWritesProtocol):
        super().__init__(
            uvicorn.Config(app, http=http, log_level="error", access_log=False, lifespan="off", ws="none")
        )
        self.listener = socket.create_server(("127.0.0.1", 0))

    async def __aenter__(self):
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[self.listener])
        return self.listener.getsockname()

    async def __aexit__(self, *_):
        await self.shutdown(sockets=[self.listener])


async def answer_of(app, requests=REQUEST, **options):
    async with Served(app, **options) as place:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(requests)
        answer = await reader.read()
        writer.close()
    return answer


def app_with(headers, done):
    async def app(scope, receive, send):
        caller = _AsgiCaller(scope, receive, send)
        await caller.start(200, [*headers, (b"connection", b"close")])
        done.append(caller.pass_on(b"first"))
        if not done[-1]:
            await caller.send(b"first", more=True)
        await caller.send(b"", more=False)
        done.append(caller.pass_on(b"late"))

    return app


@pytest.mark.parametrize(
    ("headers", "http", "sent"),
    [
        ([], JoinedWritesProtocol, True),
        ([(b"content-length", b"5")], JoinedWritesProtocol, False),
        ([], "httptools", False),
    ],
    ids=["chunks", "length", "another server"],
)
def test_a_part_goes_out_at_once_in_chunks_or_the_usual_way(headers, http, sent):
    done = []
    answer = asyncio.run(answer_of(app_with(headers, done), http=http))
    assert done == [sent, False]
    body = answer.partition(b"\r\n\r\n")[2]
    assert body == (b"first" if headers else b"5\r\nfirst\r\n0\r\n\r\n")


def test_a_part_of_another_request_of_the_connection_is_not_written():
    scopes, done = [], []

    async def app(scope, receive, send):
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        done.append(scope["extensions"][PASS_ON](scopes[0], b"x"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    closing = REQUEST.replace(b"host", b"connection: close\r\nhost")
    answer = asyncio.run(answer_of(app, REQUEST + closing))
    assert done in ([True, False], [False, False])  # whether both requests came in one read
    assert answer.count(b"1\r\nx\r\n") == done[0]


def test_a_client_that_takes_nothing_gets_nothing_more_at_once():
    async def main():
        done, part = asyncio.Event(), b"z" * 65_536
        passed = 0

        async def app(scope, receive, send):
            nonlocal passed
            caller = _AsgiCaller(scope, receive, send)
            await caller.start(200, [])
            while caller.pass_on(part):
                passed += 1
            done.set()
            await caller.send(part, more=True)  # waits until the client takes
            await caller.send(b"", more=False)

        async with Served(app) as place:
            reader, writer = await asyncio.open_connection(*place, limit=1024)
            writer.write(REQUEST)
            await asyncio.wait_for(done.wait(), 30)
            body = await _until_end(reader)
            writer.close()
        assert body.count(b"z") == len(part) * (passed + 1)

    asyncio.run(main())


async def _until_end(reader):
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        body += await reader.read(1 << 20)
    return body
