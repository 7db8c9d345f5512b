# SPDX-License-Identifier: Apache-2.0
"""What happens to one tool call, in order, written once for blocking and asynchronous callers.

The call is a generator: it yields what needs waiting (`steps`), and a driver does the waiting and sends
the answer back. So there is one order of stages, one place where each is, and no second code path.

    once per call:    arguments → guards → deadline → slot → made before? → record
    per attempt:      rate limit → breaker → row on disk → attempt within its time → result → breaker told
    once per call:    freshness → record → key settled → slot left → what the model is shown

Rate limit and breaker are asked for each attempt: providers count attempts, and a breaker that saw only
whole calls would stay closed on a service that fails every second time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.tools import (
    CallGuard,
    CallObserver,
    CallRecord,
    IdempotencyStore,
    Presenter,
    ToolCall,
)
from pilothouse.runtime.resilience.breaker import Permit, Refused, Settled
from pilothouse.runtime.resilience.deadline import Deadline, inherited_deadline
from pilothouse.runtime.resilience.gate import Admitted, Limited
from pilothouse.runtime.resilience.idempotency import CallState
from pilothouse.runtime.resilience.retry import NoRetry
from pilothouse.runtime.tools.call_row import CallRow
from pilothouse.runtime.tools.failure import read_failure, says_of_health
from pilothouse.runtime.tools.freshness import check_freshness
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.loops import LoopWatch
from pilothouse.runtime.tools.steps import Attempt, Blocking, EnterGate, Pause, Step

__all__ = ["ATTEMPT_MIN_S", "Door", "call_through"]

ATTEMPT_MIN_S = 0.02
"""With less time left than this nothing is started: the answer would come too late."""

ARGUMENTS_BYTES_MAX = 1024 * 1024
"""Arguments that a model wrote are small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the calls of an agent have in common.

    Attributes:
        guards: Who may refuse a call, asked in order: kill switch, permissions.
        observers: Who keeps what happens: run log, audit log, spans.
        presenter: Who stands between results and the model; without one it is shown everything.
        store: Where calls with an effect are kept; without one, such calls are refused.
        loops: Who notices that a run goes in circles.
        monotonic: Monotonic seconds.
        wall_ns: Unix nanoseconds UTC.
        chance: Uniform in [0, 1).
    """

    guards: Sequence[CallGuard] = ()
    observers: Sequence[CallObserver] = ()
    presenter: Presenter | None = None
    store: IdempotencyStore | None = None
    loops: LoopWatch = field(default_factory=LoopWatch)
    monotonic: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    chance: Callable[[], float] = random.random

    def filled(self, call: ToolCall) -> ToolCall:
        """Return a call with what its names of unread values stand for; it is made with these arguments.

        Raises:
            ToolError: A name stands for nothing in its task.
        """
        return call if self.presenter is None else self.presenter.filled(call)

    def person_of(self, call: ToolCall) -> str:
        """Return who asked for the task of a call; `unknown` where nobody said."""
        return "unknown" if self.presenter is None else self.presenter.requester(call.run)

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return datetime.fromtimestamp(self.wall_ns() / 1e9, UTC)


@dataclass(slots=True)
class _Progress:
    """What is known of a call while it goes on."""

    row: CallRow
    attempts: int = 0
    age_s: float | None = None


def call_through(door: Door, tool: GovernedTool, call: ToolCall) -> Generator[Step, Any, Any]:
    """Make one call.

    Args:
        door: What the calls of the agent have in common.
        tool: The tool.
        call: The call.

    Yields:
        What has to be waited for; the driver sends back what came of it.

    Returns:
        What the caller may read of the result, which was plain JSON data that fits the contract.

    Raises:
        ToolError: There is none; says why, and whether anything was changed.
    """
    started_ns = door.wall_ns()
    progress = _Progress(CallRow(door.store, door.now))
    result, error, counted = None, None, False
    try:
        _check_arguments(tool, call)
        door.loops.before(call, polling=tool.contract.polling)
        counted = True
        result = yield from _decided(door, tool, call, progress)
    except ToolError as failed:
        error = failed
        raise
    except BaseException:
        error = _given_up(tool, progress)
        raise
    finally:
        if counted:
            door.loops.after(call, failed=error is not None)
        record = CallRecord(
            call=call,
            started_ns=started_ns,
            ended_ns=door.wall_ns(),
            attempts=progress.attempts,
            breaker=tool.gate.breaker_state(door.monotonic()).value,
            result=result,
            error=error,
            age_s=progress.age_s,
            replayed=progress.row.replayed,
        )
        for observer in door.observers:
            observer.after(record)
    return result if door.presenter is None else door.presenter.shown(call, result)


def _check_arguments(tool: GovernedTool, call: ToolCall) -> None:
    problem = tool.arguments.problem(call.args)
    if problem is None and tool.contract.input and not _fits(call.args, ARGUMENTS_BYTES_MAX):
        problem = f"$: larger than {ARGUMENTS_BYTES_MAX} bytes"
    if problem is not None:
        raise ToolError(
            f"{tool.name}: {problem}",
            remedy="Correct the arguments; nothing was sent.",
            kind="invalid_input",
            subject=tool.name,
        )


def _fits(value: Any, most: int) -> bool:
    """Whether a value is small enough; counts texts only as far as it must."""
    if type(value) is dict:
        left = most
        for name, one in value.items():
            left -= len(name) + (len(one) if type(one) is str else 8)
            if type(one) in (dict, list, tuple):
                break
        else:
            return left >= 0
    left, level = most, [value]
    while level and left >= 0:
        following: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                following.extend(one)
                following.extend(one.values())
            elif isinstance(one, list | tuple):
                following.extend(one)
            left -= len(one) if isinstance(one, str) else 8
        level = following
    return left >= 0


def _decided(
    door: Door, tool: GovernedTool, call: ToolCall, progress: _Progress
) -> Generator[Step, Any, Any]:
    """Guards, deadline and slot around the attempts."""
    with_effect = tool.effect != "read"
    for guard in door.guards:
        question = guard.check(call)
        if question is not None:
            yield Blocking(question)
    now_s = door.monotonic()
    deadline = Deadline.after(now_s, tool.contract.timeout_s).earlier(inherited_deadline())
    entered = yield EnterGate(tool.gate, deadline.left_s(now_s))
    if entered != "in":
        raise ToolError(
            f"{tool.name}: {tool.contract.slots} calls are already under way",
            remedy="Try again when some have ended.",
            kind="unavailable" if entered == "full" else "timeout",
            retryable=True,
            subject=tool.name,
        )
    try:
        if with_effect:
            stored = yield Blocking(lambda: progress.row.look_up(tool, call, door.person_of(call)))
            if progress.row.replayed:
                return stored
            yield Blocking(lambda: _announce(door, call))
        else:
            _announce(door, call)
        return (yield from _attempts(door, tool, progress, deadline))
    finally:
        tool.gate.leave()


def _announce(door: Door, call: ToolCall) -> None:
    for observer in door.observers:
        observer.before(call)


def _attempts(
    door: Door, tool: GovernedTool, progress: _Progress, deadline: Deadline
) -> Generator[Step, Any, Any]:
    """Try until it succeeds, or until another attempt would be useless, unsafe, too late or too much."""
    while True:
        permit = yield from _admitted(door, tool, deadline)
        began_s = door.monotonic()
        outcome, error = Settled.SILENT, None
        try:
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
            _accept(door, tool, result, progress)
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
    door: Door, tool: GovernedTool, progress: _Progress, deadline: Deadline, error: ToolError
) -> Generator[Step, Any, None]:
    """Wait for the next attempt, or end the call with its error."""
    now_s = door.monotonic()
    if error.retry_after_s is not None:
        tool.gate.push_back(now_s, error.retry_after_s)
    again = tool.gate.next_try(
        attempt=max(1, progress.attempts),
        useful=error.retryable,
        safe=error.side_effect == "none" or tool.repeatable != "none",
        retry_after_s=error.retry_after_s,
        left_s=deadline.left_s(now_s) - ATTEMPT_MIN_S,
        now_s=now_s,
        chance=door.chance(),
    )
    if not isinstance(again, NoRetry):
        yield Pause(again)
        return
    if progress.row.is_kept and progress.row.state is not CallState.RESERVED:
        unsure = error.side_effect == "unknown"
        yield Blocking(partial(progress.row.step, CallState.UNKNOWN if unsure else CallState.FAILED))
    raise error


def _admitted(door: Door, tool: GovernedTool, deadline: Deadline) -> Generator[Step, Any, Permit]:
    """Wait for a place within the rate, and for the breaker's leave."""
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


def _accept(door: Door, tool: GovernedTool, result: Any, progress: _Progress) -> None:
    """Let only a result through that fits the contract."""
    problem = None if _fits(result, tool.contract.result_bytes_max) else "$: larger than the contract allows"
    problem = problem or tool.results.problem(result)
    if problem is not None:
        raise ToolError(
            f"{tool.name}: its answer breaks the contract at {problem.split(':')[0]}",
            remedy="Do not guess what it was; the owner of the integration is told.",
            kind="contract_violation",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    if tool.contract.freshness is not None:
        progress.age_s = check_freshness(tool.contract.freshness, result, tool=tool.name, now=door.now())


def _given_up(tool: GovernedTool, progress: _Progress) -> ToolError:
    unsure = progress.row.state is CallState.SENT
    return ToolError(
        f"{tool.name}: the caller gave up",
        remedy="It may have been done: look it up first." if unsure else "Nothing was changed.",
        kind="timeout",
        side_effect="unknown" if unsure else "none",
        subject=tool.name,
    )
