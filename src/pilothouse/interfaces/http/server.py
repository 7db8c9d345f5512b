# SPDX-License-Identifier: Apache-2.0
"""Serve telemetry, pages and API on one port until a signal asks to stop."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from pilothouse.connectors.own_server import ask_health
from pilothouse.errors import Conflict, UsageError
from pilothouse.interfaces.http.joined_writes import JoinedWritesProtocol
from pilothouse.settings import LOOPBACK_HOSTS

__all__ = ["KEEP_ALIVE_S", "bind", "compose", "only_says", "serve"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OURS_HELPS = "Open it, put another charter into force there (`pilothouse verdict --charter FILE`)"

BACKLOG = 1_024
"""Connections the kernel may queue; exporters of a few hundred processes that start together fit."""

SHUTDOWN_GRACE_S = 5
"""How long requests in flight may take to finish after a stop was asked."""

KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than the official clients keep one (5 s), or both close it in the same
moment, and a call that was just put on it fails with a connection error although nothing is wrong."""


def bind(host: str, port: int) -> socket.socket:
    """Open the listening socket, so that a port in use is reported before anything else starts.

    Args:
        host: A loopback address; others are refused until keys and TLS exist.
        port: Port, or 0 to let the system choose.

    Returns:
        A bound socket; ask it for its port.

    Raises:
        UsageError: The address is not loopback.
        Conflict: Something listens on the port already.
    """
    if host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"host {host!r} is not loopback, and this version has no keys to protect an open port",
            remedy="Use --host 127.0.0.1 and put a proxy with TLS and sign-in in front.",
            subject="host",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only then: an answer in two writes would wait
    # 40 ms for the other side's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        is_ours = ask_health(url) is not None
        raise Conflict(
            f"a Pilothouse runs at {url}/ already" if is_ours else f"port {port} is taken: {error.strerror}",
            remedy=f"{OURS_HELPS if is_ours else 'Stop what listens there'}, or choose another port and data folder: "
            f"`pilothouse up --port {port + 1} --home FOLDER`.",
            subject=str(port),
        ) from error
    return listener


def compose(
    *,
    otlp: App,
    pages: App,
    metrics: Callable[[], str],
    health: Callable[[], dict[str, object]],
    mounts: Mapping[str, App] | None = None,
    further_hosts: Iterable[str] = (),
) -> App:
    """Return one application: OTLP under /v1/, /metrics, /healthz, the mounts, and pages for everything else.

    OTLP bypasses the pages' router, so that spans do not pay for a framework. A request that
    was meant for another name is refused: a web page elsewhere may not read traces through the visitor's browser
    by letting its own name point to this machine.

    Args:
        otlp: Takes /v1/traces, /v1/logs, /v1/metrics.
        pages: Takes the rest.
        metrics: Returns the counters as Prometheus text.
        health: Returns what a load balancer and `doctor` want to know.
        mounts: Further applications by the first part of their path, for example `gw`; each sees the whole path.
        further_hosts: Names besides loopback that requests may be meant for, for example a proxy's.
    """
    mounted = dict(mounts or {})
    hosts = {name.lower().encode() for name in (*LOOPBACK_HOSTS, *further_hosts)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if not _is_meant_for(scope, hosts):
            text = "This server answers to its own name only. Behind a proxy, name it in PILOTHOUSE_ALLOWED_HOSTS.\n"
            await _answer(send, text.encode(), b"text/plain; charset=utf-8", status=403)
        elif path.startswith("/v1/"):
            await otlp(scope, receive, send)
        elif path == "/metrics":
            await _answer(send, metrics().encode(), b"text/plain; version=0.0.4; charset=utf-8")
        elif path == "/healthz":
            await _answer(send, json.dumps(health()).encode(), b"application/json")
        else:
            await mounted.get(path[1:].partition("/")[0], pages)(scope, receive, send)

    return app


def only_says(text: str) -> App:
    """Return an application that answers every request with 404 and a text."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await _answer(send, text.encode(), b"text/plain; charset=utf-8", status=404)

    return app


def serve(
    app: App,
    listener: socket.socket,
    on_ready: Callable[[], None],
    *,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; returns after the requests in flight have been answered.

    Args:
        app: The composed application.
        listener: A bound socket.
        on_ready: Called once, when connections are accepted.
        on_stop: Awaited in the loop that served, after the last answer.
    """
    config = uvicorn.Config(
        app,
        http=JoinedWritesProtocol,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
        proxy_headers=False,
    )
    _Server(config, on_ready, on_stop).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]] | None,
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal without raising it again, because clean-up after serving must still run."""
        before = {asked: signal.signal(asked, self.handle_exit) for asked in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for asked, handler in before.items():
                signal.signal(asked, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self._on_stop is not None:
            await self._on_stop()


def _is_meant_for(scope: Scope, hosts: set[bytes]) -> bool:
    """Return whether the Host header names this server; HTTP/1.0 requests without one are accepted."""
    for name, value in scope["headers"]:
        if name == b"host":
            host: bytes = value.lower()
            bare = host.partition(b"]")[0].lstrip(b"[") if host.startswith(b"[") else host.partition(b":")[0]
            return bare in hosts
    return True


async def _answer(send: Send, body: bytes, content_type: bytes, *, status: int = 200) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
