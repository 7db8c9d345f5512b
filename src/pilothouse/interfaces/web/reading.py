# SPDX-License-Identifier: Apache-2.0
"""The pages that are only read: Fleet, Agent, Readiness, Tasks, Trace and Health, as pages and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.past_moment import past_moment
from pilothouse.interfaces.web.frame import HEADERS, Frame
from pilothouse.interfaces.web.problems import status_of
from pilothouse.interfaces.web.routing import PageRoute, Visit, page_at
from pilothouse.ports.lake import TaskCursor, TaskFilter
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Page
from pilothouse.workflows.ground.query_line import narrow_query, parse_query
from pilothouse.workflows.reports.show import Shows

__all__ = ["ReadingRoom"]

QUERY_CHARS_MAX = 200
"""Characters of one field of the query: longer is no question a person types."""

_CURSOR = re.compile(r"([0-9]{1,19})-([0-9a-f]{32})(?:-([0-9]{1,19}))?")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class ReadingRoom:
    """The pages that are only read."""

    def __init__(self, shows: Shows) -> None:
        self._shows = shows

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the addresses, each page with its JSON beside it, and the PDF of Readiness."""
        agent = "/agents/{agent:path}"
        task = f"{agent}/tasks/{{trace_id}}"

        def shown(show: Callable[[Visit], tuple[Page, bool]]) -> Callable[[Visit], Response]:
            def answer(visit: Visit) -> Response:
                page, governed = show(visit)
                return frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)

            return answer

        def static(visit: Visit) -> Response:
            found = frame.static(visit.path("name"))
            if found is None:
                raise UnknownName("no such file", remedy="Reload the page.")
            return found

        def of_agent(visit: Visit) -> Response:
            """Redirect an agent's bare name, as people type it, to its first page."""
            return Response(
                status_code=307,
                headers={**HEADERS, "location": f"/agents/{quote(visit.path('agent'), safe='')}/agent"},
            )

        def tasks(visit: Visit) -> Response:
            """Return the tasks; a query that cannot be read stays in its field, beside what is wrong with it."""
            try:
                return shown(self._tasks)(visit)
            except UsageError as error:
                if visit.request.url.path.endswith(".json"):
                    raise
                page = self._shows.unread_query(visit.path("agent"), error, _fields(visit.request))
                governed = self._shows.is_governed(visit.path("agent"))
                response = frame.answer(visit.request, page, governed=governed, viewer=visit.viewer)
                response.status_code = status_of(error)
                del response.headers["etag"]  # or the next look at it were a 304 with nothing in it
                return response

        fleet = shown(self._fleet)
        table: Sequence[tuple[str, Callable[[Visit], Response]]] = (
            ("/", fleet),
            ("/fleet.json", fleet),
            ("/agents/{agent}", of_agent),
            (f"{task}/{{span_id}}/{{field}}.txt", self._span_text),
        )
        return (
            PageRoute(path="/static/{name}", answer=static, action=None),
            *(PageRoute(path=path, answer=answer, action=Action.READ) for path, answer in table),
            *page_at("/health", shown(self._health)),
            *page_at(f"{agent}/agent", shown(self._agent)),
            *page_at(f"{agent}/readiness", shown(self._readiness), has_pdf=True, has_past=True),
            *page_at(f"{agent}/tasks", tasks),
            *page_at(task, shown(self._trace)),
        )

    def _fleet(self, _visit: Visit) -> tuple[Page, bool]:
        return self._shows.fleet(), False

    def _health(self, _visit: Visit) -> tuple[Page, bool]:
        return self._shows.health(), False

    def _agent(self, visit: Visit) -> tuple[Page, bool]:
        return self._shows.agent(visit.path("agent")), True

    def _readiness(self, visit: Visit) -> tuple[Page, bool]:
        said = visit.request.query_params.get("show", "")
        if said and said not in set(Status):
            raise UsageError(
                f"no status {foreign_line(said, chars_max=40)!r}",
                remedy=f"Write one of {', '.join(Status)}, for example `?show=breached`.",
            )
        unfold = visit.request.query_params.get("open", "")
        moment = visit.request.query_params.get("as_of", "")
        past = (moment, past_moment(moment, self._shows.now(), option="as_of")) if moment else None
        page = self._shows.readiness(visit.path("agent"), Status(said) if said else None, unfold, past=past)
        return page, True

    def _tasks(self, visit: Visit) -> tuple[Page, bool]:
        request, agent = visit.request, visit.path("agent")
        wanted = _wanted(request, agent, self._shows.now())
        page = self._shows.tasks(wanted, _cursor(request), _fields(request))
        return page, self._shows.is_governed(agent)

    def _trace(self, visit: Visit) -> tuple[Page, bool]:
        agent, trace_id = visit.path("agent"), visit.path("trace_id")
        if not _TRACE_ID.fullmatch(trace_id):
            raise UnknownName(
                f"{foreign_line(trace_id, chars_max=60)!r} is no trace id",
                remedy="A trace id has 32 hex digits; open the task from the list.",
                subject=trace_id,
            )
        return self._shows.trace(agent, trace_id), self._shows.is_governed(agent)

    def _span_text(self, visit: Visit) -> Response:
        given = visit.request.path_params
        text = self._shows.span_text(given["agent"], given["trace_id"], given["span_id"], given["field"])
        headers = {
            **HEADERS,
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{_safe(given["span_id"])}-{_safe(given["field"])}.txt"',
        }
        body = text.encode("utf-8", "replace")
        return Response(body, media_type="text/plain; charset=utf-8", headers=headers)


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
    if match is None or max(int(match[1]), int(match[3] or 0)) >= 2**63:
        raise UsageError(
            "`before` is no place in the list", remedy="Follow the link Older, or leave `before` out."
        )
    corrected_ns = None if match[3] is None else int(match[3])
    return TaskCursor(start_ns=int(match[1]), trace_id=match[2], corrected_ns=corrected_ns)
