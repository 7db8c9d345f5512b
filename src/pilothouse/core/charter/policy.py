# SPDX-License-Identifier: Apache-2.0
"""Decide one tool call against the charter's policy: allow, ask or deny.

Allow by proof of trusted origin, never deny by proof of taint: an argument that decides something
needs an origin that the charter names. This is the reference that every example of a charter is
executed on; the enforcing engine must agree with it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.systems import Argument, GivenArgument, GivenCall, Tool

__all__ = ["BUDGET", "ENTITLED", "CallDecision", "decide_call", "policy_rules", "type_name"]

ENTITLED = "entitled"
"""Rule: the task type lists the tool."""

BUDGET = "budget"
"""Rule: calls are left in this task."""

DECIDING_ROLES = ("target", "magnitude")
"""Roles whose arguments decide what happens; each is a rule of its own."""

TYPE = re.compile(r"([a-z_]+)(?:\((.{0,200})\))?")
TEXT_ARGUMENT_MAX = 10_000
"""Characters of an argument whose policy names no `max`."""

PATTERNS = {
    "email": re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\.[^@\s.]{2,}"),
    "iban": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}"),
    "url_host": re.compile(r"(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,63}(?::[0-9]{1,5})?"),
    "url": re.compile(r"https?://[^\s]{1,2000}"),
    "id": re.compile(r"[^\s]{1,200}"),
}
KNOWN_TYPES = frozenset(
    {*PATTERNS, "amount", "date", "datetime", "bool", "int", "number", "enum", "name", "text"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDecision:
    """What is decided about a call.

    Attributes:
        decision: `ask` only for an entitled call within its budget and its maxima.
        failed: Rules that were not proven, in order; empty for `allow`.
    """

    decision: Literal["allow", "ask", "deny"]
    failed: tuple[str, ...]


def type_name(written: str) -> str | None:
    """Return the name of an argument type as written, for example `amount` of `amount(EUR)`.

    Returns:
        A known name, or None.

    Example:
        >>> type_name("amount(EUR)"), type_name("blob")
        ('amount', None)
    """
    match = TYPE.fullmatch(written)
    return match[1] if match and match[1] in KNOWN_TYPES else None


def policy_rules(tool: Tool) -> tuple[str, ...]:
    """Return the rules that a tool's examples must prove: entitlement, deciding arguments, budget."""
    arguments = known(tool.args) or {}
    deciding = tuple(name for name, argument in arguments.items() if argument.role in DECIDING_ROLES)
    return (ENTITLED, *deciding, *((BUDGET,) if tool.budget else ()))


def decide_call(tool: Tool, call: GivenCall) -> CallDecision:
    """Decide one call.

    Args:
        tool: The policy; an open question in it denies.
        call: The call. Without a task type it belongs to the first one that lists the tool.

    Returns:
        The decision, with the rules that were not proven.
    """
    types = known(tool.task_types) or ()
    task_type = call.task_type or (types[0] if types else None)
    hard: list[str] = [] if task_type in types else [ENTITLED]
    if tool.budget and call.used >= (known(tool.budget.per_task) or 0):
        hard.append(BUDGET)
    soft: list[str] = []
    arguments = known(tool.args) or {}
    hard += [name for name in call.args if name not in arguments]
    for name, argument in arguments.items():
        given = call.args.get(name)
        if given is None:
            if argument.required:
                hard.append(name)
            continue
        if not _fits(argument, given):
            hard.append(name)
        elif not _is_proven(argument, given):
            soft.append(name)
    if hard:
        return CallDecision(decision="deny", failed=(*hard, *soft))
    if soft:
        return CallDecision(decision="ask" if tool.on_fail == "ask" else "deny", failed=tuple(soft))
    return CallDecision(decision="allow", failed=())


def _fits(argument: Argument, given: GivenArgument) -> bool:
    """Whether a value is of its type and within its bounds; nobody is asked about one that is not."""
    value = given.value
    kind = type_name(argument.type)
    if kind is None or argument.role is None or is_open(argument.role):
        return False
    if kind in ("amount", "number", "int"):
        if not isinstance(value, float) or (kind == "int" and not value.is_integer()):
            return False
        return argument.max is None or value <= (math.inf if is_open(argument.max) else argument.max)
    if kind == "bool":
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    longest = known(argument.max)
    if len(value) > (TEXT_ARGUMENT_MAX if longest is None else longest):
        return False
    if argument.values is not None and value not in argument.values:
        return False
    return _has_form(kind, value)


def _has_form(kind: str, value: str) -> bool:
    if kind in PATTERNS:
        return PATTERNS[kind].fullmatch(value) is not None
    if kind in ("date", "datetime"):
        try:
            (date if kind == "date" else datetime).fromisoformat(value)
        except ValueError:
            return False
    return True


def _is_proven(argument: Argument, given: GivenArgument) -> bool:
    """Whether a deciding argument comes from where it must, and stays where nobody need be asked."""
    if argument.role not in DECIDING_ROLES:
        return True
    if given.origin not in (known(argument.origins) or ()):
        return False
    limit = known(argument.ask_above)
    return limit is None or not isinstance(given.value, float) or given.value <= limit
