# SPDX-License-Identifier: Apache-2.0
"""Error answers for people and programs: what failed, why, and what to do."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence

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
from pilothouse.interfaces.web.frame import HEADERS, Frame, error_body
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Link

__all__ = ["bug", "problem", "status_of"]

KEPT_CHARS_MAX = 65_536
"""Characters of what somebody typed that are shown again, so that nothing typed is lost."""

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
    status: int | None = None,
    links: Sequence[Link] = (),
    typed: Mapping[str, str] | None = None,
) -> Response:
    """Return one of our errors as a page, or as JSON where JSON was asked for.

    Args:
        frame: Puts pages into their frame.
        request: The request.
        error: What is wrong.
        status: HTTP status; None takes that of the error.
        links: Agents near the one that was asked for.
        typed: What somebody sent with a form, shown again so that it is not lost.
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
            "links": tuple(links),
            "links_title": "Agents",
            "typed": [text[:KEPT_CHARS_MAX] for text in (typed or {}).values() if text],
        }
    )
    return frame.error(status, body, _HEADINGS.get(status, "Error"))


def bug(frame: Frame, request: Request, error: Exception) -> Response:
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
            "links_title": "",
            "typed": [],
        }
    )
    return frame.error(500, body, "Error")


def _parts(remedy: str) -> list[tuple[str, str]]:
    """Split a message into texts, `code` between backticks, and every `link` to a page of ours."""
    parts: list[tuple[str, str]] = []
    for number, text in enumerate(remedy.split("`")):
        if number % 2:
            parts.append((text, "code"))
        else:
            parts += [(one, "link" if _ADDRESS.fullmatch(one) else "") for one in _ADDRESS.split(text)]
    return [part for part in parts if part[0]]
