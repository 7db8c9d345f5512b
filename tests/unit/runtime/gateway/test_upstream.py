# SPDX-License-Identifier: Apache-2.0
"""The way to a provider, on both loops, against a server that says exactly the bytes it is told to say."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.gateway import connections
from pilothouse.runtime.gateway.connection import BUFFERED_BYTES_MAX, HEAD_BYTES_MAX
from pilothouse.runtime.gateway.upstream import Upstream, UpstreamFailed

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request):
    def run(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


class Says:
    """A server that answers the requests of each connection with the given bytes, then closes or stays."""

    def __init__(self, *answers, stays=True, tls=None):
        self.answers, self.stays, self.tls = answers, stays, tls
        self.requests, self.connections, self.written = [], 0, 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            for answer in self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                self.requests.append(head + await reader.readexactly(int(lines.get(b"content-length", 0))))
                for low in range(0, len(answer), 1 << 16):
                    writer.write(answer[low : low + (1 << 16)])
                    await writer.drain()
                    self.written += 1 << 16
            if self.stays:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def provider(url, **fields):
    return Provider(name="acme", url=url, credential_variable="KEY", protocol=WireProtocol.OPENAI, **fields)


@asynccontextmanager
async def asked(server, body=b"{}", *, method="POST", query=b"", headers=()):
    async with server, Upstream({"KEY": "sk-1"}) as upstream:
        ask = partial(
            upstream.open,
            provider(server.url),
            method=method,
            path="/v1/chat/completions",
            query=query,
            headers=list(headers),
            body=body,
        )
        yield ask


def test_a_request_arrives_as_it_was_given_with_the_credential_and_its_length(run):
    async def main():
        server = Says(OK)
        async with asked(server, b'{"a": 1}', query=b"x=%2F", headers=[(b"user-agent", b"t/1")]) as ask:
            answer = await ask()
            assert (answer.status, await answer.read_all(99)) == (200, b"hi")
        (request,) = server.requests
        host = server.url.removeprefix("http://").removesuffix("/v1").encode()
        assert request == (
            b"POST /v1/chat/completions?x=%2F HTTP/1.1\r\nhost: " + host + b"\r\n"
            b"authorization: Bearer sk-1\r\nuser-agent: t/1\r\ncontent-length: 8\r\n\r\n"
            b'{"a": 1}'
        )

    run(main())


def test_a_connection_serves_one_call_after_another_until_the_provider_closes_it(run):
    async def main():
        closing = OK.replace(b"content-length", b"connection: close\r\ncontent-length")
        server = Says(OK, closing, stays=False)
        async with asked(server) as ask:
            for _ in range(3):
                assert await (await ask()).read_all(99) == b"hi"
        assert server.connections == 2

    run(main())


def test_an_idle_connection_is_closed_before_it_gets_old(run, monkeypatch):
    monkeypatch.setattr(connections, "KEEP_ALIVE_S", 0.05)

    async def main():
        server = Says(OK, OK)
        async with asked(server) as ask:
            await (await ask()).read_all(99)
            await asyncio.sleep(0.2)
            await (await ask()).read_all(99)
        assert server.connections == 2

    run(main())


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\nx-sum: 1\r\n\r\n",
            b"hi!",
        ),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 200 OK\r\nx-empty:\r\nx-id: 7\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    ],
    ids=["chunked", "announced", "until the end", "no content", "empty"],
)
def test_a_body_ends_where_its_framing_says(said, body, run):
    async def main():
        async with asked(Says(said, stays=False)) as ask:
            answer = await ask()
            assert await answer.read_all(99) == body
            assert await answer.read_some() == b""
            names = [name for name, _ in answer.headers]
            assert b"x-sum" not in names
            assert b"link" not in names
            if b"x-id" in said:
                assert (b"x-id", b"7") in answer.headers

    run(main())


@pytest.mark.parametrize(
    ("said", "has_head"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\ncontent-le", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n", True),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!", False),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * (2 * HEAD_BYTES_MAX) + b"\r\n\r\n", False),
    ],
)
def test_an_answer_that_is_none_is_a_failure_and_never_a_short_answer(said, has_head, run):
    async def main():
        async with asked(Says(said, stays=False)) as ask:
            if not has_head:
                with pytest.raises(UpstreamFailed) as failed:
                    await ask()
            else:
                answer = await ask()
                with pytest.raises(UpstreamFailed) as failed:
                    await answer.read_all(1 << 20)
            assert failed.value.kind == "cut"

    run(main())


def test_what_comes_behind_an_answer_ends_the_connection_and_not_the_next_answer(run):
    async def main():
        server = Says(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", OK)
        async with asked(server) as ask:
            for _ in range(2):
                assert await (await ask()).read_all(99) == b"hi"
        assert server.connections == 2

    run(main())


def test_a_slow_reader_stops_the_provider_instead_of_filling_the_memory(run):
    async def main():
        size = 64 << 20
        server = Says(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"a" * size)
        async with asked(server) as ask:
            answer = await ask()
            await asyncio.sleep(0.2)
            assert server.written < size / 2
            assert len(await answer.read_some()) < 4 * BUFFERED_BYTES_MAX
            with pytest.raises(UpstreamFailed, match="more than"):
                await answer.read_all(1 << 20)

    run(main())


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunks(*parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@pytest.mark.parametrize("takes", [1, 3, 1000])
def test_what_comes_is_handed_on_in_order_and_waits_while_it_is_not_taken(takes, run):
    async def main():
        parts = [b"%d," % number for number in range(20_000)]
        server = Says(CHUNKED + chunks(*parts) + b"0\r\n\r\n")
        async with asked(server) as ask:
            answer, taken, stops = await ask(), [], 0

            def take(part):
                taken.append(part)
                return len(taken) % takes != 0

            while not await answer.pass_all(take):
                stops += 1
                await asyncio.sleep(0)
            rest = await answer.read_all(1 << 20)
        assert b"".join(taken) + rest == b"".join(parts)
        assert stops == len(taken) // takes

    run(main())


def test_no_task_is_woken_for_a_part_that_is_taken(run):
    async def main():
        async def slowly(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            for part in (CHUNKED, *[chunks(b"a")] * 20, b"0\r\n\r\n"):
                writer.write(part)
                await asyncio.sleep(0.002)
            writer.close()

        server = Says()
        server._serve = slowly
        async with asked(server) as ask:
            answer, taken = await ask(), []
            waiting = answer.pass_all(lambda part: not taken.append((part, asyncio.tasks.current_task())))
            assert await waiting
        assert b"".join(part for part, _ in taken) == b"a" * 20
        assert [task for _, task in taken[1:] if task is not None] == []

    run(main())


def test_parts_that_came_before_a_break_are_handed_on_first(run):
    async def main():
        server = Says(CHUNKED + chunks(b"a", b"b"), stays=False)
        async with asked(server) as ask:
            answer, taken = await ask(), []
            with pytest.raises(UpstreamFailed, match="closed by the provider"):
                await answer.pass_all(lambda part: not taken.append(part))
        assert b"".join(taken) == b"ab"

    run(main())


def test_a_call_that_is_given_up_closes_its_connection_and_frees_its_place(run, monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)

    async def main():
        server = Says(b"", OK)
        async with asked(server) as ask:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await ask()
        assert server.connections == 2

    run(main())


def test_a_large_body_and_an_early_answer_leave_no_half_sent_connection_behind(run):
    async def main():
        server = Says(OK, OK)
        async with asked(server, b"x" * (8 << 20)) as ask:
            for _ in range(2):
                assert await (await ask()).read_all(99) == b"hi"
        assert [len(request) > 8 << 20 for request in server.requests] == [True, True]

    run(main())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "ftp://a/v1", "http:///v1", "http://nowhere.invalid/v1"]
)
def test_an_address_that_nobody_answers_is_told_from_an_answer_that_broke(url, run):
    async def main():
        async with Upstream({"KEY": "sk-1"}) as upstream:
            with pytest.raises(UpstreamFailed) as failed:
                await upstream.open(
                    provider(url), method="GET", path="/v1/models", query=b"", headers=[], body=b""
                )
        assert failed.value.kind == "connect"

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "cert.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_is_checked_before_a_credential_is_sent(is_trusted, certificate, run, monkeypatch):
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    async def main():
        server = Says(OK, OK, tls=tls)
        async with asked(server) as ask:
            if not is_trusted:
                with pytest.raises(UpstreamFailed) as failed:
                    await ask()
                assert failed.value.kind == "connect"
                assert not server.requests
                return
            for _ in range(2):
                assert await (await ask()).read_all(99) == b"hi"
            assert server.connections == 1

    run(main())


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"credential_variable": "KEY"}, "variable KEY of the server (start it where that is set)"),
        ({"credential_file": Path("/nowhere/key")}, "/nowhere/key of the server"),
    ],
)
def test_a_credential_that_the_server_does_not_have_says_where_it_looks(kept, said, run):
    async def main():
        named = Provider(name="acme", url="http://127.0.0.1:9/v1", protocol=WireProtocol.OPENAI, **kept)
        async with Upstream({}) as upstream:
            with pytest.raises(UpstreamFailed) as failed:
                await upstream.open(named, method="POST", path="/", query=b"", headers=[], body=b"{}")
        assert str(failed.value).endswith(said)

    run(main())
