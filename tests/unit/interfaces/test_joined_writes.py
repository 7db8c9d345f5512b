# SPDX-License-Identifier: Apache-2.0
"""A part of a stream is written in the turn in which it came, and only where it may be."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn

from pilothouse.interfaces.http import joined_writes
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


BODY = b"whole"
LENGTH = (b"content-length", b"5")


@pytest.mark.parametrize(
    ("request_head", "status", "headers", "body", "at_once"),
    [
        (REQUEST, 200, [LENGTH], BODY, True),
        (REQUEST, 429, [(b"retry-after", b"1"), LENGTH], BODY, True),
        (REQUEST.replace(b"GET", b"HEAD"), 200, [LENGTH], BODY, False),
        (REQUEST, 200, [(b"content-length", b"70000")], b"z" * 70_000, False),
        (REQUEST, 413, [LENGTH, (b"connection", b"close")], BODY, False),
        (REQUEST.replace(b"host", b"connection: close\r\nhost"), 200, [LENGTH], BODY, False),
        (REQUEST.replace(b"1.1", b"1.0"), 200, [LENGTH], BODY, False),
        (REQUEST, 204, [], b"", False),
    ],
    ids=["usual", "refusal", "head", "large", "closing", "client closes", "1.0", "bodiless"],
)
def test_a_whole_answer_is_the_same_at_once_and_in_messages(request_head, status, headers, body, at_once):
    done = []

    async def main(http):
        async def app(scope, receive, send):
            caller = _AsgiCaller(scope, receive, send)
            inner = caller._answer
            caller._answer = lambda *given: done.append(inner(*given)) or done[-1]
            await caller.answer(status, headers, body)

        async with Served(app, http=http) as place:
            reader, writer = await asyncio.open_connection(*place)
            answers = []
            for _ in range(2):  # on one connection, where it stays open
                writer.write(request_head)
                head = await reader.readuntil(b"\r\n\r\n")
                rest = b"" if b"HEAD" in request_head else await reader.readexactly(len(body))
                answers.append((head.replace(b"\r\n", b"\n"), rest))
                if b"connection: close" in head:
                    assert await reader.read() == b""
                    writer.close()
                    reader, writer = await asyncio.open_connection(*place)
            writer.close()
        return [(_undated(head), rest) for head, rest in answers]

    ours = asyncio.run(main(JoinedWritesProtocol))
    assert done == [at_once, at_once]
    assert ours == asyncio.run(main("httptools"))
    assert done[2:] == [False, False]


def _undated(head):
    return [line for line in head.split(b"\n") if not line.startswith(b"date: ")]


@pytest.mark.parametrize("value", [b"a\r\nx-more: 1", b"a\nb", b"a\0b", b"a\x7f"])
def test_a_header_with_a_line_of_its_own_is_not_written(value):
    async def app(scope, receive, send):
        caller = _AsgiCaller(scope, receive, send)
        await caller.answer(200, [(b"x-said", value), LENGTH], BODY)

    assert asyncio.run(answer_of(app)) == b"", "the connection is closed instead"


def test_what_was_asked_behind_a_whole_answer_is_answered_too():
    async def app(scope, receive, send):
        caller = _AsgiCaller(scope, receive, send)
        await asyncio.sleep(0.01)  # the second request has come
        body = scope["path"].encode()
        await caller.answer(200, [(b"content-length", b"%d" % len(body))], body)

    requests = REQUEST.replace(b"GET /", b"GET /one") + REQUEST.replace(b"GET /", b"GET /two")
    answer = asyncio.run(answer_of(app, requests + REQUEST.replace(b"host", b"connection: close\r\nhost")))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.find(b"/one") < answer.find(b"/two")


async def _until_end(reader):
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        body += await reader.read(1 << 20)
    return body


async def reads_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


BODY = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("sent", "again"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nhost: h\r\n", b""),
        (b"GET / HTTP/1.1\r\nhost: h\r\n", b"x: y\r\n"),
        (REQUEST + b"GET / HTTP", b""),
        (BODY, b""),
        (REQUEST + BODY, b""),
    ],
    ids=[
        "nothing",
        "half a head",
        "a head bit by bit",
        "half a second head",
        "half a body",
        "half a second body",
    ],
)
def test_a_connection_whose_request_does_not_come_is_closed(monkeypatch, sent, again):
    for name in ("HEAD_S_MAX", "BODY_PAUSE_S_MAX"):
        monkeypatch.setattr(joined_writes, name, 0.4)
    monkeypatch.setattr(joined_writes, "LOOKED_AFTER_S", 0.1)

    async def told():
        async with Served(reads_all) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(sent)
            reading = asyncio.create_task(reader.read())
            for _ in range(100):
                if reading.done():
                    break
                if again:
                    writer.write(again)
                await asyncio.sleep(0.1)
            assert reading.done(), "it is held for ever"
            writer.close()
            return await reading

    assert asyncio.run(told()).count(b"HTTP/1.1 200") == sent.count(REQUEST)


def test_a_body_that_goes_on_and_an_idle_connection_are_left_alone(monkeypatch):
    for name in ("HEAD_S_MAX", "BODY_PAUSE_S_MAX"):
        monkeypatch.setattr(joined_writes, name, 1.0)
    monkeypatch.setattr(joined_writes, "LOOKED_AFTER_S", 0.1)

    async def told():
        async with Served(reads_all) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(BODY.replace(b"100", b"12"))
            for _ in range(8):
                await asyncio.sleep(0.25)
                writer.write(b"x")
            first = await reader.readuntil(b"ok")
            await asyncio.sleep(1.5)
            writer.write(REQUEST)
            second = await reader.readuntil(b"ok")
            writer.close()
            return first, second

    assert all(answer.startswith(b"HTTP/1.1 200") for answer in asyncio.run(told()))


async def told(scope, receive, send):
    """Say what came: method, headers of interest, body."""
    caller = _AsgiCaller(scope, receive, send)
    body = await caller.read_body()
    names = sorted(name for name, _ in caller.headers)
    said = b"%b %b %b" % (caller.method.encode(), b",".join(names), body)
    await caller.answer(200, [(b"content-length", b"%d" % len(said))], said)


POST = b"POST / HTTP/1.1\r\nhost: h\r\n"
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
LAST = REQUEST.replace(b"host", b"connection: close\r\nhost")


@pytest.mark.parametrize("at_once", [True, False], ids=["one write", "byte by byte"])
def test_who_offers_http_2_is_answered_in_http_1_with_nothing_of_the_body_lost(at_once):
    """The clients of Java's own library offer it with each first request."""
    requests = POST + OFFER + b"content-length: 5\r\n\r\nhello" + REQUEST.replace(b"GET", b"PUT") + LAST

    async def main():
        async with Served(told) as place:
            reader, writer = await asyncio.open_connection(*place)
            for part in [requests] if at_once else [bytes([byte]) for byte in requests]:
                writer.write(part)
                await asyncio.sleep(0)
            answer = await reader.read()
            writer.close()
        return answer

    answer = asyncio.run(main())
    assert b"POST content-length,host hello" in answer
    assert (b"PUT host " in answer, b"GET connection,host " in answer) == (True, True)


