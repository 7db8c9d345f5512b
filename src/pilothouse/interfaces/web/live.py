# SPDX-License-Identifier: Apache-2.0
"""Live updates of an open page: server-sent events that carry the digest of the page and no content.

The page fetches itself again, so what is shown passes the same door, and whoever may not read it any more is
turned away there. A page is made again only when somebody wrote to the ledger since the last look, or a minute went
by. Without script the page is reloaded by hand and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from pilothouse.errors import PilothouseError
from pilothouse.interfaces.web.frame import HEADERS

__all__ = ["LiveStreams", "asks_for_events"]

LOOK_EVERY_S = 3.0
"""A page call answered within minutes is seen in seconds; most looks are one question to the ledger."""

STREAMS_MAX = 32
"""Open pages that are told; one more is told nothing and can be reloaded."""

LIFE_S = 900.0
"""After a quarter of an hour the browser asks again by itself: a forgotten tab holds no stream for ever."""


def asks_for_events(request: Request) -> bool:
    """Return whether a browser's `EventSource` asks."""
    return request.headers.get("accept", "").startswith("text/event-stream")


class LiveStreams:
    """The streams of one server.

    Args:
        state: Gives what is equal as long as no live page can have changed; None looks at the page each time.
        every_s: Pause between two looks, seconds.
        life_s: How long one stream lives, seconds.
    """

    def __init__(
        self,
        state: Callable[[], object] | None = None,
        *,
        every_s: float = LOOK_EVERY_S,
        life_s: float = LIFE_S,
    ) -> None:
        self._state = state
        self._every_s = every_s
        self._life_s = life_s
        self._open = 0

    async def answer(self, request: Request, look: Callable[[], Response]) -> Response:
        """Return a stream that sends the digest of the page now and after every change.

        Args:
            request: The request.
            look: Makes the page again, through the door.

        Raises:
            PilothouseError: The visitor may not see the page.
        """
        if self._open >= STREAMS_MAX:
            return PlainTextResponse("too many pages are open; reload by hand", 503, dict(HEADERS))
        self._open += 1  # before the first look: many that ask at once would each find room
        try:
            first = await run_in_threadpool(self._look, look)
        except BaseException:
            self._open -= 1
            raise
        headers = {**HEADERS, "cache-control": "no-store", "x-accel-buffering": "no"}
        return _Stream(self._events(request, look, first), headers, self._ended)

    def _ended(self) -> None:
        self._open -= 1

    def _look(self, look: Callable[[], Response], before: _Looked | None = None) -> _Looked:
        # The state is read first: what is written while the page is made is seen by the next look.
        state = object() if self._state is None else self._state()
        if before is not None and before.state == state:
            return before
        return _Looked(state, look().headers.get("etag"))

    async def _events(
        self, request: Request, look: Callable[[], Response], seen: _Looked
    ) -> AsyncIterator[str]:
        try:
            yield f"retry: 5000\n{_page(seen.tag)}"
            for _ in range(int(self._life_s / self._every_s)):
                await asyncio.sleep(self._every_s)
                if await request.is_disconnected():
                    return
                now = await run_in_threadpool(self._look, look, seen)
                yield ": \n\n" if now.tag == seen.tag else _page(now.tag)
                seen = now
        except PilothouseError:
            yield _page("gone")  # the page itself says why


class _Stream(StreamingResponse):
    """A stream with a callback at its end, also when the visitor left before it began."""

    def __init__(
        self, events: AsyncIterator[str], headers: Mapping[str, str], ended: Callable[[], None]
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


@dataclass(frozen=True, slots=True)
class _Looked:
    """The state of the ledger before a check, and the page at that time."""

    state: object
    tag: str | None


def _page(tag: str | None) -> str:
    """Send the digest of the present page; a browser that shows another one fetches it."""
    return f"event: page\ndata: {tag or ''}\n\n"
