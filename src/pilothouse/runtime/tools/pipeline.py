# SPDX-License-Identifier: Apache-2.0
"""The stages of one tool call, written once for blocking and asynchronous callers.

The call is a generator: it yields what needs waiting (`steps`), and a driver does the waiting and sends
the answer back. So there is one order of stages, one place where each is, and no second code path.

    once per call:    arguments → guards → deadline → slot → made before? → record
    per attempt:      see `attempts`
    once per call:    record → key settled → slot left → what the model is shown
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.tools import CallRecord, ToolCall
from pilothouse.runtime.resilience.deadline import Deadline, inherited_deadline
from pilothouse.runtime.resilience.idempotency import CallState
from pilothouse.runtime.tools.attempts import Progress, try_until_done
from pilothouse.runtime.tools.call_row import CallRow
from pilothouse.runtime.tools.contract_check import check_arguments
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.steps import Blocking, EnterGate, Step

__all__ = ["call_through"]


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
    progress = Progress(CallRow(door.store, door.now))
    result, error, counted = None, None, False
    try:
        yield from check_arguments(tool, call)
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
    return result if door.presenter is None else door.presenter.observe(call, result)


def _decided(door: Door, tool: GovernedTool, call: ToolCall, progress: Progress) -> Generator[Step, Any, Any]:
    """Run the attempts within guards, deadline and slot."""
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
        return (yield from try_until_done(door, tool, call, progress, deadline))
    finally:
        tool.gate.leave()


def _announce(door: Door, call: ToolCall) -> None:
    for observer in door.observers:
        observer.before(call)


def _given_up(tool: GovernedTool, progress: Progress) -> ToolError:
    unsure = progress.row.state is CallState.SENT
    return ToolError(
        f"{tool.name}: the caller gave up",
        remedy="It may have been done: look it up first." if unsure else "Nothing was changed.",
        kind="timeout",
        side_effect="unknown" if unsure else "none",
        subject=tool.name,
    )
