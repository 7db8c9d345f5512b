# SPDX-License-Identifier: Apache-2.0
"""The pages as one application: rooms behind one door, and a page for every address that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from pilothouse.errors import PilothouseError, UnknownName, UsageError, nearest_name
from pilothouse.interfaces.web.frame import Around, Frame
from pilothouse.interfaces.web.live import LiveStreams
from pilothouse.interfaces.web.reading import ReadingRoom
from pilothouse.interfaces.web.routing import Door, Room
from pilothouse.interfaces.web.sign_in import SignInRoom
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Link
from pilothouse.workflows.people.sign_in import SignIn
from pilothouse.workflows.reports.show import Shows

__all__ = ["web_app"]

NAMES_MAX = 20
"""Agents listed on a page that does not exist."""

COMPRESS_FROM_BYTES = 512
"""A smaller answer fits one packet anyway."""


def web_app(
    shows: Shows,
    *,
    sign_in: SignIn | None = None,
    rooms: Sequence[Room] = (),
    state: Callable[[], object] | None = None,
) -> Starlette:
    """Return the pages as an application to be mounted beside the OTLP routes.

    Args:
        shows: Answers what each page shows.
        sign_in: Who people are; None serves pages that can only be read.
        rooms: Further pages and forms; they come before the reading pages, whose addresses match almost all.
        state: Gives what is equal as long as nothing on a live page can have changed; None makes such pages anew
            at every look.
    """
    frame = Frame(signs_in=sign_in is not None)

    door = Door(frame, sign_in, partial(_nearby, shows), LiveStreams(state))
    entrance = () if sign_in is None else (SignInRoom(sign_in),)
    declared = [one for room in (*entrance, *rooms, ReadingRoom(shows)) for one in room.routes(frame)]
    frame.offer(one.path for one in declared)
    routes = [door.route(one) for one in declared]

    async def not_found(request: Request, _error: Exception) -> Response:
        error = UnknownName("no page has this address", remedy="Start from Fleet: /")
        return await run_in_threadpool(door.turn_away, request, error)

    async def wrong_method(request: Request, raised: Exception) -> Response:
        error = UsageError(
            "this address is read with GET, or takes a form with POST", remedy="Start from Fleet: /"
        )
        response = await run_in_threadpool(door.turn_away, request, error, status=405)
        allowed = (getattr(raised, "headers", None) or {}).get("Allow", "GET, HEAD")
        response.headers["allow"] = ", ".join(sorted(allowed.split(", ")))
        return response

    return Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=COMPRESS_FROM_BYTES)],
        exception_handlers={404: not_found, 405: wrong_method},
    )


def _nearby(shows: Shows, asked: str) -> Around:
    """Return an agent by its name, or links to agents, the one whose name looks most like what was typed first."""
    try:
        names = shows.known_agents()
        if asked in names:
            return Around(agent=asked, governed=shows.is_governed(asked))
        return Around(links=_links(shows, asked, names))
    except PilothouseError:
        return Around()


def _links(shows: Shows, asked: str, names: Sequence[str]) -> tuple[Link, ...]:
    near = nearest_name(asked, names)
    ordered = [name for name in (near,) if name] + [name for name in names if name != near]
    return tuple(
        Link(
            text=f"Did you mean {foreign_line(name, chars_max=80)}?" if name == near else foreign_line(name),
            href=f"/agents/{quote(name, safe='')}/{'agent' if shows.is_governed(name) else 'tasks'}",
        )
        for name in ordered[:NAMES_MAX]
    )
