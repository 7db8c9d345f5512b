# SPDX-License-Identifier: Apache-2.0
"""Circuit breaker: stops calls to a failing or slow system, and lets exactly a few through to test whether it has recovered.

It counts the last outcomes instead of failures in a row: a service that fails every second time never
fails twice in a row, and breakers that count rows never open on it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Breaker", "BreakerPolicy", "BreakerState", "Permit", "Refused", "Settled"]


class BreakerState(StrEnum):
    """State of the breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Settled(StrEnum):
    """What an attempt tells about the health of a system."""

    GOOD = "good"
    BAD = "bad"
    SILENT = "silent"
    """Nothing: the caller gave up, or the call itself was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When the breaker opens and how it closes.

    Attributes:
        window: Outcomes that are looked at.
        minimum: Outcomes below which nothing is concluded.
        failure_rate: Share of bad outcomes that opens. 0.4 and not 0.5: a service that fails half the time at
            random opens within 20 calls in 93 % of cases instead of 77 %.
        slow_rate: Share of slow outcomes that opens.
        slow_after_s: From when an answer is slow, seconds; None when speed says nothing.
        open_s: First pause, seconds; it doubles with each failed probing.
        open_max_s: Longest pause, seconds.
        jitter: Largest share by which a pause is lengthened, so that many callers do not probe at once.
        permits: Probes of a half-open breaker, and successes that close it.
    """

    window: int = 20
    minimum: int = 10
    failure_rate: float = 0.4
    slow_rate: float = 0.8
    slow_after_s: float | None = None
    open_s: float = 10.0
    open_max_s: float = 120.0
    jitter: float = 0.2
    permits: int = 3


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one attempt; must be settled exactly once.

    Attributes:
        epoch: Period it was given in; outcomes of earlier periods say nothing about this one.
        probe: Whether it is one of the few of a half-open breaker.
    """

    epoch: int
    probe: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Permission refused.

    Attributes:
        retry_after_s: When asking again may help, seconds.
    """

    retry_after_s: float


class Breaker:
    """The state machine of one backend; not safe between threads by itself, see `gate.Gate`.

    Args:
        policy: When the breaker opens and how it closes.

    Example:
        >>> breaker = Breaker(BreakerPolicy())
        >>> for call in range(10):
        ...     permit = breaker.admit(float(call))
        ...     breaker.settle(permit, Settled.BAD if call % 2 else Settled.GOOD, took_s=0.1, now_s=float(call))
        >>> breaker.admit(10.0)
        Refused(retry_after_s=9.0)
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._state = BreakerState.CLOSED
        self._epoch = 0
        self._outcomes: deque[tuple[bool, bool]] = deque(maxlen=policy.window)
        self._bad = 0
        self._slow = 0
        self._pause_s = policy.open_s
        self._open_until_s = 0.0
        self._out = 0
        self._proven = 0
        self.opened = 0
        """How often it opened; for the counters of a page."""

    def state(self, now_s: float) -> BreakerState:
        """Return the state at a moment."""
        if self._state is BreakerState.OPEN and now_s >= self._open_until_s:
            return BreakerState.HALF_OPEN
        return self._state

    def admit(self, now_s: float) -> Permit | Refused:
        """Ask for permission for one attempt.

        Args:
            now_s: Monotonic seconds.

        Returns:
            A permit, to be settled exactly once; or a refusal.
        """
        if self._state is BreakerState.CLOSED:
            return Permit(epoch=self._epoch, probe=False)
        if self._state is BreakerState.OPEN:
            if now_s < self._open_until_s:
                return Refused(self._open_until_s - now_s)
            self._enter(BreakerState.HALF_OPEN)
        if self._out + self._proven >= self._policy.permits:
            return Refused(self._policy.open_s)
        self._out += 1
        return Permit(epoch=self._epoch, probe=True)

    def settle(
        self, permit: Permit, outcome: Settled, *, took_s: float, now_s: float, chance: float = 0.0
    ) -> None:
        """Report the outcome of an admitted attempt.

        Args:
            permit: What `admit` gave.
            outcome: What it says about the system.
            took_s: How long it took, seconds.
            now_s: Monotonic seconds.
            chance: Uniform in [0, 1): how much of the jitter a pause gets, should this outcome begin one.
        """
        if permit.epoch != self._epoch or self._state is BreakerState.OPEN:
            return
        slow = self._policy.slow_after_s is not None and took_s >= self._policy.slow_after_s
        if self._state is BreakerState.HALF_OPEN:
            self._out -= 1
            if outcome is Settled.SILENT:
                return
            if outcome is Settled.BAD or slow:
                self._pause_s = min(self._pause_s * 2, self._policy.open_max_s)
                self._open(now_s, chance)
                return
            self._proven += 1
            if self._proven >= self._policy.permits:
                self._pause_s = self._policy.open_s
                self._enter(BreakerState.CLOSED)
            return
        if outcome is Settled.SILENT:
            return
        self._count(outcome is Settled.BAD, slow)
        seen = len(self._outcomes)
        if seen >= self._policy.minimum and (
            self._bad >= self._policy.failure_rate * seen or self._slow >= self._policy.slow_rate * seen
        ):
            self._open(now_s, chance)

    def _count(self, bad: bool, slow: bool) -> None:
        if len(self._outcomes) == self._policy.window:
            was_bad, was_slow = self._outcomes[0]
            self._bad -= was_bad
            self._slow -= was_slow
        self._outcomes.append((bad, slow))
        self._bad += bad
        self._slow += slow

    def _open(self, now_s: float, chance: float) -> None:
        self._enter(BreakerState.OPEN)
        self._open_until_s = now_s + self._pause_s * (1 + self._policy.jitter * chance)
        self.opened += 1

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._epoch += 1
        self._out = self._proven = 0
        self._outcomes.clear()
        self._bad = self._slow = 0
