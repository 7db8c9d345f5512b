# SPDX-License-Identifier: Apache-2.0
"""The pages: addresses to view models, errors to pages that say what to do (HTTP → workflow → page)."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import (
    Conflict,
    Denied,
    InfrastructureError,
    LimitExceeded,
    PilothouseError,
    UnknownName,
    UsageError,
    nearest_name,
)
from pilothouse.interfaces.web.frame import HEADERS, Frame, error_body
from pilothouse.ports import TaskCursor, TaskFilter
from pilothouse.reports.agent import AgentPage
from pilothouse.reports.fleet import FleetPage
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.health import HealthPage
from pilothouse.reports.readiness import ReadinessPage
from pilothouse.reports.tasks import TasksPage
from pilothouse.reports.trace import TracePage
from pilothouse.reports.view_models import Link
from pilothouse.workflows.query_line import narrow_query, parse_query

__all__ = ["Pages", "web_app"]

QUERY_CHARS_MAX = 200
"""Characters of one field of the query: longer is no question a person types."""

NAMES_MAX = 20
"""Agents listed on a page that does not exist."""

COMPRESS_FROM_BYTES = 512
"""A smaller answer fits one packet anyway."""

log = logging.getLogger("pilothouse.web")

_CURSOR = re.compile(r"([0-9]{1,19})-([0-9a-f]{32})")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class Pages(Protocol):
    """Answers what each page shows; `workflows.show.Shows` is one."""

    def fleet(self) -> FleetPage:
        """Return the Fleet page."""
        ...

    def agent(self, agent: str) -> AgentPage:
        """Return the Agent page."""
        ...

    def readiness(self, agent: str, show: Status | None = None) -> ReadinessPage:
        """Return the Readiness page."""
        ...

    def now(self) -> datetime:
        """Return the moment of a page."""
        ...

    def tasks(
        self, wanted: TaskFilter, before: TaskCursor | None = None, typed: Mapping[str, str] | None = None
    ) -> TasksPage:
        """Return a page of tasks."""
        ...

    def trace(self, agent: str, trace_id: str) -> TracePage:
        """Return the Trace page."""
        ...

    def span_text(self, agent: str, trace_id: str, span_id: str, field: str) -> str:
        """Return one whole text of a span."""
        ...

    def health(self) -> HealthPage:
        """Return the Health page."""
        ...

    def known_agents(self) -> tuple[str, ...]:
        """Return every agent that has a page."""
        ...

    def is_governed(self, agent: str) -> bool:
        """Return whether a charter is in force for an agent."""
        ...


def web_app(pages: Pages) -> Starlette:
    """Return the pages as an application to be mounted beside the OTLP routes.

    Args:
        pages: Answers what each page shows.
    """
    site = _Site(pages)
    return Starlette(
        routes=site.routes(),
        middleware=[Middleware(GZipMiddleware, minimum_size=COMPRESS_FROM_BYTES)],
        exception_handlers={404: site.not_found, 405: site.wrong_method},
    )


class _Site:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._frame = Frame()

    def routes(self) -> list[Route]:
        agent = "/agents/{agent:path}"
        task = f"{agent}/tasks/{{trace_id}}"
        table: Sequence[tuple[str, Callable[[Request], Response]]] = (
            ("/", self._fleet),
            ("/fleet.json", self._fleet),
            ("/health", self._health),
            ("/health.json", self._health),
            ("/static/{name}", self._static),
            (f"{task}/{{span_id}}/{{field}}.txt", self._span_text),
            (f"{agent}/agent", self._agent),
            (f"{agent}/agent.json", self._agent),
            (f"{agent}/readiness", self._readiness),
            (f"{agent}/readiness.json", self._readiness),
            (f"{agent}/tasks", self._tasks),
            (f"{agent}/tasks.json", self._tasks),
            (f"{task}.json", self._trace),
            (task, self._trace),
        )
        return [Route(path, self._guarded(answer), methods=["GET"]) for path, answer in table]

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            try:
                return await run_in_threadpool(answer, request)
            except PilothouseError as error:
                return await run_in_threadpool(self._problem, request, error)
            except Exception:
                ident = secrets.token_hex(4)
                log.exception("event=page_failed id=%s path=%s", ident, foreign_line(request.url.path))
                return self._bug(request, ident)

        return endpoint

    # pages

    def _fleet(self, request: Request) -> Response:
        return self._frame.answer(request, self._pages.fleet(), governed=False)

    def _health(self, request: Request) -> Response:
        return self._frame.answer(request, self._pages.health(), governed=False)

    def _agent(self, request: Request) -> Response:
        page = self._pages.agent(request.path_params["agent"])
        return self._frame.answer(request, page, governed=True)

    def _readiness(self, request: Request) -> Response:
        said = request.query_params.get("show", "")
        if said and said not in set(Status):
            raise UsageError(
                f"no status {foreign_line(said, chars_max=40)!r}",
                remedy=f"Write one of {', '.join(Status)}, for example `?show=breached`.",
            )
        page = self._pages.readiness(request.path_params["agent"], Status(said) if said else None)
        return self._frame.answer(request, page, governed=True)

    def _tasks(self, request: Request) -> Response:
        agent = request.path_params["agent"]
        wanted = _wanted(request, agent, self._pages.now())
        page = self._pages.tasks(wanted, _cursor(request), _fields(request))
        return self._frame.answer(request, page, governed=self._pages.is_governed(agent))

    def _trace(self, request: Request) -> Response:
        agent, trace_id = request.path_params["agent"], request.path_params["trace_id"]
        if not _TRACE_ID.fullmatch(trace_id):
            raise UnknownName(
                f"{foreign_line(trace_id, chars_max=60)!r} is no trace id",
                remedy="A trace id has 32 hex digits; open the task from the list.",
                subject=trace_id,
            )
        page = self._pages.trace(agent, trace_id)
        return self._frame.answer(request, page, governed=self._pages.is_governed(agent))

    def _span_text(self, request: Request) -> Response:
        given = request.path_params
        text = self._pages.span_text(given["agent"], given["trace_id"], given["span_id"], given["field"])
        headers = {
            **HEADERS,
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{_safe(given["span_id"])}-{_safe(given["field"])}.txt"',
        }
        body = text.encode("utf-8", "replace")
        return Response(body, media_type="text/plain; charset=utf-8", headers=headers)

    def _static(self, request: Request) -> Response:
        found = self._frame.static(request.path_params["name"])
        if found is None:
            raise UnknownName("no such file", remedy="Reload the page.")
        return found

    # errors

    async def not_found(self, request: Request, _error: Exception) -> Response:
        """Answer an address that no page has."""
        error = UnknownName("no page has this address", remedy="Start from Fleet: /")
        return await run_in_threadpool(self._problem, request, error)

    async def wrong_method(self, request: Request, _error: Exception) -> Response:
        """Answer anything but reading."""
        error = UsageError("pages can only be read", remedy="Use GET.")
        response = await run_in_threadpool(self._problem, request, error, 405)
        response.headers["allow"] = "GET, HEAD"
        return response

    def _problem(self, request: Request, error: PilothouseError, status: int | None = None) -> Response:
        status = status or _status_of(error)
        if request.url.path.endswith(".json"):
            return JSONResponse({"error": error.as_record()}, status_code=status, headers=dict(HEADERS))
        links = self._nearby(request) if status == 404 else ()
        body = error_body(
            {
                "heading": _HEADINGS.get(status, "This did not work"),
                "message": f"{foreign_line(error.message[:1].upper() + error.message[1:], chars_max=400)}.".replace(
                    "..", "."
                ),
                "remedy": foreign_line(error.remedy, chars_max=600),
                "links": links,
                "links_title": "Agents",
            }
        )
        return self._frame.error(status, body, _HEADINGS.get(status, "Error"))

    def _nearby(self, request: Request) -> tuple[Link, ...]:
        """Return links to agents, the one whose name looks most like what was typed first."""
        try:
            names = self._pages.known_agents()
        except PilothouseError:
            return ()
        near = nearest_name(request.path_params.get("agent", ""), names)
        ordered = [name for name in (near,) if name] + [name for name in names if name != near]
        return tuple(
            Link(
                text=f"Did you mean {foreign_line(name, chars_max=80)}?"
                if name == near
                else foreign_line(name),
                href=f"/agents/{quote(name, safe='')}/{'agent' if self._pages.is_governed(name) else 'tasks'}",
            )
            for name in ordered[:NAMES_MAX]
        )

    def _bug(self, request: Request, ident: str) -> Response:
        if request.url.path.endswith(".json"):
            record = {"code": "bug", "message": f"a bug in Pilothouse, id {ident}"}
            return JSONResponse({"error": record}, status_code=500, headers=dict(HEADERS))
        body = error_body(
            {
                "heading": "A bug in Pilothouse",
                "message": f"This page could not be made. Its id is {ident}.",
                "remedy": "Look for the id in the server's log and report it; telemetry is taken in as before.",
                "links": (),
                "links_title": "",
            }
        )
        return self._frame.error(500, body, "Error")


_HEADINGS = {
    403: "Not permitted",
    404: "Not found",
    405: "Pages can only be read",
    409: "Somebody was first",
    422: "This question has no answer",
    503: "Part of Pilothouse does not answer",
}


def _status_of(error: PilothouseError) -> int:
    for kind, status in (
        (UnknownName, 404),
        (Denied, 403),
        (Conflict, 409),
        (InfrastructureError, 503),
        (LimitExceeded, 422),
        (UsageError, 422),
    ):
        if isinstance(error, kind):
            return status
    return 422


def _safe(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name)[:32]


def _fields(request: Request) -> dict[str, str]:
    return {
        name: request.query_params.get(name, "").strip() for name in ("type", "result", "version", "text")
    }


def _wanted(request: Request, agent: str, now: datetime) -> TaskFilter:
    given = _fields(request)
    for name, value in given.items():
        if name != "text" and len(value) > QUERY_CHARS_MAX:
            raise UsageError(
                f"{name} has {len(value):,} characters, at most {QUERY_CHARS_MAX} are read",
                remedy="Ask with fewer words, for example `?text=invoice`.",
            )
    results = [result.value for result in TaskResult]
    if given["result"] and given["result"] not in results:
        raise UsageError(
            f"no result {foreign_line(given['result'], chars_max=40)!r}",
            remedy=f"Write one of {', '.join(results)}, for example `?result=failed`.",
        )
    chosen = {
        "agent": agent,
        "task_type": given["type"],
        "result": given["result"],
        "version_digest": given["version"],
    }
    try:
        return narrow_query(parse_query(given["text"], now), chosen)
    except UnknownName as error:  # a word of the query is unknown, not the page
        raise UsageError(error.message, remedy=error.remedy) from error


def _cursor(request: Request) -> TaskCursor | None:
    said = request.query_params.get("before")
    if said is None:
        return None
    match = _CURSOR.fullmatch(said)
    if match is None or int(match[1]) >= 2**63:
        raise UsageError(
            "`before` is no place in the list", remedy="Follow the link Older, or leave `before` out."
        )
    return TaskCursor(start_ns=int(match[1]), trace_id=match[2])
