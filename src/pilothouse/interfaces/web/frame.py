# SPDX-License-Identifier: Apache-2.0
"""The frame of every answer: page layout, formats and security headers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from pilothouse.interfaces.web.assets import STATIC_AGE_S, static_files
from pilothouse.interfaces.web.menu import agent_menu, shown_as, top_menu
from pilothouse.interfaces.web.wanted import address_of
from pilothouse.reports.foreign import visible
from pilothouse.reports.html import render_body
from pilothouse.reports.pdf import render_pdf
from pilothouse.reports.view_models import Link, Page, page_json

__all__ = [
    "CONTENT_POLICY",
    "HEADERS",
    "Around",
    "Frame",
    "Viewer",
    "error_body",
    "rendered",
]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing inline and nothing from elsewhere, ever."""

HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer. HSTS is the business of the proxy that holds the certificate: this port speaks plain HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The visitor of a page, as its frame shows them; `token` goes into the form that signs out."""

    name: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around an error: who sees it, and the pages of the agent that it was about.

    Attributes:
        viewer: Who looks at it, or None.
        agent: The agent, where there is one of this name that the visitor may know of.
        governed: Whether it has a charter, and so all pages.
        links: Where there is none of this name: agents near it.
    """

    viewer: Viewer | None = None
    agent: str | None = None
    governed: bool = False
    links: tuple[Link, ...] = ()


_LIVE = frozenset({"incidents", "incident", "controls", "review"})
"""Pages on which something may wait for somebody: they fetch themselves again when they have changed."""


_REVIEWS = frozenset({"review", "review_item"})
"""Pages of the reviewer, with a script of their own."""

_ON_PAPER = frozenset({"executive", "incident", "readiness", "sprint", "value"})
"""Pages that are handed on as PDF: their route says so too."""


def error_body(template: Mapping[str, Any]) -> Markup:
    """Return the content of an error page.

    Args:
        template: Heading, message, remedy, links and what was typed.
    """
    return rendered("error.html", **template)


def rendered(template: str, **values: Any) -> Markup:
    """Render a page without a view model: an error, or a step of signing in.

    Args:
        template: Name of the template.
        **values: What it shows; everything is escaped.
    """
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - rendered with escaping


def _finalized(value: Any) -> Any:
    """Make hidden characters visible in the frame of a page: names of people and agents, messages of errors."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pilothouse.interfaces.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Within the page, not beside it: one request less on each.
    mark = (files("pilothouse.interfaces.web") / "static" / "icon.svg").read_text(encoding="utf-8")
    environment.globals["mark"] = Markup(mark)  # noqa: S704 - our own file
    return environment


class Frame:
    """Renders a view model as page, JSON or PDF, with digest, cache and security headers.

    Args:
        signs_in: Whether people can sign in here.
    """

    def __init__(self, *, signs_in: bool = False) -> None:
        self._base = _environment().get_template("base.html")
        self._static = static_files()
        self._addresses = {role: f"/static/{one.name}" for role, one in self._static.items()}
        self._served: frozenset[str] = frozenset()
        self._signs_in = signs_in

    def offer(self, paths: Iterable[str]) -> None:
        """Build the menu from the pages that are served; called once, when every room has declared its routes."""
        self._served = frozenset(paths)

    def answer(
        self, request: Request, page: Page, *, governed: bool, viewer: Viewer | None = None
    ) -> Response:
        """Return a page, its JSON or PDF by the ending of the address, or 304 when the browser has it cached.

        Args:
            request: The request.
            page: The view model.
            governed: Whether the agent has a charter, and so all pages.
            viewer: Who looks at it, or None.
        """
        digest = page.digest
        form = _form_of(request)
        seen_by = hashlib.sha256((viewer.token if viewer else "").encode()).hexdigest()[:8]
        etag = f'W/"{digest[:32]}-{form or "html"}-{seen_by}"'
        headers = {
            **HEADERS,
            "etag": etag,
            "cache-control": "private, no-cache",
            "vary": "accept-encoding, cookie",
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if form == "json":
            return Response(page_json(page), media_type="application/json", headers=headers)
        if form == "pdf":
            headers["content-disposition"] = f'attachment; filename="{page.name}.pdf"'
            return Response(render_pdf(page), media_type="application/pdf", headers=headers)
        query = f"?{request.url.query}" if request.url.query else ""
        options = {"token": viewer.token} if viewer else {}
        text = self._text(
            title=page.title,
            is_live=page.name in _LIVE,
            has_review=page.name in _REVIEWS,
            name=shown_as(page.name),
            agent=page.agent,
            menu=agent_menu(page.agent, self._served, governed=governed),
            tour_of=f"?agent={quote(page.agent, safe='')}" if page.agent and governed else "",
            body=render_body(page, **options),
            as_of=page.as_of,
            digest=digest,
            files=[
                (name, f"{_path_as(request, name.lower())}{query}")
                for name in (("JSON", "PDF") if page.name in _ON_PAPER else ("JSON",))
            ],
            viewer=viewer,
            way_in=f"/sign-in?next={quote(address_of(request), safe='/')}",
        )
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    def plain(self, body: Markup, title: str, around: Around, *, status: int = 200) -> Response:
        """Return an uncached page without a view model: an error, or a step of signing in.

        Args:
            body: From `rendered`.
            title: Title of the window.
            around: Who looks at it, and the agent whose pages the menu lists.
            status: HTTP status.
        """
        text = self._text(
            title=title,
            is_live=False,
            has_review=False,
            name="error",
            agent=around.agent,
            menu=agent_menu(around.agent, self._served, governed=around.governed),
            tour_of="",
            body=body,
            as_of=None,
            digest="",
            files=(),
            viewer=around.viewer,
        )
        headers = {**HEADERS, "cache-control": "no-store"}
        return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=headers)

    def _text(self, **values: Any) -> str:
        rooms = top_menu(self._served)
        values = (
            {"way_in": "/sign-in"}
            | values
            | {"signs_in": self._signs_in, "has_tour": "/tour" in self._served}
        )
        return self._base.render(static=self._addresses, rooms=rooms, **values)

    def static(self, name: str) -> Response | None:
        """Return a static file by its digest name, or None."""
        for one in self._static.values():
            if one.name == name:
                headers = {**HEADERS, "cache-control": f"public, max-age={STATIC_AGE_S}, immutable"}
                return Response(one.body, media_type=one.media_type, headers=headers)
        return None


def _form_of(request: Request) -> str:
    """Return the form that an address asks for: `json`, `pdf`, or empty for the page."""
    ending = request.url.path.rpartition(".")[2]
    return ending if ending in {"json", "pdf"} else ""


def _path_as(request: Request, form: str) -> str:
    path = quote(request.url.path, safe="/%")
    return f"/fleet.{form}" if path == "/" else f"{path}.{form}"
