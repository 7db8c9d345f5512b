# SPDX-License-Identifier: Apache-2.0
"""The port of held outputs: an output waits for a person's decision, and is never delivered without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

__all__ = ["HELD_OPEN_MAX", "HeldOutput", "Hold", "HoldState", "Holds"]

HELD_OPEN_MAX = 10_000
"""Held outputs of one agent that may wait at once; a longer queue is answered by nobody, so more are rejected."""


class HoldState(StrEnum):
    """The state of a held output."""

    HELD = "held"
    CLAIMED = "claimed"
    RELEASED = "released"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the state is final.

        Example:
            >>> HoldState.CLAIMED.is_final, HoldState.EXPIRED.is_final
            (False, True)
        """
        return self not in {HoldState.HELD, HoldState.CLAIMED}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutput:
    """An output that must not be delivered before a decision.

    Attributes:
        agent: Agent id.
        task_type: Task type.
        trace_id: The task, 32 hex digits.
        version: Version digest, or None.
        call_digest: SHA-256 of the exact call (tool, version, canonical arguments) or answer; a decision is about
            this and nothing else, and once.
        input: What the agent was given.
        proposal: What it wants to answer or do, as a person can read and edit it.
        used: Evidence it used, one line each.
        reason: Why it is held, hidden from the reviewer until the answer.
        confidence: The router's number in [0, 1], or None; hidden likewise.
        error_cost: Cost of a wrong answer in the charter's currency, or None when unknown.
        held_at: Now, aware UTC.
        deadline: When it is rejected by itself.
    """

    agent: str
    task_type: str
    trace_id: str
    version: str | None = None
    call_digest: str
    input: str
    proposal: str
    used: tuple[str, ...] = ()
    reason: str
    confidence: float | None = None
    error_cost: float | None = None
    held_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A held output with its state.

    Attributes:
        hold_id: Its id; the same call of the same task has the same one.
        agent: Agent id.
        trace_id: The task.
        call_digest: The exact call that the decision is about; compare it before acting.
        state: Where it stands.
        output: What may be delivered: the proposal when released, the corrected text when corrected, else None.
        note: Why it was rejected or expired, or what the reviewer wrote.
        deadline: When it is rejected by itself.
        decided_by: Person id, or None.
        decided_at: When, or None.
    """

    hold_id: str
    agent: str
    trace_id: str
    call_digest: str
    state: HoldState
    output: str | None = None
    note: str = ""
    deadline: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None


@runtime_checkable
class Holds(Protocol):
    """Holds outputs for gateway and tools; every answer is durable before it is given."""

    def hold(self, output: HeldOutput) -> Hold:
        """Hold an output, or return the existing hold of exactly this call.

        A full queue gives a hold that is rejected at once.

        Raises:
            LimitExceeded: Input or proposal are longer than a person can be shown; do not deliver it.
        """
        ...

    def read(self, hold_id: str, now: datetime) -> Hold | None:
        """Return a hold as of a moment, or None for an unknown id.

        Past its deadline it is expired, whoever asks first. A decision counts some seconds after it was made,
        so that a slip of the hand can be undone.
        """
        ...

    def expire(self, now: datetime) -> tuple[Hold, ...]:
        """Reject holds past their deadline and return them, at most 1,000 at once."""
        ...
