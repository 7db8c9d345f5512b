# SPDX-License-Identifier: Apache-2.0
"""Serves a replay under the gateway's own routes, on loopback and on a socket file that reaches into a closed network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Self

import uvicorn

from pilothouse.core.evidence.run_log import ModelResponse
from pilothouse.interfaces.http.recall import PLACE, recall_range
from pilothouse.interfaces.http.server import KEEP_ALIVE_S
from pilothouse.runtime.gateway.refusal import error_body, no_route
from pilothouse.runtime.gateway.routes import PREFIX as GATEWAY
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.replay.divergence import Divergence
from pilothouse.runtime.replay.live import LiveAnswer, LiveModel
from pilothouse.runtime.replay.session import Diverge, Live, ReplaySession, Serve

__all__ = ["ReplayServer"]

BODY_BYTES_MAX = 32 << 20
"""The gateway's own maximum."""

START_WAIT_S = 10.0
PREFIX = re.compile(r"^(?:/gw)?(?:/r/(?P<run>[^/]+)|/l/[^/]+)?(?=/v1/)")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


OnLive = Callable[[Serve | Live, int, bytes], None]
"""Is told of each live answer and of what was decided about its request."""


class ReplayServer:
    """A model server that answers from a replay session; use it as a context manager.

    It listens at once; requests are answered inside `with`.

    Args:
        sessions: Decide about each request, by run id; a single one also decides where the path names no run.
        live: Answers what leaves the record.
        on_live: Told of live answers.
        socket_file: Where to listen besides loopback, or None.
    """

    def __init__(
        self,
        sessions: Mapping[str, ReplaySession],
        *,
        live: LiveModel | None = None,
        on_live: OnLive | None = None,
        socket_file: Path | None = None,
    ) -> None:
        self._sessions = dict(sessions)
        self._only = next(iter(self._sessions.values())) if len(self._sessions) == 1 else None
        self._live = live
        self._on_live = on_live
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        self._sockets = [listener]
        if socket_file is not None:
            file = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            file.bind(str(socket_file))
            file.listen(512)
            self._sockets.append(file)
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": self._sockets}, name="pilothouse-replay", daemon=True
        )

    @property
    def origin(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_WAIT_S)
        for each in self._sockets:
            each.close()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        prefix = PREFIX.match(scope["path"])
        route = scope["path"][prefix.end() :] if prefix else scope["path"]
        session = self._sessions.get((prefix["run"] if prefix else "") or "", self._only)
        if scope["method"] == "GET" and route == "/v1/models":
            named = () if session is None else session.models()
            await _whole(send, 200, {"content-type": "application/json"}, _listing(named))
            return
        body = await _body(receive)
        if session is None:
            await _refuse(send, route, "run_unknown", "no replay of that run is being served", status=404)
            return
        if body is None:
            await _refuse(send, route, "request_too_large", "the request is larger than 32 MiB", status=413)
            return
        if scope["method"] == "GET" and route.startswith(PLACE):
            await _recalled(send, session, route, scope["query_string"])
            return
        place = find_place(scope["method"], GATEWAY + route, says_anthropic=_says_anthropic(scope))
        if place.route is None:
            # The gateway has no such route and does not record who asks for it: it answers the same again.
            refusal = no_route(place.problem)
            headers = {name.decode(): value.decode() for name, value in refusal.headers()}
            headers["content-type"] = "application/json"
            await _whole(send, refusal.code.status, headers, error_body(place.protocol, refusal))
            return
        kept = session.kept_answer(scope["method"], route, scope["query_string"])
        if kept is not None:
            await _whole(send, 200, {"content-type": kept[0]}, kept[1])
            return
        decision = await asyncio.to_thread(session.take, route, body)
        if isinstance(decision, Serve):
            shadow = self._shadow(decision, route)
            await _replayed(send, decision.exchange.response)
            if shadow is not None:
                await shadow
        elif isinstance(decision, Diverge):
            divergence = decision.divergence
            await _refuse(send, route, "replay_divergence", _sentence(divergence), path=divergence.path)
        else:
            await self._ask(decision, route, dict(scope["headers"]), send)

    def _shadow(self, decision: Serve, route: str) -> asyncio.Task[None] | None:
        """Ask the live model as well, in the shadow of the recorded answer."""
        live = self._live
        body = decision.shadow
        if live is None or not body:
            return None

        async def ask() -> None:
            status, _, answer = await live.ask(route, decision.exchange.headers, body)
            self._tell(decision, status, answer)

        return asyncio.create_task(ask())

    async def _ask(self, decision: Live, route: str, headers: dict[bytes, bytes], send: Send) -> None:
        if self._live is None:
            text = "this call is not in the record and no live model was named. Give --upstream."
            await _refuse(send, route, "replay_blocked", text)
            return
        kept = {
            name.decode(): value.decode("latin-1")
            for name, value in headers.items()
            if name in {b"anthropic-version", b"anthropic-beta", b"openai-beta"}
        }
        answer: LiveAnswer = await self._live.ask(route, kept, decision.body)
        self._tell(decision, answer[0], answer[2])
        await _whole(send, *answer)

    def _tell(self, decision: Serve | Live, status: int, body: bytes) -> None:
        if self._on_live is not None:
            self._on_live(decision, status, body)


