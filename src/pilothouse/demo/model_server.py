# SPDX-License-Identifier: Apache-2.0
"""A model server on loopback that speaks the OpenAI protocol and answers from a script, offline.

It stands where a provider stands: the same paths, bodies, streams, usage and errors, so that an agent needs no
change to talk to it. `python -m pilothouse.demo.model_server` starts one.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
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

__all__ = ["ModelServer", "main"]

BODY_BYTES_MAX = 4 * 1024 * 1024
"""No conversation of a narrow agent is larger; a larger body is refused as a provider would."""

STOP_WAIT_S = 5.0


class ModelServer:
    """A scripted model on a free loopback port, running in a thread of this process.

    Attributes:
        calls: Model calls so far.

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
        """Answer from the script."""
        self.calls += 1
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return _error(413, "invalid_request_error", "the request is too large")
        try:
            asked = json.loads(body)
            conversation = parse(asked)
        except (ValueError, KeyError, TypeError, AttributeError, MalformedRecord) as error:
            return _error(400, "invalid_request_error", f"cannot read the request: {error}")
        return render(conversation, self._script(conversation), asked)


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


def _error(status: int, kind: str, message: str) -> Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return JSONResponse(body, status_code=status)


def _events(pieces: Iterator[bytes]) -> Response:
    return StreamingResponse(pieces, media_type="text/event-stream")


if __name__ == "__main__":
    main()
