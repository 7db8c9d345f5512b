# SPDX-License-Identifier: Apache-2.0
"""A model server on loopback that speaks the OpenAI protocol and answers from a script, offline.

It stands where a provider stands: the same paths, bodies, streams, usage and errors, so that an agent needs no
change to talk to it. It can be told to fail as providers fail. `python -m pilothouse.demo.model_server` starts one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from pilothouse.demo.model_script import Conversation, Script, Turn, call_tools_then_answer
from pilothouse.demo.openai_wire import (
    chat_body,
    chat_stream,
    parse_chat,
    parse_responses,
    responses_body,
    responses_stream,
)
from pilothouse.errors import MalformedRecord

__all__ = ["Fault", "ModelServer", "main"]

BODY_BYTES_MAX = 4 * 1024 * 1024
"""No conversation of a narrow agent is larger; a larger body is refused as a provider would."""

TIMEOUT_HOLD_S = 30.0
"""How long a `timeout` fault holds a request: longer than any client of a test or of the demo waits."""

STOP_WAIT_S = 5.0


class Fault(StrEnum):
    """How the server is told to fail; each is something providers do."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CUT_OFF = "cut_off"
    """A success whose body ends in the middle."""


class ModelServer:
    """A scripted model on a free loopback port, running in a thread of this process.

    Attributes:
        calls: Model calls answered or failed so far.

    Example:
        >>> server = ModelServer()
        >>> server.base_url.startswith("http://127.0.0.1:")
        True
        >>> server.close()
    """

    def __init__(
        self,
        script: Script = call_tools_then_answer,
        *,
        port: int = 0,
        further_routes: tuple[BaseRoute, ...] = (),
    ) -> None:
        """Listen at once; requests are answered after `start` or inside `with`.

        Args:
            script: What the model answers.
            port: Port on 127.0.0.1; 0 lets the system choose.
            further_routes: Routes of other parts of a simulated world.
        """
        self.calls = 0
        self._script = script
        self._served_as: str | None = None
        self._faults: deque[Fault] = deque()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(512)
        app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/responses", self._responses, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
                *further_routes,
            ]
        )
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.origin}/v1"

    def fail_next(self, fault: Fault, *, times: int = 1) -> None:
        """Let the next calls fail.

        Args:
            fault: How.
            times: How many calls.
        """
        self._faults.extend([fault] * times)

    def serve_as(self, model: str | None) -> None:
        """Name another model in every answer from now on, as a provider does that swaps models silently.

        Args:
            model: The model that really answers; None says the truth again.
        """
        self._served_as = model

    def start(self) -> Self:
        """Answer requests in a background thread."""
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(STOP_WAIT_S)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _chat(self, request: Request) -> Response:
        def render(conversation: Conversation, turn: Turn, asked: Mapping[str, Any]) -> Response:
            if not asked.get("stream"):
                return JSONResponse(chat_body(conversation, turn))
            usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            return _events(chat_stream(conversation, turn, include_usage=usage))

        return await self._answer(request, parse_chat, render)

    async def _responses(self, request: Request) -> Response:
        def render(conversation: Conversation, turn: Turn, asked: Mapping[str, Any]) -> Response:
            if not asked.get("stream"):
                return JSONResponse(responses_body(conversation, turn))
            return _events(responses_stream(conversation, turn))

        return await self._answer(request, parse_responses, render)

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    async def _answer(
        self,
        request: Request,
        parse: Callable[[Mapping[str, Any]], Conversation],
        render: Callable[[Conversation, Turn, Mapping[str, Any]], Response],
    ) -> Response:
        """Read, fail if told to, else answer from the script."""
        self.calls += 1
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return _error(413, "invalid_request_error", "the request is too large")
        fault = self._faults.popleft() if self._faults else None
        if fault is not None and fault is not Fault.CUT_OFF:
            return await _fail(fault)
        try:
            asked = json.loads(body)
            conversation = parse(asked)
        except (ValueError, KeyError, TypeError, AttributeError, MalformedRecord) as error:
            return _error(400, "invalid_request_error", f"cannot read the request: {error}")
        turn = self._script(conversation)
        if self._served_as is not None:
            turn = replace(turn, model=self._served_as)
        answer = render(conversation, turn, asked)
        if fault is Fault.CUT_OFF and not isinstance(answer, StreamingResponse):
            whole = bytes(answer.body)
            return Response(whole[: len(whole) // 2], media_type="application/json")
        return answer


def main(arguments: list[str] | None = None) -> None:
    """Serve a scripted model until interrupted, and print the base URL to give to an agent.

    Args:
        arguments: Command line; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog="python -m pilothouse.demo.model_server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 lets the system choose")
    port: int = parser.parse_args(arguments).port
    stop = threading.Event()
    # Set by hand: a shell starts background processes with Ctrl-C ignored, and they must stop all the same.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, lambda *_: stop.set())
    with ModelServer(port=port) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        stop.wait()


async def _fail(fault: Fault) -> Response:
    """Fail as providers fail."""
    if fault is Fault.RATE_LIMITED:
        return _error(429, "rate_limit_exceeded", "rate limit reached", {"retry-after-ms": "1"})
    if fault is Fault.TIMEOUT:
        await asyncio.sleep(TIMEOUT_HOLD_S)
    return _error(500, "server_error", "the server had an error")


def _error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return JSONResponse(body, status_code=status, headers=headers)


def _events(pieces: Iterator[bytes]) -> Response:
    return StreamingResponse(pieces, media_type="text/event-stream")


if __name__ == "__main__":
    main()
