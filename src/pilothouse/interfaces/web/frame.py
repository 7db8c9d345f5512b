# SPDX-License-Identifier: Apache-2.0
"""What surrounds every answer: the page frame, static files under digest names, and the security headers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from pilothouse.reports.design import stylesheet
from pilothouse.reports.html import render_body
from pilothouse.reports.view_models import Page, page_json

__all__ = ["CONTENT_POLICY", "HEADERS", "Frame", "MenuLink", "StaticFile", "error_body", "static_files"]

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

STATIC_AGE_S = 31_536_000
"""A year: a changed file has another name."""

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file that never changes under its name."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuLink:
    """A page in the menu; `key` follows `g` on the keyboard."""

    name: str
    text: str
    href: str
    key: str


def _named(stem: str, ending: str, body: bytes) -> StaticFile:
    digest = hashlib.sha256(body).hexdigest()[:12]
    return StaticFile(name=f"{stem}.{digest}.{ending}", media_type=_TYPES[ending], body=body)


def static_files() -> Mapping[str, StaticFile]:
    """Return the static files by role: `css`, `script` and `icon`."""
    folder = files("pilothouse.interfaces.web") / "static"
    return {
        "css": _named("pilothouse", "css", stylesheet().encode()),
        "script": _named("pilothouse", "js", (folder / "pilothouse.js").read_bytes()),
        "icon": _named("icon", "svg", (folder / "icon.svg").read_bytes()),
    }


def _menu(agent: str | None, *, governed: bool) -> tuple[MenuLink, ...]:
    if agent is None:
        return ()
    base = f"/agents/{quote(agent, safe='')}"
    tasks = MenuLink(name="tasks", text="Tasks", href=f"{base}/tasks", key="t")
    if not governed:
        return (tasks,)
    return (
        MenuLink(name="agent", text="Agent", href=f"{base}/agent", key="a"),
        MenuLink(name="readiness", text="Readiness", href=f"{base}/readiness", key="r"),
        tasks,
    )


def error_body(template: Mapping[str, Any]) -> Markup:
    """Return the content of an error page.

    Args:
        template: Heading, message, remedy and links.
    """
    return Markup(_environment().get_template("error.html").render(template))  # noqa: S704 - rendered with escaping


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pilothouse.interfaces.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Frame:
    """Puts a view model into its answer: page or JSON, with digest, cache and security headers."""

    def __init__(self) -> None:
        self._base = _environment().get_template("base.html")
        self._static = static_files()
        self._addresses = {role: f"/static/{one.name}" for role, one in self._static.items()}

    def answer(self, request: Request, page: Page, *, governed: bool) -> Response:
        """Return a page, or its JSON for an address that ends so, or 304 when the browser has it.

        Args:
            request: The request.
            page: The view model.
            governed: Whether the agent has a charter, and so all pages.
        """
        digest = page.digest
        as_json = request.url.path.endswith(".json")
        etag = f'W/"{digest[:32]}-{"j" if as_json else "h"}"'
        headers = {**HEADERS, "etag": etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if as_json:
            return Response(page_json(page), media_type="application/json", headers=headers)
        query = f"?{request.url.query}" if request.url.query else ""
        text = self._base.render(
            title=page.title,
            name="tasks" if page.name == "trace" else page.name,
            menu=_menu(page.agent, governed=governed),
            static=self._addresses,
            body=render_body(page),
            as_of=page.as_of,
            digest=digest,
            json=f"{_json_path(request)}{query}",
        )
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    def error(self, status: int, body: Markup, title: str) -> Response:
        """Return an error page.

        Args:
            status: HTTP status.
            body: From `error_body`.
            title: Title of the window.
        """
        text = self._base.render(
            title=title,
            name="error",
            menu=(),
            static=self._addresses,
            body=body,
            as_of=None,
            digest="",
            json="",
        )
        headers = {**HEADERS, "cache-control": "no-store"}
        return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=headers)

    def static(self, name: str) -> Response | None:
        """Return a static file by its digest name, or None."""
        for one in self._static.values():
            if one.name == name:
                headers = {**HEADERS, "cache-control": f"public, max-age={STATIC_AGE_S}, immutable"}
                return Response(one.body, media_type=one.media_type, headers=headers)
        return None


def _json_path(request: Request) -> str:
    path = quote(request.url.path, safe="/%")
    return "/fleet.json" if path == "/" else f"{path}.json"
