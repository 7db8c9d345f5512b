# SPDX-License-Identifier: Apache-2.0
"""The page to return to after signing in, remembered in a cookie, because the sign-in link arrives on another channel."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["address_of", "forget_wanted", "is_ours", "read_wanted", "remember_wanted"]

_COOKIE = "pilothouse_wanted"

WANTED_LIFE_S = 3_600
"""An hour: as long as somebody waits for a link; tomorrow's link leads to Fleet again."""

WANTED_CHARS_MAX = 1_000
"""Characters of that address; a browser keeps 4,096 bytes of a cookie."""

_NO_PAGE = (".json", ".pdf")
"""Ends of addresses of files: nobody waits to be led back to them."""


def address_of(request: Request) -> str:
    """Return the address of a page as its own links write it: path and query, without the server."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{quote(request.url.path, safe='/')}{query}"


def is_ours(path: str) -> bool:
    r"""Return whether an address is a page of this server, whatever a browser makes of slashes.

    Example:
        >>> is_ours("/review"), is_ours("//elsewhere.example"), is_ours("https://elsewhere.example")
        (True, False, False)
    """
    return path.startswith("/") and not path.startswith(("//", "/\\"))


def remember_wanted(answer: Response, path: str) -> None:
    """Remember the requested page in a cookie.

    Args:
        answer: What is sent to the browser.
        path: Address of the page; what is no page of ours is not kept.
    """
    if is_ours(path) and not path.partition("?")[0].endswith(_NO_PAGE) and len(path) <= WANTED_CHARS_MAX:
        kept = quote(path, safe="/")
        answer.set_cookie(_COOKIE, kept, max_age=WANTED_LIFE_S, path="/", httponly=True, samesite="lax")


def read_wanted(request: Request) -> str:
    """Return the remembered page, or empty."""
    return unquote(request.cookies.get(_COOKIE, ""))


def forget_wanted(answer: Response) -> None:
    """Delete the cookie after signing in."""
    answer.delete_cookie(_COOKIE, path="/")
