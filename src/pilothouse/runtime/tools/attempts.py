# SPDX-License-Identifier: Apache-2.0
"""The attempts of one call: each passes rate limit and breaker; after a failure the retry policy decides on another.

    per attempt:      rate limit → breaker → row on disk → attempt within its time → result → breaker told

Rate limit and breaker are asked for each attempt: providers count attempts, and a breaker that saw only
whole calls would stay closed on a service that fails every second time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.resilience.breaker import Permit, Refused, Settled
from pilothouse.runtime.resilience.deadline import Deadline
from pilothouse.runtime.resilience.gate import Admitted, Limited
from pilothouse.runtime.resilience.idempotency import CallState
from pilothouse.runtime.resilience.retry import FailedAttempt, NoRetry
from pilothouse.runtime.tools.call_row import CallRow
from pilothouse.runtime.tools.contract_check import accepted_age_s
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.failure import in_doubt, read_failure, says_of_health
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.steps import Attempt, Blocking, Pause, Step

__all__ = ["ATTEMPT_MIN_S", "Progress", "try_until_done"]

ATTEMPT_MIN_S = 0.02
"""With less time left than this nothing is started: the answer would come too late."""


@dataclass(slots=True)
class Progress:
    """Progress of one call.

    Attributes:
        row: Its row, where it has an effect.
        attempts: Attempts made.
        doubt: Whether an attempt failed that may have been done all the same.
        age_s: Age of what its result shows, seconds; None where nobody asks.
    """

    row: CallRow
    attempts: int = 0
    doubt: bool = False
    age_s: float | None = None


def try_until_done(
    door: Door, tool: GovernedTool, call: ToolCall, progress: Progress, deadline: Deadline
) -> Generator[Step, Any, Any]:
    """Attempt the call until it succeeds, or until a retry would be useless, unsafe, too late or over budget.

    Args:
        door: What the calls of the agent have in common.
        tool: The tool.
        call: The call, for those who may stop it between two attempts.
        progress: Told how far it is.
        deadline: When nobody waits any more.

    Yields:
        What has to be waited for.

    Returns:
        The first result that fits the contract.

    Raises:
        ToolError: There was none.
    """
    while True:
        try:
            permit = yield from _admitted(door, tool, deadline)
        except ToolError as refused:
            raise _honest(refused, progress) from None
        began_s = door.monotonic()
        outcome, error = Settled.SILENT, None
        try:
            for stop in door.stops:
                stop.check(call)
            timeout_s = _time_for_attempt(tool, deadline.left_s(began_s))
            if progress.row.is_kept:
                yield Blocking(partial(progress.row.mark_sent, tool))
            progress.attempts += 1
            result = yield Attempt(
                tool,
                timeout_s=timeout_s,
                deadline=deadline,
                key=progress.row.key,
                hedge_after_s=tool.gate.hedge_after_s(),
            )
            progress.age_s = yield from accepted_age_s(tool, result, door.now)
            outcome = Settled.GOOD
        except Exception as failed:  # noqa: BLE001 - whatever a tool raises becomes one of our kinds
            error = read_failure(
                failed, tool=tool.name, effect=tool.effect, codes=tool.contract.errors, now=door.now()
            )
            outcome = says_of_health(error)
        finally:
            # Also when the caller was cancelled: a permit that never comes back would keep a probe's place.
            ended_s = door.monotonic()
            tool.gate.settle(permit, outcome, took_s=ended_s - began_s, now_s=ended_s, chance=door.chance())
        if error is None:
            if progress.row.is_kept:
                yield Blocking(partial(progress.row.mark_done, result))
            return result
        yield from _after_failure(door, tool, progress, deadline, error)


def _after_failure(
    door: Door, tool: GovernedTool, progress: Progress, deadline: Deadline, error: ToolError
) -> Generator[Step, Any, None]:
    """Wait for the next attempt, or raise the error of the call."""
    now_s = door.monotonic()
    progress.doubt |= error.side_effect == "unknown"
    if error.retry_after_s is not None:
        tool.gate.push_back(now_s, error.retry_after_s)
    failed = FailedAttempt(
        attempt=max(1, progress.attempts),
        is_retryable=error.retryable,
        is_safe=error.side_effect == "none" or tool.repeatable != "none",
        retry_after_s=error.retry_after_s,
        left_s=deadline.left_s(now_s) - ATTEMPT_MIN_S,
    )
    again = tool.gate.next_try(failed, now_s=now_s, chance=door.chance())
    if not isinstance(again, NoRetry):
        yield Pause(again)
        return
    if progress.row.is_kept and progress.row.state is not CallState.RESERVED:
        unsure = progress.doubt
        yield Blocking(partial(progress.row.mark_failed, unsure=unsure))
    raise _honest(error, progress)


def _honest(error: ToolError, progress: Progress) -> ToolError:
    """Correct an error whose side effect `none` is true of the last attempt only."""
    return in_doubt(error) if progress.doubt and error.side_effect == "none" else error


def _admitted(door: Door, tool: GovernedTool, deadline: Deadline) -> Generator[Step, Any, Permit]:
    """Wait until rate limit and breaker admit the attempt."""
    now_s = door.monotonic()
    leave = tool.gate.admit(now_s, wait_max_s=max(0.0, deadline.left_s(now_s) - ATTEMPT_MIN_S))
    if isinstance(leave, Refused):
        raise ToolError(
            f"{tool.name}: {tool.integration} is failing, so it is not asked now",
            remedy=f"Go on without it, or try again in {max(1.0, leave.retry_after_s):.0f} s.",
            kind="circuit_open",
            retryable=True,
            retry_after_s=leave.retry_after_s,
            subject=tool.name,
        )
    if isinstance(leave, Limited):
        raise ToolError(
            f"{tool.name}: {tool.integration} accepts no more calls for {leave.retry_after_s:.1f} s",
            remedy="Wait, or go on without it.",
            kind="rate_limited",
            retryable=True,
            retry_after_s=leave.retry_after_s,
            subject=tool.name,
        )
    assert isinstance(leave, Admitted)  # noqa: S101 - tells the type checker what the two cases above leave
    if leave.wait_s > 0:
        try:
            yield Pause(leave.wait_s)
        except BaseException:
            tool.gate.settle(leave.permit, Settled.SILENT, took_s=0, now_s=door.monotonic(), chance=0)
            raise
    return leave.permit


def _time_for_attempt(tool: GovernedTool, left_s: float) -> float:
    if left_s < ATTEMPT_MIN_S:
        raise ToolError(
            f"{tool.name}: the time for this call is over",
            remedy="Go on without it, or say that it could not be done.",
            kind="timeout",
            subject=tool.name,
        )
    limit_s = tool.contract.attempt_timeout_s
    return left_s if limit_s is None else min(left_s, limit_s)
