# SPDX-License-Identifier: Apache-2.0
"""Loop detection: equal calls, short cycles, repeated errors (calls of a run → pattern)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LOOP_CALLS_MIN", "NO_RUN", "LoopLimits", "Step", "find_loop", "loop_of"]

NO_RUN = "0" * 32
"""Run id of a tool call outside any run."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call as a loop sees it.

    Attributes:
        tool: Tool that was called.
        args: Anything that is equal for equal arguments, for example their canonical text.
        failed: Whether it gave no result; None while it is not known.
        polling: Whether many equal calls in a row are its normal use.
    """

    tool: str
    args: str
    failed: bool | None = False
    polling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLimits:
    """Limits from which a run counts as a loop.

    Attributes:
        calls: Tool calls of a run.
        equal: Calls of one tool with equal arguments.
        errors: Failed calls in a row.
        period: Longest cycle that is looked for.
        cycles: Repetitions of a cycle.
    """

    calls: int = 100
    equal: int = 3
    errors: int = 5
    period: int = 4
    cycles: int = 3


LOOP_CALLS_MIN = LoopLimits().equal + 1
"""Calls that the shortest loop takes."""


def loop_of(steps: Sequence[Step]) -> str | None:
    """Return the first loop pattern in a finished run, or None.

    Args:
        steps: Calls of the run, oldest first.

    Example:
        >>> loop_of([Step("crm.find@1", "a")] * 9)
        'crm.find@1 was called 4 times with the same arguments'
    """
    limits = LoopLimits()
    ends = range(LOOP_CALLS_MIN, min(len(steps), limits.calls + 1) + 1)
    return next((found for end in ends if (found := find_loop(steps[:end], limits)) is not None), None)


def find_loop(steps: Sequence[Step], limits: LoopLimits) -> str | None:
    """Return the loop pattern in which a run is caught, or None.

    Args:
        steps: Calls of the run so far, oldest first, the one that is about to be made included.
        limits: From when it is a loop.

    Returns:
        The pattern in words, for the agent and the page.

    Example:
        >>> find_loop([Step("crm.find@1", "a")] * 4, LoopLimits())
        'crm.find@1 was called 4 times with the same arguments'
    """
    if not steps:
        return None
    if len(steps) > limits.calls:
        return f"{len(steps)} tool calls in one run"
    last = steps[-1]
    if not last.polling:
        equal = sum(step.tool == last.tool and step.args == last.args for step in steps)
        if equal > limits.equal:
            return f"{last.tool} was called {equal} times with the same arguments"
    errors = 0
    for step in reversed(steps if last.failed is not None else steps[:-1]):
        if not step.failed:
            break
        errors += 1
    if errors >= limits.errors:
        return f"{errors} failed tool calls in a row, the last of {last.tool}"
    for period in range(2, limits.period + 1):
        if len(steps) >= period * limits.cycles:
            tail = [(step.tool, step.args) for step in steps[-period * limits.cycles :]]
            if tail == tail[:period] * limits.cycles and not all(step.polling for step in steps[-period:]):
                names = " → ".join(tool for tool, _ in tail[:period])
                return f"the cycle {names} was repeated {limits.cycles} times"
    return None
