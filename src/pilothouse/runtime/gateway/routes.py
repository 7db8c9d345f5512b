# SPDX-License-Identifier: Apache-2.0
"""Which paths the gateway answers, what each of them is, and which run a path names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pilothouse.ports.gateway import WireProtocol

__all__ = ["PREFIX", "RESPONSES", "STORED_ID", "Operation", "Place", "Route", "find_place"]

PREFIX = "/gw"

RUN = re.compile(r"(?!0{32})[0-9a-f]{32}")
"""Also a trace: nothing but zeros is none, so that its calls would be on no record of tasks."""
LAUNCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
STORED_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
STORED = re.compile(rf"/v1/responses/({STORED_ID.pattern})(/cancel|/input_items)?")
"""A response that the provider keeps."""


class Operation(StrEnum):
    """What a request asks for."""

    CHAT = "chat"
    RESPONSES = "responses"
    COMPACT = "compact"
    STORED = "stored"
    EMBEDDINGS = "embeddings"
    MODELS = "models"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"


@dataclass(frozen=True, slots=True)
class Route:
    """One known path.

    Attributes:
        protocol: The protocol in use.
        operation: What is asked for.
        path: Path at the provider, from `/v1` on.
        names_model: Whether the body says a model, which is then pinned and paid for.
        stored_id: Id of the stored response that it is about, or None.
    """

    protocol: WireProtocol
    operation: Operation
    path: str
    names_model: bool
    stored_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads.

    Attributes:
        protocol: The protocol whose form an error must have.
        route: What answers, or None.
        run: Run id in the path, or None.
        launch: Launch id in the path, or None.
        problem: What is wrong with the path when no route answers, else empty.
    """

    protocol: WireProtocol
    route: Route | None
    run: str | None = None
    launch: str | None = None
    problem: str = ""


def _post(protocol: WireProtocol, operation: Operation, path: str) -> tuple[tuple[str, str], Route]:
    return ("POST", path), Route(protocol, operation, path, names_model=True)


RESPONSES = Route(WireProtocol.OPENAI, Operation.RESPONSES, "/v1/responses", names_model=True)

_ROUTES = dict(
    (
        _post(WireProtocol.OPENAI, Operation.CHAT, "/v1/chat/completions"),
        (("POST", RESPONSES.path), RESPONSES),
        _post(WireProtocol.OPENAI, Operation.COMPACT, "/v1/responses/compact"),
        _post(WireProtocol.OPENAI, Operation.EMBEDDINGS, "/v1/embeddings"),
        _post(WireProtocol.ANTHROPIC, Operation.MESSAGES, "/v1/messages"),
        _post(WireProtocol.ANTHROPIC, Operation.COUNT_TOKENS, "/v1/messages/count_tokens"),
    )
)
_USUAL = {(method, PREFIX + path): Place(route.protocol, route) for (method, path), route in _ROUTES.items()}
"""What is asked most: routes that are told by nothing but their path."""
_MODELS = {
    protocol: Route(protocol, Operation.MODELS, "/v1/models", names_model=False) for protocol in WireProtocol
}


def find_place(method: str, path: str, *, says_anthropic: bool) -> Place:
    """Find what answers a path.

    Args:
        method: HTTP method.
        path: Whole path, from `/gw` on.
        says_anthropic: Whether the request has a header `anthropic-version`.

    Returns:
        The place; without a route, `problem` says why.

    Example:
        >>> find_place("POST", "/gw/v1/messages", says_anthropic=True).route.operation.value
        'messages'
        >>> find_place("POST", "/gw/v1/audio/speech", says_anthropic=False).problem
        'nothing answers POST /v1/audio/speech here'
    """
    usual = _USUAL.get((method, path))
    if usual is not None:
        return usual
    rest = path[len(PREFIX) :]
    run = launch = None
    spoken = WireProtocol.ANTHROPIC if says_anthropic else WireProtocol.OPENAI
    if rest.startswith(("/r/", "/l/")):
        kind, (name, slash, rest) = rest[1], rest[3:].partition("/")
        rest = slash + rest
        pattern = RUN if kind == "r" else LAUNCH
        if pattern.fullmatch(name) is None:
            what = (
                "a run is 32 hex digits, not all of them zero"
                if kind == "r"
                else "a launch is 1 to 64 letters, digits, - and _"
            )
            return Place(spoken, None, problem=f"{name[:80]!r} in the path is no id: {what}")
        run, launch = (name, None) if kind == "r" else (None, name)
    route = _ROUTES.get((method, rest)) or _rare_route(method, rest, spoken)
    if route is None:
        return Place(spoken, None, problem=f"nothing answers {method} {rest[:120]} here")
    return Place(route.protocol, route, run, launch)


def _rare_route(method: str, path: str, spoken: WireProtocol) -> Route | None:
    if method == "GET" and path == "/v1/models":
        return _MODELS[spoken]
    stored = STORED.fullmatch(path)
    if stored is None:
        return None
    wanted = {"/cancel": ("POST",), "/input_items": ("GET",), None: ("GET", "DELETE")}[stored[2]]
    if method not in wanted:
        return None
    return Route(WireProtocol.OPENAI, Operation.STORED, path, names_model=False, stored_id=stored[1])
