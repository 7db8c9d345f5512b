# SPDX-License-Identifier: Apache-2.0
"""The single entry to all pages: each route declares the action it requires, and requests without it are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pilothouse.core.charter.powers import Action
from pilothouse.errors import Denied, PilothouseError, UsageError
from pilothouse.interfaces.web.forms import read_form, refuse_foreign, refuse_without_token
from pilothouse.interfaces.web.frame import HEADERS, Around, Frame, Viewer
from pilothouse.interfaces.web.live import LiveStreams, asks_for_events
from pilothouse.interfaces.web.problems import bug, problem, status_of
from pilothouse.interfaces.web.wanted import address_of, is_ours, remember_wanted
from pilothouse.workflows.people.people import Visitor
from pilothouse.workflows.people.sign_in import SignIn, form_token

__all__ = [
    "COOKIE",
    "SECURE_COOKIE",
    "DeclaredRoute",
    "Door",
    "PageRoute",
    "Room",
    "Visit",
    "page_at",
    "see_other",
    "session_of",
]

COOKIE = "pilothouse_session"
"""Cookie of a session on plain HTTP, which only loopback speaks."""

SECURE_COOKIE = "__Host-pilothouse_session"
"""Cookie of a session behind a proxy that speaks HTTPS; a browser takes it from no other host or path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One authorized request.

    Attributes:
        request: The request.
        visitor: Who sends it, or None when nobody is signed in.
        token: What forms on the page must carry; empty when nobody is signed in.
        form: Fields of a posted form.
        viewer: What the frame shows of the visitor.
    """

    request: Request
    visitor: Visitor | None = None
    token: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    viewer: Viewer | None = None

    @property
    def person(self) -> Visitor:
        """The visitor, on routes that require signing in."""
        if self.visitor is None:
            raise Denied("sign in first", remedy="Open a link from `pilothouse sign-in PERSON`.")
        return self.visitor

    def person_id(self, agent: str) -> str:
        """Return the visitor's person id in an agent's charter; empty for a person it does not name, or without sign-in."""
        return self.visitor.persons.get(agent, "") if self.visitor else ""

    def path(self, name: str) -> str:
        """Return a part of the address."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """One route and what it requires.

    Attributes:
        path: Address, with names in braces; `agent` is the agent it is about.
        answer: Makes the answer; runs in a thread.
        action: What the visitor must be allowed to do, or None where anybody may come: signing in, static files.
        writes: Whether it changes something; then it takes forms by POST, and nothing else.
        is_live: Whether an open page is told when it has changed.
        has_past: Whether `?as_of=` shows it as it stood then.
    """

    path: str
    answer: Callable[[Visit], Response]
    action: Action | None
    writes: bool = False
    is_live: bool = False
    has_past: bool = False


def page_at(
    path: str,
    answer: Callable[[Visit], Response],
    *,
    is_live: bool = False,
    has_pdf: bool = False,
    has_past: bool = False,
) -> tuple[PageRoute, ...]:
    """Return the routes of a read-only page: its JSON, its PDF, and the page.

    Args:
        path: Address of the page.
        answer: Makes each, as the address asks.
        is_live: Whether an open page is told when it has changed.
        has_pdf: Whether it is handed on as a file.
        has_past: Whether `?as_of=` shows it as it stood then.
    """
    endings = (".json", ".pdf") if has_pdf else (".json",)
    return (
        *(
            PageRoute(path=f"{path}{ending}", answer=answer, action=Action.READ, has_past=has_past)
            for ending in endings
        ),
        PageRoute(path=path, answer=answer, action=Action.READ, is_live=is_live, has_past=has_past),
    )


class Room(Protocol):
    """Some pages and forms that belong together."""

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the addresses of the room."""
        ...


class DeclaredRoute(Route):
    """An authorized route; `declared` says what it requires, and a test checks that on every route."""

    def __init__(
        self, declared: PageRoute, endpoint: Callable[[Request], object], methods: list[str]
    ) -> None:
        super().__init__(declared.path, endpoint, methods=methods)
        self.declared = declared


