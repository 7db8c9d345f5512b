# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: a link is opened, a button is pressed, a cookie is set."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from pilothouse.errors import UnknownName
from pilothouse.interfaces.web.frame import Around, Frame, rendered
from pilothouse.interfaces.web.routing import (
    COOKIE,
    SECURE_COOKIE,
    PageRoute,
    Visit,
    see_other,
    session_of,
)
from pilothouse.interfaces.web.wanted import forget_wanted, read_wanted, remember_wanted
from pilothouse.workflows.people.sign_in import SESSION_LIFE, SignIn

__all__ = ["SignInRoom"]


class SignInRoom:
    """The pages of signing in."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the addresses: how to sign in, whom a link signs in, the button, and out again."""

        def explain(visit: Visit) -> Response:
            body = rendered("sign_in.html", expected=None, link="", wanted="")
            page = frame.plain(body, "Sign in", Around(viewer=visit.viewer))
            remember_wanted(page, visit.request.query_params.get("next", ""))
            return page

        def ask(visit: Visit) -> Response:
            link = visit.path("link")
            expected = self._sign_in.expected(link)
            if expected is None:
                raise UnknownName(
                    "this link does not work: it was used, or it is older than 15 minutes",
                    remedy="Ask for another one: `pilothouse sign-in PERSON`.",
                )
            wanted = visit.request.query_params.get("next", "") or read_wanted(visit.request)
            body = rendered("sign_in.html", expected=expected.name, link=link, wanted=wanted)
            return frame.plain(body, "Sign in", Around(viewer=visit.viewer))

        return (
            PageRoute(path="/sign-in", answer=explain, action=None),
            PageRoute(path="/sign-in/{link}", answer=ask, action=None),
            PageRoute(path="/sign-in", answer=self._enter, action=None, writes=True),
            PageRoute(path="/sign-out", answer=self._leave, action=None, writes=True),
        )

    def _enter(self, visit: Visit) -> Response:
        secure = self._sign_in.proxy is not None
        before = session_of(visit.request, is_secure=secure)
        session = self._sign_in.enter(visit.form.get("link", ""))
        if before:
            self._sign_in.leave(before)  # signing in again changes the secret
        response = see_other(visit.form.get("next", "/"))
        forget_wanted(response)
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            session,
            max_age=int(SESSION_LIFE.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def _leave(self, visit: Visit) -> Response:
        session = session_of(visit.request, is_secure=self._sign_in.proxy is not None)
        if session:
            self._sign_in.leave(session)
        response = see_other("/")
        response.delete_cookie(COOKIE, path="/")
        response.delete_cookie(SECURE_COOKIE, path="/", secure=True)
        return response
