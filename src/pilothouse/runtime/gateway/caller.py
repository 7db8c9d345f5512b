# SPDX-License-Identifier: Apache-2.0
"""The client's side of a call, as the gateway sees it through whatever server it came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["BODY_BYTES_MAX", "BodyTooLarge", "Caller", "Headers"]

Headers = list[tuple[bytes, bytes]]

BODY_BYTES_MAX = 32 << 20
"""Largest request body: a long conversation with pictures; more is refused before it is read."""


class BodyTooLarge(Exception):
    """The request's body is larger than `BODY_BYTES_MAX`."""


class Caller(Protocol):
    """A client that asked something.

    Attributes:
        method: HTTP method.
        path: Whole path.
        query: Raw query.
        headers: Names in lower case.
        pass_on: Sends a part of the body at once; returns False when it did not, and it must be sent by `send`.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    pass_on: Callable[[bytes], bool]

    async def read_body(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: It has more than `BODY_BYTES_MAX`.
            ConnectionError: The client has gone.
        """
        ...

    def watch(self, on_gone: Callable[[], None]) -> None:
        """From now on call `on_gone` once when the client goes away; stops by itself at the end."""
        ...

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer; one of the headers says how long the body is."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        ...

    async def send(self, part: bytes, *, more: bool) -> None:
        """Send a part of the body; waits while the client takes nothing."""
        ...
