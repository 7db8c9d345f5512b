# SPDX-License-Identifier: Apache-2.0
"""What a failed attempt means: whether another may help, where, and after which pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pilothouse.runtime.gateway.caller import Headers
from pilothouse.runtime.gateway.policy import Limits
from pilothouse.runtime.resilience.retry import read_retry_after

__all__ = ["REFUSED_STATUSES", "UNHEARD", "Failure", "pause_before_next"]

REFUSED_STATUSES = frozenset({401, 403})
"""A provider that refuses our credential: another attempt there is refused as well."""

RETRYABLE_STATUSES = frozenset({408, 409, 429})
HOPELESS = frozenset({"breaker_open", "credential", "redirect"})
"""Reasons that last longer than a call."""
UNHEARD = frozenset({"cut", "first_byte", "idle"})
"""Reasons after which nobody knows how far the provider came with the request that it had: it may be paid for."""

DIGITS_MAX = 9
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 10.0
LAST_RETRY_AFTER_S = 60.0
"""Longest `Retry-After` that is waited for where nobody else can answer: as long as the official clients, which we tell not to wait."""


@dataclass(slots=True)
class Failure:
    """One attempt that gave no answer worth passing on.

    Attributes:
        reason: For headers and record, for example `status_500` or `idle`.
        status: What the provider answered, or 0.
        headers: With which headers.
        body: And which body, as raw bytes.
        detail: What happened when there was no answer.
        retry_after_s: What the provider asked for, or None.
        is_final: Whether another attempt would be as wrong.
        is_last_here: Whether the provider says that it is not to be asked again.
    """

    reason: str
    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    detail: str = ""
    retry_after_s: float | None = None
    is_final: bool = False
    is_last_here: bool = False

    @classmethod
    def of_status(
        cls, status: int, headers: Headers, body: bytes, now: datetime, *, refused_goes_on: bool = False
    ) -> Failure:
        """Judge an error answer.

        Args:
            status: HTTP status, 400 or more.
            headers: Of the answer.
            body: Raw bytes.
            now: The moment, aware UTC.
            refused_goes_on: Whether another may answer where the provider refuses our credential.
        """
        said = dict(headers)
        helps = status in RETRYABLE_STATUSES or status >= 500
        helps = helps or (refused_goes_on and status in REFUSED_STATUSES)
        return cls(
            reason=f"status_{status}",
            status=status,
            headers=headers,
            body=body,
            retry_after_s=_asked_to_wait(said, now),
            is_final=not helps,
            is_last_here=said.get(b"x-should-retry") == b"false",
        )


def _asked_to_wait(headers: dict[bytes, bytes], now: datetime) -> float | None:
    """Return for how long a provider asks to wait, seconds; OpenAI's milliseconds come first."""
    milliseconds = headers.get(b"retry-after-ms", b"")
    if milliseconds.isdigit() and len(milliseconds) <= DIGITS_MAX:
        return int(milliseconds) / 1e3
    return read_retry_after(headers.get(b"retry-after", b"").decode("latin-1"), now)


def pause_before_next(
    failure: Failure, limits: Limits, *, tries: int, is_last: bool, left_s: float, chance: float
) -> float | None:
    """Return the pause before the same member is tried again, or None to go on to the next.

    Args:
        failure: What happened.
        limits: Attempts and waits.
        tries: Attempts at this member so far.
        is_last: Whether the chain ends here.
        left_s: Time left for the whole call.
        chance: Uniform in [0, 1).
    """
    if failure.is_last_here or failure.reason in HOPELESS or failure.status in REFUSED_STATUSES:
        return None
    if not is_last and tries >= limits.member_attempts:
        return None
    if failure.retry_after_s is not None:
        waits = failure.retry_after_s
        most = LAST_RETRY_AFTER_S if is_last else limits.retry_after_s
        return waits if waits <= most and waits < left_s else None
    pause: float = chance * min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**tries)
    return pause if pause < left_s else None
