# SPDX-License-Identifier: Apache-2.0
"""Retry policy: whether and when a failed attempt is repeated, only if safe, within deadline and budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["FailedAttempt", "NoRetry", "RetryBudget", "RetryPolicy", "next_try", "read_retry_after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Number of attempts and backoff between them.

    Attributes:
        attempts: Attempts in all.
        base_s: The first pause is drawn from 0 to this, the next from 0 to twice this.
        cap_s: Longest pause that is drawn, seconds.
    """

    attempts: int = 3
    base_s: float = 0.2
    cap_s: float = 10.0


class RetryBudget:
    """Retry budget shared by all calls of one tool: almost nothing during an outage.

    Every call earns a tenth of a retry. So that a rarely used tool can retry at all, a few are free in
    each period.

    Args:
        earn: Retries that a call earns.
        keep_max: Most that can be saved up.
        floor: Free retries in each period.
        period_s: Length of the period, seconds.

    Example:
        >>> budget = RetryBudget(floor=1)
        >>> budget.spend(0.0), budget.spend(1.0), budget.spend(11.0)
        (True, False, True)
    """

    def __init__(
        self, *, earn: float = 0.1, keep_max: float = 10.0, floor: int = 3, period_s: float = 10.0
    ) -> None:
        self._earn, self._keep_max, self._floor, self._period_s = earn, keep_max, floor, period_s
        self._saved = 0.0
        self._free = floor
        self._period = -math.inf

    def earn(self) -> None:
        """Count one call."""
        self._saved = min(self._keep_max, self._saved + self._earn)

    def spend(self, now_s: float) -> bool:
        """Take one retry; False when there is none left.

        Args:
            now_s: Monotonic seconds.
        """
        if self._saved >= 1.0:
            self._saved -= 1.0
            return True
        if now_s - self._period >= self._period_s:
            self._period, self._free = now_s, self._floor
        if self._free > 0:
            self._free -= 1
            return True
        return False


@dataclass(frozen=True, slots=True)
class NoRetry:
    """No further attempt.

    Attributes:
        reason: `attempts`, `deadline`, `budget`, `unsafe` or `useless`.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """What the retry policy must know of an attempt that failed.

    Attributes:
        attempt: Its number, from 1.
        is_retryable: Whether another one could go differently.
        is_safe: Whether another one cannot do the same thing twice.
        retry_after_s: Pause that the system asked for, seconds, or None.
        left_s: Seconds to the deadline.
    """

    attempt: int
    is_retryable: bool
    is_safe: bool
    retry_after_s: float | None
    left_s: float


def next_try(
    policy: RetryPolicy, failed: FailedAttempt, *, budget: RetryBudget, now_s: float, chance: float
) -> float | NoRetry:
    """Decide whether and when to retry after a failed attempt.

    Args:
        policy: Number of attempts and backoff between them.
        failed: The attempt.
        budget: Of the tool.
        now_s: Monotonic seconds.
        chance: Uniform in [0, 1).

    Returns:
        Seconds to wait, or why there is no further attempt.

    Source:
        Full jitter: Brooker, "Exponential Backoff And Jitter", 2015.
    """
    if not failed.is_retryable:
        return NoRetry("useless")
    if not failed.is_safe:
        return NoRetry("unsafe")
    if failed.attempt >= policy.attempts:
        return NoRetry("attempts")
    pause_s = chance * min(policy.cap_s, policy.base_s * 2.0 ** (failed.attempt - 1))
    if failed.retry_after_s is not None:
        pause_s = max(pause_s, failed.retry_after_s)
    if pause_s >= failed.left_s:
        return NoRetry("deadline")
    return pause_s if budget.spend(now_s) else NoRetry("budget")


def read_retry_after(text: str | None, now: datetime) -> float | None:
    """Parse the header `Retry-After`: seconds or a date.

    Args:
        text: What the system sent.
        now: The moment, aware UTC; a date is held against it.

    Returns:
        Seconds, at least 0; None when nothing or nonsense was sent.

    Source:
        RFC 9110, section 10.2.3.

    Example:
        >>> read_retry_after("7", datetime(2026, 1, 1, tzinfo=UTC)), read_retry_after("-1", datetime.now(UTC))
        (7.0, None)
    """
    if text is None or len(text) > 64:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