@pytest.mark.parametrize(
    "head",
    [b"CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\n", POST.replace(b"POST", b"CONNECT") + OFFER + b"\r\n"],
)
def test_a_tunnel_is_no_offer_that_can_be_declined_for_ever(head):
    async def main():
        async with Served(told) as place:
            _, tunnel = await asyncio.open_connection(*place)
            tunnel.write(head)
            await tunnel.drain()
            reader, writer = await asyncio.open_connection(*place)
            writer.write(LAST)
            answer = await reader.read()
            tunnel.close()
            writer.close()
        return answer

    assert b"GET connection,host " in asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize(("headers", "is_sized"), [([], False), ([LENGTH], True)])
def test_a_client_of_http_1_0_gets_no_chunks(headers, is_sized):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in (b"wh", b"ole"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    answer = asyncio.run(answer_of(app, REQUEST.replace(b"1.1", b"1.0")))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (body, b"chunked" in head, b"content-length" in head) == (b"whole", False, is_sized)


CHUNKED = POST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n"


def test_what_comes_behind_a_body_is_no_header():
    answer = asyncio.run(answer_of(told, CHUNKED + b"x-late: 1\r\n\r\n"))
    assert b"POST connection,host,transfer-encoding hello" in answer


@pytest.mark.parametrize("endless", [b"x-late: " + b"a" * 65_536, b"a: b\r\n" * 11_000], ids=["one", "many"])
def test_a_trailer_has_an_end(endless):
    async def main():
        async with Served(told) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(CHUNKED)
            await asyncio.sleep(0.05)
            try:
                for _ in range(64):
                    writer.write(endless)
                    await writer.drain()
                return await reader.read()
            except ConnectionError:
                return b""  # it was closed before the answer could be read
            finally:
                writer.close()

    answer = asyncio.run(asyncio.wait_for(main(), 30))
    assert not answer or b"400 Bad Request" in answer
