# SPDX-License-Identifier: Apache-2.0
"""Posted forms: bounded, of one content type, and sent by our own pages only (CSRF protection)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from pilothouse.errors import Denied, LimitExceeded, UsageError
from pilothouse.reports.foreign import foreign_line

__all__ = [
    "FORM_BYTES_MAX",
    "REASON_MAX",
    "TOKEN_FIELD",
    "read_form",
    "read_reason",
    "refuse_foreign",
    "refuse_without_token",
    "word_of",
]

FORM_BYTES_MAX = 512 * 1024
"""Bytes of a form: two texts of 64 Ki characters, percent-encoded, and some room."""

FIELDS_MAX = 50
"""Fields of a form; ours have fewer than ten."""

REASON_MAX = 500
"""Characters of a reason: a sentence or two."""

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
"""Field that carries the token of the session."""


def refuse_foreign(request: Request) -> None:
    """Refuse a post that another site sent through the visitor's browser.

    A browser says where a post comes from in `Sec-Fetch-Site`, which no page can write, or else in `Origin`.
    Our pages send no referrer, and a browser then writes `null` for the origin of their forms: that says
    nothing, and is believed only beside the first. What says neither is no browser, and programs have the API.

    Raises:
        Denied: It comes from elsewhere, or says nothing.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = request.headers.get("host", "")
    fits = [] if site is None else [site == "same-origin"]
    if origin is not None and not (origin == "null" and site is not None):
        fits.append(bool(own) and _named_in(origin) == own)
    if not fits or not all(fits):
        raise Denied(
            "this form was sent by another site, or not by a browser",
            remedy="Open the page here and send it from there; programs use the commands, see docs/reference/commands.md",
        )


def _named_in(origin: str) -> str | None:
    """Return host and port of an origin; None for an invalid one."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def refuse_without_token(form: Mapping[str, str], expected: str | None) -> None:
    """Refuse a form that does not carry the token of the session it is sent in.

    Args:
        form: Fields by name.
        expected: Token of the session; None when there is no session.

    Raises:
        Denied: The token is not that one.
    """
    given = form.get(TOKEN_FIELD, "")
    if expected is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Denied(
            "your session ended while this form was open; what you wrote is kept on this page",
            remedy="Sign in again in another window, with a link from `pilothouse sign-in PERSON`, then send it again here.",
        )


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; of two equal names the last counts.

    Raises:
        UsageError: It is no form, or no UTF-8.
        LimitExceeded: It is too long or has too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise UsageError("this is no form", remedy="Send it from the page.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise LimitExceeded(
                f"the form is longer than {FORM_BYTES_MAX // 1024} KiB",
                remedy="Shorten the text and send again.",
            )
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise UsageError("this form cannot be read", remedy="Send it from the page.") from error
    return {name: text.replace("\r\n", "\n") for name, text in pairs}


def read_reason(form: Mapping[str, str]) -> str:
    """Return the reason that a form gives.

    Raises:
        UsageError: It says nothing.
    """
    reason = form.get("reason", "").strip()[:REASON_MAX]
    if not reason:
        raise UsageError(
            "a reason is missing: people, the agent and the audit log read it",
            remedy="Write one sentence and send it again.",
        )
    return reason


WORD_CHARS_MAX = 64
"""Characters of a kind or a run id in a query."""


def word_of(request: Request, name: str) -> str:
    """Return a short word of the query, or empty.

    Raises:
        UsageError: It is longer than any word that a page links to.
    """
    said = request.query_params.get(name, "").strip()
    if len(said) > WORD_CHARS_MAX:
        raise UsageError(
            f"{foreign_line(name)} has {len(said):,} characters, at most {WORD_CHARS_MAX} are read",
            remedy="Follow a link of the page, for example `/audit?kind=call.decided`.",
        )
    return said
