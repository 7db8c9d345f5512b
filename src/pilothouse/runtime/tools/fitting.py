# SPDX-License-Identifier: Apache-2.0
"""What a contract lets through: arguments on the way out, a result on the way back, each of a bounded size."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.tools.freshness import check_freshness
from pilothouse.runtime.tools.governed import GovernedTool

__all__ = ["ARGUMENTS_BYTES_MAX", "accepted_age_s", "check_arguments"]

ARGUMENTS_BYTES_MAX = 1024 * 1024
"""Arguments that a model wrote are small."""


def check_arguments(tool: GovernedTool, call: ToolCall) -> None:
    """Let only arguments through that fit the contract.

    Args:
        tool: The tool.
        call: The call.

    Raises:
        ToolError: They do not; nothing was sent.
    """
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


def accepted_age_s(tool: GovernedTool, result: Any, now: datetime) -> float | None:
    """Let only a result through that fits the contract and is fresh enough; return its age.

    Args:
        tool: The tool.
        result: What came back, as plain data.
        now: The present moment, aware UTC.

    Returns:
        Seconds since the state it shows; None where the contract asks for no freshness.

    Raises:
        ToolError: It breaks the contract, or is older than the contract accepts.
    """
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
    if tool.contract.freshness is None:
        return None
    return check_freshness(tool.contract.freshness, result, tool=tool.name, now=now)


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
