# SPDX-License-Identifier: Apache-2.0
"""Validate arguments and results against a tool's contract, each of a bounded size."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.tools.freshness import check_freshness
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.steps import Elsewhere, Step
from pilothouse.schemas.process import CheckUnfinished
from pilothouse.schemas.value_check import ValueCheck

__all__ = ["ARGUMENTS_BYTES_MAX", "accepted_age_s", "check_arguments", "problem_of"]

ARGUMENTS_BYTES_MAX = 1024 * 1024
"""Arguments that a model wrote are small."""


FOREIGN_KEY_CHARACTERS_MAX = 24
"""Of a key that the contract does not name: a word that helps to find it, and no sentence."""

NUMBER_MAX = sys.float_info.max
"""The largest number that every reader of JSON reads as one."""


def problem_of(check: ValueCheck, value: Any) -> Generator[Step, Any, str | None]:
    """Return what is wrong with a value, with its JSON path, or None; an unfinished check counts as wrong.

    Yields:
        What has to be waited for.
    """
    found = check.problem(value)
    if not isinstance(found, Future):
        return found
    try:
        return (yield Elsewhere(found)) or None
    except CheckUnfinished as unknown:
        return f"$: its schema was {unknown}, so nothing is known to be valid"


def check_arguments(tool: GovernedTool, call: ToolCall) -> Generator[Step, Any, None]:
    """Raise unless the arguments fit the contract.

    Yields:
        What has to be waited for.

    Raises:
        ToolError: They do not; nothing was sent.
    """
    problem = _flaw(call.args, ARGUMENTS_BYTES_MAX) or _unwritable(call.args)
    if problem is None:
        problem = yield from problem_of(tool.arguments, call.args)
    if problem is not None:
        raise ToolError(
            f"{tool.name}: {problem}",
            remedy="Correct the arguments; nothing was sent.",
            kind="invalid_input",
            subject=tool.name,
        )


def accepted_age_s(
    tool: GovernedTool, result: Any, now: Callable[[], datetime]
) -> Generator[Step, Any, float | None]:
    """Refuse a result that does not fit the contract or is too old; return its age.

    Args:
        tool: The tool.
        result: What came back, as plain data.
        now: Tells the time, aware UTC.

    Yields:
        What has to be waited for.

    Returns:
        Seconds since the state it shows; None where the contract asks for no freshness.

    Raises:
        ToolError: It breaks the contract, or is older than the contract accepts.
    """
    problem = _flaw(result, tool.contract.result_bytes_max)
    if problem is None:
        problem = yield from problem_of(tool.results, result)
    if problem is not None:
        where = _known_place(problem.split(":")[0], tool.contract.output)
        raise ToolError(
            f"{tool.name}: its answer breaks the contract at {where}",
            remedy="Do not guess what it was; the owner of the integration is told.",
            kind="contract_violation",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    if tool.contract.freshness is None:
        return None
    return check_freshness(tool.contract.freshness, result, tool=tool.name, now=now())


def _known_place(path: str, schema: dict[str, Any]) -> str:
    """Return a path as far as a schema names its steps, and one word more: a key may be anybody's sentence, and an agent reads it."""
    names, kept = json.dumps(schema), []
    for step in path.split("."):
        name, _, quoted = step.partition("['")
        name = name.partition("[")[0]
        is_named = name == "$" or f'"{name}"' in names
        if is_named or len(name) <= FOREIGN_KEY_CHARACTERS_MAX:
            kept.append(step.partition("['")[0])
        if quoted or not is_named:
            break
    return ".".join(kept)


def _flaw(value: Any, most: int) -> str | None:
    """Return what is wrong with a value regardless of its schema: its size, or a text that no record can hold."""
    if type(value) is dict and not any(type(one) in (dict, list, tuple) for one in value.values()):
        left, texts = most, [*value, *(one for one in value.values() if type(one) is str)]
        left -= sum(map(len, texts)) + 8 * (2 * len(value) - len(texts))
        return f"$: larger than {most} bytes" if left < 0 else _half_letters(texts)
    left, level = most, [value]
    while level:
        following: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                following.extend(one)
                following.extend(one.values())
            elif isinstance(one, list | tuple):
                following.extend(one)
            left -= len(one) if isinstance(one, str) else 8
        if left < 0:
            return f"$: larger than {most} bytes"
        flaw = _half_letters([one for one in level if isinstance(one, str)])
        if flaw is not None:
            return flaw
        level = following
    return None


def _unwritable(value: Any) -> str | None:
    """Return what is wrong with the numbers of arguments: neither JSON nor a ledger can hold each that Python has."""
    level = list(value.values()) if isinstance(value, dict) else [value]
    while level:
        level = [one for one in level if type(one) is not str]
        numbers = [one for one in level if isinstance(one, int | float)]
        if any(not -NUMBER_MAX <= one <= NUMBER_MAX for one in numbers):  # nothing holds for a NaN
            return "$: a number without end, or none at all"
        level = [
            part
            for one in level
            if isinstance(one, dict | list | tuple)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
    return None


def _half_letters(texts: list[str]) -> str | None:
    """JSON can spell half of a pair of UTF-16 signs, which is no letter and which no file can hold."""
    for one in texts:
        if not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError:
                return "$: a text holds half a letter (a lone surrogate)"
    return None
