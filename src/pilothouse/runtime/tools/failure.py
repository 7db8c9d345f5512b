# SPDX-License-Identifier: Apache-2.0
"""Classify a backend's failure into the closed list of kinds (exception → `ToolError`); its text is not passed on.

Clients differ in their exceptions and agree on what those carry: a status, headers, or being a
`TimeoutError` or `OSError`. So that is all that is looked at, and no client needs to be imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pilothouse.errors import SideEffect, ToolError, ToolErrorKind
from pilothouse.runtime.resilience.breaker import Settled
from pilothouse.runtime.resilience.retry import read_retry_after

__all__ = ["UNSENT", "in_doubt", "read_failure", "says_of_health", "was_sent"]

_BY_STATUS: dict[int, ToolErrorKind] = {
    400: "invalid_input",
    401: "auth",
    403: "permission",
    404: "not_found",
    405: "contract_violation",
    408: "timeout",
    409: "conflict",
    410: "not_found",
    412: "conflict",
    413: "invalid_input",
    415: "contract_violation",
    422: "invalid_input",
    423: "conflict",
    425: "unavailable",
    429: "rate_limited",
    504: "timeout",
}

_USEFUL_AGAIN: frozenset[ToolErrorKind] = frozenset(
    {"timeout", "unavailable", "rate_limited", "upstream_bug"}
)
"""Kinds where the same call can go differently a moment later."""

_NOT_HEALTH: frozenset[ToolErrorKind] = frozenset(
    {"invalid_input", "not_found", "conflict", "permission", "rate_limited", "auth", "held", "budget"}
)
"""Kinds that say nothing about whether the system is well: it answered, and it was right to refuse."""

UNSENT = ("ConnectionRefusedError", "ClientConnectorError", "ConnectError", "NewConnectionError", "gaierror")
"""Class names of failures before any byte left."""

EGRESS_REFUSED = "EgressRefused"
"""Class of what the start-up hook raises; it lies in the agent's process, where nothing of ours need be imported."""

CAUSES_MAX = 10
"""Exceptions of one chain that are looked at."""

_WORDS: dict[ToolErrorKind, tuple[str, str]] = {
    "invalid_input": (
        "the system refused the arguments",
        "Correct the arguments; the same call fails again.",
    ),
    "auth": ("signing in failed", "Do not repeat it; the owner of the integration is told."),
    "permission": ("it is not allowed", "Do not repeat it; another way or a person is needed."),
    "not_found": ("there is no such thing", "Check the id; it may be in another system."),
    "conflict": ("it contradicts the present state", "Read the present state first, then decide again."),
    "rate_limited": ("the system is asked too often", "Wait, or go on without it."),
    "timeout": ("no answer in time", "Go on without it, or say that it could not be done."),
    "unavailable": ("the system cannot be reached", "Go on without it, or say that it could not be done."),
    "upstream_bug": ("the system failed", "Go on without it, or say that it could not be done."),
    "contract_violation": ("the answer breaks the contract", "Do not use it; the owner is told."),
}

_DOUBT = "It may have been done: do not repeat it, look it up first."


def read_failure(
    error: BaseException,
    *,
    tool: str,
    effect: str,
    codes: Mapping[str, ToolErrorKind],
    now: datetime,
) -> ToolError:
    """Translate the exception of an attempt.

    Args:
        error: The exception.
        tool: Tool as the charter names it.
        effect: What a call changes.
        codes: The contract's own codes → kind; a status or an exception's class name.
        now: The moment, aware UTC.

    Returns:
        An error for the agent. Nothing of the backend's text is in it.
    """
    if isinstance(error, ToolError):
        return _as_ours(error, tool, effect)
    if any(type(one).__name__ == EGRESS_REFUSED for one in _causes(error)):
        return ToolError(
            f"{tool}: it connects to a host that the charter does not declare, so nothing was sent",
            remedy="Do without it; the owner declares the host under `integrations:` and runs `pilothouse check`.",
            kind="permission",
            subject=tool,
        )
    kind = _kind(error, codes)
    retry_after_s = read_retry_after(_header(error, "retry-after"), now)
    side_effect = _side_effect(error, kind, effect)
    what, advice = _WORDS.get(kind, _WORDS["upstream_bug"])
    return ToolError(
        f"{tool}: {what} ({type(error).__name__})",
        remedy=_DOUBT if side_effect == "unknown" else advice,
        kind=kind,
        retryable=kind in _USEFUL_AGAIN,
        retry_after_s=retry_after_s,
        side_effect=side_effect,
        subject=tool,
    )


def _as_ours(error: ToolError, tool: str, effect: str) -> ToolError:
    """Return a `ToolError` that the tool itself raised; one of a nested tool call tells nothing about its own effect."""
    inner = error.subject or ""
    if effect == "read" or error.side_effect != "none" or "@" not in inner or inner == tool:
        return error
    return in_doubt(error)


def in_doubt(error: ToolError) -> ToolError:
    """Return the error with its side effect unknown: an earlier attempt may have succeeded, although the last one did nothing."""
    return ToolError(
        error.message,
        remedy=f"{_DOUBT} {error.remedy}",
        kind=error.kind,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        side_effect="unknown",
        approval=error.approval,
        subject=error.subject,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes; clients wrap errors of the socket."""
    one: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if one is None:
            return
        yield one
        reason = getattr(one, "reason", None)
        one = reason if isinstance(reason, BaseException) else one.__cause__ or one.__context__


def says_of_health(error: ToolError) -> Settled:
    """Return what a failed attempt tells about the health of the system behind the tool."""
    return Settled.SILENT if error.kind in _NOT_HEALTH else Settled.BAD


def was_sent(error: BaseException) -> bool:
    """Whether bytes may have been sent before the failure."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return names.isdisjoint(UNSENT)


def _kind(error: BaseException, codes: Mapping[str, ToolErrorKind]) -> ToolErrorKind:
    status = _status(error)
    # Beside a status only a code of its own is one: aiohttp has a property of that name which repeats the status, and warns.
    own = getattr(error, "code", "") if status is None else vars(error).get("code", "")
    for code in (str(status), type(error).__name__, str(own)):
        if code in codes:
            return codes[code]
    if status is not None:
        return _BY_STATUS.get(status, "unavailable" if status >= 500 else "upstream_bug")
    if isinstance(error, TimeoutError | asyncio.TimeoutError) or "Timeout" in type(error).__name__:
        return "timeout"
    if isinstance(error, OSError) or "Connect" in type(error).__name__:
        return "unavailable"
    return "upstream_bug"


def _status(error: BaseException) -> int | None:
    """Find the HTTP status where the common clients keep it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            found = getattr(holder, name, None)
            if isinstance(found, int) and 400 <= found <= 599:
                return found
    return None


def _header(error: BaseException, name: str) -> str | None:
    for holder in (error, getattr(error, "response", None)):
        headers: Any = getattr(holder, "headers", None)
        if headers is not None:
            for key in (name, name.title()):
                try:
                    found = headers.get(key)
                except (AttributeError, TypeError):
                    break
                if isinstance(found, str):
                    return found
    return None


def _side_effect(error: BaseException, kind: ToolErrorKind, effect: str) -> SideEffect:
    if effect == "read" or not was_sent(error):
        return "none"
    return "unknown" if kind in ("timeout", "unavailable", "upstream_bug", "contract_violation") else "none"