def _says_anthropic(scope: Scope) -> bool:
    return any(name == b"anthropic-version" for name, _ in scope["headers"])


def _listing(models: Sequence[str]) -> bytes:
    """Return a list of models as either protocol reads it: those that the run asked, for the record has no list."""
    fixed = {
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": "record",
    }
    data = [{"id": name, "display_name": name, **fixed} for name in models]
    ends = {"has_more": False, "first_id": None, "last_id": None}
    return json.dumps({"object": "list", "data": data, **ends}).encode()


async def _recalled(send: Send, session: ReplaySession, route: str, query: bytes) -> None:
    """Answer a recall of a removed result, as the gateway did in the recording."""
    start, end = recall_range(query)
    text = session.recall(route.removeprefix(PLACE), start=start, end=end)
    if text is None:
        await _refuse(send, route, "recall_unknown", "nothing is recorded under this id", status=404)
        return
    await _whole(send, 200, {"content-type": "text/plain; charset=utf-8"}, text.encode("utf-8", "replace"))


async def _body(receive: Receive) -> bytes | None:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > BODY_BYTES_MAX:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)


async def _replayed(send: Send, response: ModelResponse) -> None:
    """Send a recorded answer in its recorded chunks."""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in HOP_HEADERS}
    await send(_start(response.status, headers))
    sizes = response.chunk_sizes if sum(response.chunk_sizes) == len(response.body) else (len(response.body),)
    at = 0
    for size in sizes:
        piece = {"type": "http.response.body", "body": response.body[at : at + size], "more_body": True}
        with contextlib.suppress(OSError):
            await send(piece)
        at += size
    await send({"type": "http.response.body", "body": b""})


HOP_HEADERS = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive", "date"}
)
"""Headers that belong to one connection, or to an encoding that the record does not keep."""


async def _whole(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    await send(_start(status, headers))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _refuse(
    send: Send, route: str, code: str, text: str, *, path: str = "$", status: int = 422
) -> None:
    """Refuse in the shape of the protocol, and ask the client not to retry."""
    error: dict[str, Any] = {"type": "invalid_request_error", "message": text}
    if route.startswith("/v1/messages"):
        body: dict[str, Any] = {"type": "error", "error": error}
    else:
        body = {"error": {**error, "code": code, "param": path}}
    await _whole(
        send,
        status,
        {"content-type": "application/json", "x-should-retry": "false", "x-pilothouse-code": code},
        json.dumps(body).encode(),
    )


def _sentence(divergence: Divergence) -> str:
    return (
        f"the replay left the record at call {divergence.call}: {divergence.kind} at {divergence.path}. "
        "The report of `pilothouse replay` shows both sides."
    )
