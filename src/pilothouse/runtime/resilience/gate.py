# SPDX-License-Identifier: Apache-2.0
"""The resilience state of one tool behind one lock, shared by threads and event loops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pilothouse.runtime.resilience.breaker import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Permit,
    Refused,
    Settled,
)
from pilothouse.runtime.resilience.bulkhead import Bulkhead
from pilothouse.runtime.resilience.hedge import Hedge
from pilothouse.runtime.resilience.rate_limit import RateLimiter
from pilothouse.runtime.resilience.retry import FailedAttempt, NoRetry, RetryBudget, RetryPolicy, next_try

__all__ = ["Admitted", "Gate", "GatePolicy", "Limited", "Turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """Limits of one tool.

    Attributes:
        slots: Calls at once.
        line: Calls that may wait for a slot.
        breaker: When the breaker opens.
        retry: How often a failed attempt is repeated.
        hedge: Whether a slow read gets a second attempt.
    """

    slots: int = 16
    line: int = 64
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    hedge: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """Permission for one attempt.

    Attributes:
        permit: Of the breaker.
        wait_s: Seconds to wait for the rate limit first.
    """

    permit: Permit
    wait_s: float


@dataclass(frozen=True, slots=True)
class Limited:
    """Attempt refused by the rate limit.

    Attributes:
        retry_after_s: When there will be a place, seconds.
    """

    retry_after_s: float


class Turn:
    """A waiter for a slot; `wake` is called, from any thread, once the slot is theirs.

    Args:
        wake: What tells them.
    """

    __slots__ = ("wake",)

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake


class Gate:
    """The resilience state that all calls of one tool share.

    Args:
        policy: Its limits.
        limiter: Rate limit, which the tools of an integration share; None for none.
    """

    def __init__(self, policy: GatePolicy, limiter: RateLimiter | None = None) -> None:
        self.policy = policy
        self._lock = threading.Lock()
        self._bulkhead = Bulkhead[Turn](slots=policy.slots, line=policy.line)
        self._breaker = Breaker(policy.breaker)
        self._limiter = limiter
        self._budget = RetryBudget()
        self._hedge = Hedge()

    def enter(self, turn: Turn) -> Literal["in", "waits", "full"]:
        """Ask for a slot for one call, which also adds to the retry budget."""
        with self._lock:
            self._budget.earn()
            return self._bulkhead.enter(turn)

    def leave(self) -> None:
        """Release the slot and wake the next waiter."""
        with self._lock:
            following = self._bulkhead.leave()
        if following is not None:
            following.wake()

    def give_up(self, turn: Turn) -> None:
        """Stop waiting for a slot; one granted meanwhile goes to the next waiter."""
        with self._lock:
            waited = self._bulkhead.give_up(turn)
        if not waited:
            self.leave()

    def admit(self, now_s: float, *, wait_max_s: float) -> Admitted | Limited | Refused:
        """Ask breaker and rate limit for one attempt.

        Args:
            now_s: Monotonic seconds.
            wait_max_s: Longest useful wait, seconds.
        """
        with self._lock:
            permit = self._breaker.admit(now_s)
            if isinstance(permit, Refused):
                return permit
            if self._limiter is None:
                return Admitted(permit, 0.0)
            wait_s = self._limiter.reserve(now_s, wait_max_s=wait_max_s)
            if wait_s is None:
                self._breaker.settle(permit, Settled.SILENT, took_s=0.0, now_s=now_s)
                return Limited(self._limiter.wait_s(now_s))
            return Admitted(permit, wait_s)

    def settle(self, permit: Permit, outcome: Settled, *, took_s: float, now_s: float, chance: float) -> None:
        """Report the outcome of an attempt; see `Breaker.settle`."""
        with self._lock:
            self._breaker.settle(permit, outcome, took_s=took_s, now_s=now_s, chance=chance)
            if outcome is Settled.GOOD and self.policy.hedge:
                self._hedge.observe(took_s)

    def push_back(self, now_s: float, retry_after_s: float) -> None:
        """Apply a `Retry-After` to all later attempts."""
        if self._limiter is not None:
            self._limiter.push_back(now_s, retry_after_s)

    def next_try(self, failed: FailedAttempt, *, now_s: float, chance: float) -> float | NoRetry:
        """Decide whether and when to retry; see `retry.next_try`."""
        with self._lock:
            return next_try(self.policy.retry, failed, budget=self._budget, now_s=now_s, chance=chance)

    def hedge_after_s(self) -> float | None:
        """Return the delay of a hedged attempt in seconds; None without one."""
        return self._hedge.delay_s() if self.policy.hedge else None

    def start_hedge(self) -> bool:
        """Return whether a hedged attempt may start now."""
        with self._lock:
            return self._hedge.start()

    def breaker_state(self, now_s: float) -> BreakerState:
        """Return where the breaker stands."""
        with self._lock:
            return self._breaker.state(now_s)

    @property
    def inside(self) -> int:
        """Calls that hold a slot."""
        return self._bulkhead.inside