class Door:
    """Authorizes requests, or answers them with a page that says why not.

    Args:
        frame: Puts pages into their frame.
        sign_in: Who people are; None where nobody can sign in, and pages can only be read.
        nearby: Finds an agent by the name in an address, or agents near a name that does not exist.
        streams: Tells open pages that they changed.
    """

    def __init__(
        self,
        frame: Frame,
        sign_in: SignIn | None,
        nearby: Callable[[str], Around] = lambda _name: Around(),
        streams: LiveStreams | None = None,
    ) -> None:
        self._frame = frame
        self._sign_in = sign_in
        self._nearby = nearby
        self._streams = streams or LiveStreams()

    def route(self, declared: PageRoute) -> DeclaredRoute:
        """Return a route that checks authorization."""
        methods = ["POST"] if declared.writes else ["GET"]
        return DeclaredRoute(declared, self._guarded(declared), methods)

    def _guarded(self, declared: PageRoute) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            form: dict[str, str] = {}
            try:
                if declared.writes:
                    refuse_foreign(request)
                    form = await read_form(request)
                let_in = partial(self._let_in, declared, request, form)
                if declared.is_live and asks_for_events(request):
                    return await self._streams.answer(request, let_in)
                return await run_in_threadpool(let_in)
            except PilothouseError as error:
                return await run_in_threadpool(self.turn_away, request, error, form=form)
            except Exception as error:  # noqa: BLE001 - logged with an id that the page shows
                around = Around(viewer=await run_in_threadpool(self._viewer, request))
                return bug(self._frame, request, error, around)

        return endpoint

    def _let_in(self, declared: PageRoute, request: Request, form: dict[str, str]) -> Response:
        if self._sign_in is None:
            return self._answer(declared, request, form)
        with self._sign_in.directory.one_look():
            return self._answer(declared, request, form)

    def _answer(self, declared: PageRoute, request: Request, form: dict[str, str]) -> Response:
        visitor, token = self._who(request)
        if declared.writes and declared.action is not None:
            refuse_without_token(form, token or None)
        agent = request.path_params.get("agent")
        if declared.action is not None and not self._may_read_openly(declared):
            if self._sign_in is None:
                raise Denied("nobody can sign in here", remedy="Start the server: `pilothouse up`.")
            if visitor is None:
                raise self._sign_in.nobody(*self._vouched(request))
            self._sign_in.need(visitor, agent, declared.action, path=request.url.path)
        if "as_of" in request.query_params and not declared.has_past:
            raise UsageError(
                "this page shows the present, and what stood at a past moment is on Readiness",
                remedy="Ask there, for example `/agents/NAME/readiness?as_of=2026-11-20`, or leave `as_of` out.",
            )
        viewer = _viewer(visitor, token)
        return declared.answer(Visit(request=request, visitor=visitor, token=token, form=form, viewer=viewer))

    def _viewer(self, request: Request) -> Viewer | None:
        """Return who sees an error; nobody, where what fails is asking for that."""
        try:
            return _viewer(*self._who(request))
        except Exception:  # noqa: BLE001 - the page is about an error already
            return None

    def _may_read_openly(self, declared: PageRoute) -> bool:
        reads = declared.action is Action.READ and not declared.writes
        return reads and (self._sign_in is None or self._sign_in.open_reading)

    def _who(self, request: Request) -> tuple[Visitor | None, str]:
        if self._sign_in is None:
            return None, ""
        proxy = self._sign_in.proxy
        named, secret = self._vouched(request)
        if proxy is not None and named:
            if len(named) > 1:
                return (
                    None,
                    "",
                )  # a proxy that adds its header to the sender's vouches for whom the sender named
            visitor = self._sign_in.visitor(None, (named[0], secret))
            return visitor, form_token(f"{proxy.secret}:{named[0]}") if visitor else ""
        session = session_of(request, is_secure=proxy is not None)
        visitor = self._sign_in.visitor(session) if session else None
        return visitor, form_token(session) if visitor and session else ""

    def _vouched(self, request: Request) -> tuple[Sequence[str], str]:
        """Return the identities that a proxy names, and the secret that was sent with them."""
        proxy = None if self._sign_in is None else self._sign_in.proxy
        named = [] if proxy is None else request.headers.getlist(proxy.header)
        return named, request.headers.get("x-pilothouse-proxy", "")

    def turn_away(
        self,
        request: Request,
        error: PilothouseError,
        *,
        form: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> Response:
        """Return an error as an answer; what was typed into a form is shown again."""
        viewer, agent = self._viewer(request), request.path_params.get("agent", "")
        around = Around()
        is_unknown = (status or status_of(error)) == 404
        # Only who may read is told which agents there are.
        if (agent or is_unknown) and (viewer or self._sign_in is None or self._sign_in.open_reading):
            around = self._nearby(agent)
        around = replace(around, viewer=viewer, links=around.links if is_unknown else ())
        answer = problem(self._frame, request, error, around=around, status=status, form=form)
        if isinstance(error, Denied) and request.method == "GET":
            remember_wanted(answer, address_of(request))
        return answer


def _viewer(visitor: Visitor | None, token: str) -> Viewer | None:
    return Viewer(name=visitor.name, token=token) if visitor else None


def session_of(request: Request, *, is_secure: bool) -> str | None:
    """Return the session secret in a request's cookie, or None.

    Args:
        request: The request.
        is_secure: Whether a proxy that speaks HTTPS stands before us: then the other cookie is not ours, and a
            neighbour under the same domain may have set it.
    """
    return request.cookies.get(SECURE_COOKIE if is_secure else COOKIE)


def see_other(path: str, **query: str) -> Response:
    """Return the redirect to one of our pages that answers a form.

    Args:
        path: Address that begins with one slash; anything else leads home.
        **query: Fields of the query.
    """
    safe = path if is_ours(path) else "/"
    tail = "&".join(f"{quote(name)}={quote(text)}" for name, text in query.items())
    headers = {**HEADERS, "cache-control": "no-store"}
    return RedirectResponse(f"{safe}?{tail}" if tail else safe, status_code=303, headers=headers)
