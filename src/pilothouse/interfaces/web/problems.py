# SPDX-License-Identifier: Apache-2.0
"""Error answers for people and programs: what failed, why, and what to do."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pilothouse.errors import (
    Conflict,
    Denied,
    InfrastructureError,
    LimitExceeded,
    PilothouseError,
    UnknownName,
    UsageError,
)
from pilothouse.interfaces.web.forms import TOKEN_FIELD
from pilothouse.interfaces.web.frame import HEADERS, Around, Frame, error_body
from pilothouse.reports.foreign import foreign_line

__all__ = ["bug", "problem", "status_of"]

KEPT_CHARS_MAX = 65_536
"""Characters of what somebody typed that are shown again, so that nothing typed is lost."""

_TYPED = ("correction", "forbid", "model", "note", "param", "prompt", "reason", "text")
"""Fields in which people write; the others are ours."""

_ADDRESS = re.compile(r"((?<![^ ])/(?!/)[A-Za-z0-9/_%-]*)")
"""An address of ours in a remedy: what it leads to is a page of this server, whoever wrote it."""

log = logging.getLogger("pilothouse.web")

_HEADINGS = {
    403: "Not permitted",
    404: "Not found",
    405: "Not this way",
    409: "Somebody was first",
    413: "Too long",
    422: "This question has no answer",
    503: "Part of Pilothouse does not answer",
}

_STATUSES = (
    (UnknownName, 404),
    (Denied, 403),
    (Conflict, 409),
    (InfrastructureError, 503),
    (LimitExceeded, 422),
    (UsageError, 422),
)


def status_of(error: PilothouseError) -> int:
    """Return the HTTP status of one of our errors.

    Example:
        >>> status_of(Conflict("taken", remedy="Wait."))
        409
    """
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 422)


def problem(
    frame: Frame,
    request: Request,
    error: PilothouseError,
    *,
    around: Around,
    status: int | None = None,
    form: Mapping[str, str] | None = None,
) -> Response:
    """Return one of our errors as a page, or as JSON where JSON was asked for.

    Args:
        frame: Puts pages into their frame.
        request: The request.
        error: What is wrong.
        around: Who sees the page, and what stands around it.
        status: HTTP status; None takes that of the error.
        form: Fields that were sent: what somebody wrote in them is shown again. A form of an ended session can be sent
            once more, now with the token of the present one.
    """
    status = status or status_of(error)
    if request.url.path.endswith(".json"):
        return JSONResponse({"error": error.as_record()}, status_code=status, headers=dict(HEADERS))
    message = foreign_line(error.message[:1].upper() + error.message[1:], chars_max=400)
    body = error_body(
        {
            "heading": _HEADINGS.get(status, "This did not work"),
            "message": message if message.endswith((".", "?", "!")) else f"{message}.",
            "remedy": _parts(foreign_line(error.remedy, chars_max=600)),
            "links": around.links,
            "typed": [
                text[:KEPT_CHARS_MAX] for name, text in (form or {}).items() if name in _TYPED and text
            ],
            "again": _again(error, form or {}, around),
            "viewer": around.viewer,
            "href": quote(request.url.path, safe="/"),
        }
    )
    return frame.plain(body, _HEADINGS.get(status, "Error"), around, status=status)


def _again(error: PilothouseError, form: Mapping[str, str], around: Around) -> Mapping[str, str]:
    """Return what a form of another session than the present one sends once more; empty for any other refusal."""
    token = around.viewer.token if around.viewer else ""
    if not isinstance(error, Denied) or form.get(TOKEN_FIELD, token) == token:
        return {}
    # Sent once more as it was written: the frame makes hidden characters visible in all but finished markup.
    sent = {**form, TOKEN_FIELD: token or form[TOKEN_FIELD]}
    return {name: escape(text) for name, text in sent.items()}


def bug(frame: Frame, request: Request, error: Exception, around: Around) -> Response:
    """Convert an unexpected exception to an error of ours, and log it under the id that is shown."""
    ident = secrets.token_hex(4)
    log.error("event=page_failed id=%s path=%s", ident, foreign_line(request.url.path), exc_info=error)
    if request.url.path.endswith(".json"):
        record = {"code": "bug", "message": f"a bug in Pilothouse, id {ident}"}
        return JSONResponse({"error": record}, status_code=500, headers=dict(HEADERS))
    body = error_body(
        {
            "heading": "A bug in Pilothouse",
            "message": f"This page could not be made. Its id is {ident}.",
            "remedy": _parts(
                "Look for the id in the server's log and report it; telemetry is taken in as before."
            ),
            "links": (),
            "typed": [],
            "again": {},
        }
    )
    return frame.plain(body, "Error", around, status=500)


def _parts(remedy: str) -> list[tuple[str, str]]:
    """Split a message into texts, `code` between backticks, and every `link` to a page of ours."""
    parts: list[tuple[str, str]] = []
    for number, text in enumerate(remedy.split("`")):
        if number % 2:
            parts.append((text, "code"))
        else:
            parts += [(one, "link" if _ADDRESS.fullmatch(one) else "") for one in _ADDRESS.split(text)]
    return [part for part in parts if part[0]]
