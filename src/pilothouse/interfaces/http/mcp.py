# SPDX-License-Identifier: Apache-2.0
"""`/mcp`: an agent's governed tools over streamable HTTP, known by its key; `/mcp/tasks` opens a task."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pilothouse.errors import Denied, InfrastructureError, LimitExceeded, PilothouseError, UsageError
from pilothouse.ports.permissions import Segment, TaskOpening
from pilothouse.runtime.gateway.keys import shown_key
from pilothouse.runtime.gateway.refusal import Refused
from pilothouse.runtime.tools.mcp_rooms import McpRooms

__all__ = ["OPENING_BYTES_MAX", "mcp_app"]

FINDINGS_SHOWN_MAX = 5
"""Reasons in one answer; whoever mends the first five runs `pilothouse check` for the rest."""

OPENING_BYTES_MAX = 256 << 10
"""A request that a person typed, with what they quoted; longer ones are documents."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    source: Literal["typed", "quoted"]


class _Opening(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task_type: _Name
    requester: _Name
    segments: tuple[_Said, ...] = Field(max_length=100)
    run: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None


def mcp_app(rooms: McpRooms) -> App:
    """Return the ASGI application for everything under `/mcp`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if _is_foreign_page(headers):
            await _answer(send, 403, "a web page of another origin asks", "Call it from the agent's code.")
            return
        try:
            room = await rooms.room(shown_key(headers))
            if scope["path"].rstrip("/") == "/mcp":
                await room.http.answer(scope, receive, send)
            elif (scope["path"], scope["method"]) == ("/mcp/tasks", "POST"):
                said = await _opening(receive)
                opening = TaskOpening(
                    agent=room.agent,
                    run=said.run or secrets.token_hex(16),
                    task_type=said.task_type,
                    requester=said.requester,
                    segments=tuple(Segment(text=one.text, source=one.source) for one in said.segments),
                )
                body = {"token": room.decider.open_task(opening), "run": opening.run}
                await _send(send, 201, body)
            else:
                await _answer(send, 404, "nothing is here", "Use /mcp, or POST to /mcp/tasks to open a task.")
        except Refused as refused:
            await _answer(send, 401, refused.refusal.message, refused.refusal.remedy)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "body"
            await _answer(
                send, 422, f"{where}: {first['msg']}", "See docs/how-to/put-the-mcp-proxy-in-front.md."
            )
        except Denied as error:
            await _answer(send, 409, error.message, error.remedy)
        except LimitExceeded as error:
            await _answer(send, 413, error.message, error.remedy)
        except PilothouseError as error:
            status = 503 if isinstance(error, InfrastructureError) else 403
            why = "; ".join(getattr(error, "findings", ())[:FINDINGS_SHOWN_MAX])
            await _answer(send, status, f"{error.message}: {why}" if why else error.message, error.remedy)

    return app


def _is_foreign_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser reports that the requesting page belongs to another site."""
    origin = headers.get(b"origin")
    if origin is None:
        return False
    asked = headers.get(b"host", b"").decode("latin-1").lower()
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() != asked
    except ValueError:  # no address, so not ours
        return True


async def _opening(receive: Receive) -> _Opening:
    """Parse the opening of a task.

    Raises:
        LimitExceeded: It is too long.
        UsageError: The caller has gone before the end of it.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # a part may read like a whole, and a run is opened once
            raise UsageError("the request did not come to its end", remedy="Send it again.")
        body += message.get("body", b"")
        if len(body) > OPENING_BYTES_MAX:
            raise LimitExceeded(
                f"a task is opened with at most {OPENING_BYTES_MAX >> 10} KiB",
                remedy="Send what the person typed and quoted, and no documents.",
            )
        if not message.get("more_body"):
            return _Opening.model_validate_json(body)


async def _answer(send: Send, status: int, what: str, remedy: str) -> None:
    await _send(send, status, {"error": {"message": what, "remedy": remedy}})


async def _send(send: Send, status: int, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
