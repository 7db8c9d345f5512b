# SPDX-License-Identifier: Apache-2.0
"""The waits of a tool call, and the blocking and asynchronous drivers that perform them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from pilothouse.errors import ToolError
from pilothouse.runtime.resilience.breaker import Settled
from pilothouse.runtime.resilience.deadline import Deadline, under_deadline
from pilothouse.runtime.resilience.gate import Admitted, Gate, Turn

if TYPE_CHECKING:
    from pilothouse.runtime.tools.governed import GovernedTool

__all__ = [
    "Attempt",
    "Blocking",
    "Elsewhere",
    "EnterGate",
    "Pause",
    "Step",
    "drive",
    "drive_async",
    "idempotency_key",
]

_KEY: ContextVar[str | None] = ContextVar("pilothouse_idempotency_key", default=None)


def idempotency_key() -> str | None:
    """Return the key that a tool function must hand to its backend; None outside a call with an effect."""
    return _KEY.get()


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class EnterGate:
    """Get a slot, waiting at most so many seconds; answered with `in`, `full` or `late`."""

    gate: Gate
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Blocking:
    """Run a function that may block on a disk."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Wait for the answer of another process, which bounds its own time."""

    answer: Future[Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call the function once, twice at the same time where hedging says so."""

    tool: GovernedTool
    timeout_s: float
    deadline: Deadline
    key: str | None
    hedge_after_s: float | None


Step = Pause | EnterGate | Blocking | Elsewhere | Attempt


def _timed_out(attempt: Attempt) -> ToolError:
    tool = attempt.tool
    unsure = tool.effect != "read"
    return ToolError(
        f"{tool.name}: no answer in {attempt.timeout_s:.3g} s",
        remedy="It may have been done: do not repeat it, look it up first."
        if unsure
        else "Go on without it, or say that it could not be done.",
        kind="timeout",
        retryable=True,
        side_effect="unknown" if unsure else "none",
        subject=tool.name,
    )


def _second(attempt: Attempt) -> Admitted | None:
    """Return the permission for a hedged attempt beside a slow first one, or None."""
    gate = attempt.tool.gate
    if not gate.start_hedge():
        return None
    leave = gate.admit(time.monotonic(), wait_max_s=0.0)
    return leave if isinstance(leave, Admitted) else None


def _release(attempt: Attempt, leave: Admitted) -> None:
    attempt.tool.gate.settle(leave.permit, Settled.SILENT, took_s=0.0, now_s=time.monotonic(), chance=0.0)


def drive(call: Generator[Step, Any, Any], function: Callable[[], Any]) -> Any:
    """Wait for each step of a call in this thread.

    Args:
        call: The call.
        function: What an attempt calls; blocking.
    """
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = call.send(answer) if error is None else call.throw(error)
        except StopIteration as ended:
            return ended.value
        answer = error = None
        try:
            if isinstance(step, Attempt):
                answer = _attempt(step, function)
            elif isinstance(step, EnterGate):
                answer = _enter(step)
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            elif isinstance(step, Elsewhere):
                answer = step.answer.result()
            else:
                answer = step.work()
        except BaseException as failed:  # noqa: BLE001 - the call decides what becomes of it
            error = failed


def _enter(step: EnterGate) -> str:
    ready: SimpleQueue[None] = SimpleQueue()
    turn = Turn(partial(ready.put, None))
    entered = step.gate.enter(turn)
    if entered == "waits":
        try:
            ready.get(timeout=step.timeout_s)
        except Empty:
            step.gate.give_up(turn)
            return "late"
        except BaseException:  # an interrupt must not leave a slot to somebody who has gone
            step.gate.give_up(turn)
            raise
        return "in"
    return entered


def _attempt(step: Attempt, function: Callable[[], Any]) -> Any:
    workers = step.tool.workers
    with under_deadline(step.deadline):
        token = _KEY.set(step.key)
        try:
            answers = workers.start(function)
        finally:
            _KEY.reset(token)
        if answers is None:
            raise ToolError(
                f"{step.tool.name}: {step.tool.contract.slots} earlier calls never came back",
                remedy="Give the function a time limit of its own; see docs/how-to/wrap-a-tool.md.",
                kind="unavailable",
                subject=step.tool.name,
            )
        if step.hedge_after_s is not None and step.hedge_after_s < step.timeout_s:
            answer = workers.wait(answers, step.hedge_after_s)
            leave = None if answer is not None else _second(step)
            if leave is not None:
                try:
                    answer = _first_of_two(step, function, answers)
                finally:
                    _release(step, leave)
            elif answer is None:
                answer = workers.wait(answers, step.timeout_s - step.hedge_after_s)
        else:
            answer = workers.wait(answers, step.timeout_s)
    if answer is None:
        workers.leave_behind(answers)
        raise _timed_out(step)
    good, value = answer
    if not good:
        raise value
    return value


def _first_of_two(step: Attempt, function: Callable[[], Any], first: Any) -> tuple[bool, Any] | None:
    """Wait for the first good answer of two; the other attempt ends by itself."""
    workers = step.tool.workers
    both = threading.Condition()
    found: list[tuple[bool, Any]] = []

    def collect(answers: Any) -> None:
        answer = answers.get()
        with both:
            found.append(answer)
            both.notify()

    second = workers.start(function)
    lines = [first] if second is None else [first, second]
    for answers in lines:
        threading.Thread(target=collect, args=(answers,), daemon=True).start()
    until = time.monotonic() + step.timeout_s - (step.hedge_after_s or 0.0)
    with both:
        while True:
            good = next((answer for answer in found if answer[0]), None)
            if good is not None or len(found) == len(lines):
                return good or found[0]
            if not both.wait(until - time.monotonic()):
                return False, _timed_out(step)


async def drive_async(call: Generator[Step, Any, Any], function: Callable[[], Awaitable[Any]]) -> Any:
    """Await each step of a call.

    Args:
        call: The call.
        function: What an attempt awaits.
    """
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = call.send(answer) if error is None else call.throw(error)
        except StopIteration as ended:
            return ended.value
        answer = error = None
        try:
            if isinstance(step, Attempt):
                answer = await _attempt_async(step, function)
            elif isinstance(step, EnterGate):
                answer = await _enter_async(step)
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Elsewhere):
                answer = await asyncio.wrap_future(step.answer)
            else:
                answer = await asyncio.to_thread(step.work)
        except BaseException as failed:  # noqa: BLE001 - cancellation too: the call must give back what it holds
            error = failed


async def _enter_async(step: EnterGate) -> str:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(ready.set)

    turn = Turn(wake)
    entered = step.gate.enter(turn)
    if entered != "waits":
        return entered
    try:
        async with asyncio.timeout(step.timeout_s):
            await ready.wait()
    except TimeoutError:
        step.gate.give_up(turn)
        return "late"
    except BaseException:
        step.gate.give_up(turn)
        raise
    return "in"


async def _attempt_async(step: Attempt, function: Callable[[], Awaitable[Any]]) -> Any:
    token = _KEY.set(step.key)
    try:
        with under_deadline(step.deadline):
            if step.hedge_after_s is None or step.hedge_after_s >= step.timeout_s:
                return await _timed(step, function, step.timeout_s)
            return await _hedged_async(step, function, step.hedge_after_s)
    finally:
        _KEY.reset(token)


async def _timed(step: Attempt, function: Callable[[], Awaitable[Any]], timeout_s: float) -> Any:
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await function()
    except TimeoutError:
        if limit.expired():
            raise _timed_out(step) from None
        raise


async def _hedged_async(step: Attempt, function: Callable[[], Awaitable[Any]], after_s: float) -> Any:
    first = asyncio.ensure_future(_timed(step, function, step.timeout_s))
    tasks = {first}
    try:
        done, _ = await asyncio.wait(tasks, timeout=after_s)
        leave = None if done else _second(step)
        if leave is None:
            return await first
        try:
            tasks.add(asyncio.ensure_future(_timed(step, function, step.timeout_s - after_s)))
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                good = next((task for task in done if task.exception() is None), None)
                if good is not None:
                    return good.result()
            return await first
        finally:
            _release(step, leave)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
