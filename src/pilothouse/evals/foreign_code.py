# SPDX-License-Identifier: Apache-2.0
"""Exceptions and messages of third-party code: contained, never lost, and always storable."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["REASON_CHARS_MAX", "must_propagate", "plain_reason", "server_trouble"]

REASON_CHARS_MAX: Final = 500
"""Enough for a person to see why; a whole answer belongs to the trial."""

CAUSES_MAX: Final = 8
"""Exceptions that are looked at behind one: an SDK, its HTTP client and a framework or two; a circle ends too."""

TOO_MANY: Final = 429
SERVER_ERRORS: Final = range(500, 600)


def must_propagate(error: BaseException) -> bool:
    """Whether an exception from third-party code must propagate: Ctrl-C, or a requested cancellation.

    `sys.exit(0)` in an agent would end the gate with the status of a release, and a cancellation that leaks out of
    a library would end its trial without an outcome.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def server_trouble(error: BaseException) -> int | None:
    """Return the HTTP status by which a server that the code asked failed, or None: then the code itself failed.

    HTTP clients and SDKs of models say it of their exceptions, which frameworks wrap; 429 and 5xx are no fault of who asks.

    Args:
        error: What the code raised.

    Example:
        >>> from urllib.error import HTTPError
        >>> server_trouble(HTTPError("http://model", 503, "busy", {}, None)), server_trouble(ValueError("503"))
        (503, None)
    """
    behind: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if behind is None:
            return None
        for said in (behind, getattr(behind, "response", None)):
            for name in ("status_code", "status", "code"):
                status = getattr(said, name, None)
                if isinstance(status, int) and (status == TOO_MANY or status in SERVER_ERRORS):
                    return status
        behind = behind.__cause__ or (None if behind.__suppress_context__ else behind.__context__)
    return None


def plain_reason(text: object) -> str:
    """Return a message of third-party code as a short text that can be stored and printed.

    Args:
        text: Whatever it said; half a surrogate pair becomes a question mark.

    Example:
        >>> plain_reason("no queue" + chr(0xD800))
        'no queue?'
    """
    return str(text)[:REASON_CHARS_MAX].encode("utf-8", "replace").decode()
