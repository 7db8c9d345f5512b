# SPDX-License-Identifier: Apache-2.0
"""Idempotency: the key of a call, and what its stored state allows after a crash or a repetition."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any, Literal

from pilothouse.core.charter.contract import Idempotency
from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json

__all__ = ["CallState", "after_crash", "call_key"]


class CallState(StrEnum):
    """State of a call with an effect; each state is durable before the next step begins."""

    RESERVED = "reserved"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Bytes left and nobody knows what became of them: a person looks."""


def call_key(run: str, call: str, tool: str, args: dict[str, Any]) -> tuple[str, str]:
    """Return the key of a call and the digest of what it asks for.

    Args:
        run: Id of the run.
        call: The model's id of the tool call, or the causal step where there is none.
        tool: `name@major`.
        args: Arguments, plain JSON data.

    Returns:
        Key over all four and digest of the arguments, both SHA-256 in lower-case hex. The same call id
        with another digest is a conflict, never a second call.

    Example:
        >>> key, digest = call_key("r", "c", "pay@1", {"amount": 5})
        >>> (key, digest) == call_key("r", "c", "pay@1", {"amount": 5.0})
        True
    """
    canonical = canonical_json(_exact(args))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return hashlib.sha256(f"{run}\0{call}\0{tool}\0{digest}".encode()).hexdigest(), digest


def _exact(value: Any) -> Any:
    """Return data in which whole numbers are texts where not every reader of JSON keeps them: ids have nineteen digits."""
    if isinstance(value, dict):
        return {key: _exact(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(one) for one in value]
    if isinstance(value, int) and abs(value) > INTEGER_EXACT_MAX:
        return {"whole": str(value)}
    return value


def after_crash(
    state: CallState, *, idempotency: Idempotency
) -> Literal["send", "send_same_key", "stored", "ask_person"]:
    """Return what a repeated call may do, given the stored state of the first one.

    Args:
        state: State of the row.
        idempotency: What the backend offers: `natural`, a key it honours, or nothing.

    Example:
        >>> after_crash(CallState.SENT, idempotency="key"), after_crash(CallState.SENT, idempotency="none")
        ('send_same_key', 'ask_person')
    """
    if state is CallState.DONE:
        return "stored"
    if state in (CallState.RESERVED, CallState.FAILED):
        return "send"
    return "ask_person" if idempotency == "none" else "send_same_key"
