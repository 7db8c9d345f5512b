# SPDX-License-Identifier: Apache-2.0
"""Scorers of behaviour: which tools were called, in which order, and which never may be."""

from __future__ import annotations

from typing import Any

from pilothouse.evals.case import Case, Step, Trajectory, TrajectoryMode
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import FunctionScorer, same_json
from pilothouse.evals.trial import Reply, Result, ToolCall

__all__ = ["must_not_call", "steps_under", "tools_called", "trajectory"]


def trajectory() -> FunctionScorer:
    """Right when the run took the steps of the case's golden trajectory.

    Example:
        >>> from pilothouse.evals.trial import TrialStatus
        >>> golden = Trajectory(steps=(Step(tool="find"), Step(tool="route")))
        >>> case = Case(id="a", task_type="t", input=1, trajectory=golden)
        >>> calls = tuple(ToolCall(name=name) for name in ("find", "log", "route"))
        >>> run = Result(status=TrialStatus.DONE, reply=Reply(output=1, tool_calls=calls), latency_s=0.1)
        >>> trajectory().score(case, run).value
        1.0
    """

    def rule(case: Case, reply: Reply, _result: Result) -> Score:
        if case.trajectory is None:
            return unscored(Unscored.NOT_APPLICABLE, "the case has no golden trajectory")
        if reply.tool_calls is None:
            return unscored(Unscored.TRACE_MISSING, "tool calls of the run are not known")
        return _match(case.trajectory, reply.tool_calls)

    return FunctionScorer("trajectory", rule, {})


def tools_called(*, tools: list[str], mode: TrajectoryMode = "any_order") -> FunctionScorer:
    """Right when these tools were called.

    Args:
        tools: Tool names; a name that stands twice must be called twice.
        mode: The same list, in this order with others between, or in any order.
    """
    golden = Trajectory(steps=tuple(Step(tool=name) for name in tools), mode=mode)

    def rule(_case: Case, reply: Reply, _result: Result) -> Score:
        if reply.tool_calls is None:
            return unscored(Unscored.TRACE_MISSING, "tool calls of the run are not known")
        return _match(golden, reply.tool_calls)

    return FunctionScorer("tools_called", rule, {"tools": tools, "mode": mode})


def must_not_call(*, tools: list[str], args: dict[str, Any] | None = None) -> FunctionScorer:
    """Right when none of these tools was called (with these arguments).

    Args:
        tools: Tool names.
        args: Arguments that make a call forbidden; any call when None. A call whose arguments are unknown counts
            as forbidden: what cannot be excluded did happen.
    """
    forbidden = set(tools)

    def rule(_case: Case, reply: Reply, _result: Result) -> Score:
        if reply.tool_calls is None:
            return unscored(Unscored.TRACE_MISSING, "tool calls of the run are not known")
        for place, call in enumerate(reply.tool_calls, start=1):
            if call.name in forbidden and (
                args is None or call.arguments is None or _has(call.arguments, args, ())
            ):
                return failed(f"call {place} is {call.name!r}, which must not be called")
        return passed()

    return FunctionScorer("must_not_call", rule, {"tools": tools, "args": args})


def steps_under(*, calls_max: int) -> FunctionScorer:
    """Right when the run made at most so many tool calls.

    Args:
        calls_max: Most calls.
    """

    def rule(_case: Case, reply: Reply, _result: Result) -> Score:
        if reply.tool_calls is None:
            return unscored(Unscored.TRACE_MISSING, "tool calls of the run are not known")
        made = len(reply.tool_calls)
        return passed() if made <= calls_max else failed(f"{made} tool calls, at most {calls_max}")

    return FunctionScorer("steps_under", rule, {"calls_max": calls_max})


def _match(golden: Trajectory, calls: tuple[ToolCall, ...]) -> Score:
    if golden.max_calls is not None and len(calls) > golden.max_calls:
        return failed(f"{len(calls)} tool calls, at most {golden.max_calls}")
    if golden.mode == "exact" and len(calls) != len(golden.steps):
        return failed(f"{len(calls)} tool calls, the golden run made {len(golden.steps)}")
    if golden.mode == "any_order":
        return _match_any_order(golden.steps, calls)
    at = 0
    for number, step in enumerate(golden.steps, start=1):
        while at < len(calls) and not _is(step, calls[at]):
            if golden.mode == "exact":
                return failed(f"step {number} is {calls[at].name!r}, the golden run called {step.tool!r}")
            at += 1
        if at == len(calls):
            return failed(f"step {number} ({step.tool!r}) is missing")
        at += 1
    return passed()


def _match_any_order(steps: tuple[Step, ...], calls: tuple[ToolCall, ...]) -> Score:
    """Find a different call for each step: augmenting paths, since a greedy choice can take the wrong one."""
    taken: dict[int, int] = {}

    def place(step: int, tried: set[int]) -> bool:
        for at, call in enumerate(calls):
            if at not in tried and _is(steps[step], call):
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = step
                    return True
        return False

    for number in range(len(steps)):
        if not place(number, set()):
            return failed(f"no call for {steps[number].tool!r}")
    return passed()


def _is(step: Step, call: ToolCall) -> bool:
    if step.tool != call.name:
        return False
    if step.args is None:
        return True
    return call.arguments is not None and _has(call.arguments, step.args, step.ignore)


def _has(found: dict[str, Any], wanted: dict[str, Any], ignored: tuple[str, ...]) -> bool:
    return all(
        name in found and same_json(found[name], value)
        for name, value in wanted.items()
        if name not in ignored
    )
