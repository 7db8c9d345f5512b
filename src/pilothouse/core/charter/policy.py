# SPDX-License-Identifier: Apache-2.0
"""Decide one tool call against the charter's policy: allow, ask or deny.

Allow by proof of trusted origin, never deny by proof of taint: an argument that decides something
needs an origin that the charter names. Once the model was shown something untrusted, a call that
reaches outside is free only when every argument that is not neutral has a trusted origin (the rule
of two). This is the reference: every example of a charter is executed on it, it names the rule that
failed, and the enforcing engine must agree with it or the call is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Literal

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy_types import KNOWN_TYPES, scaled, text_fits, type_name, value_fits
from pilothouse.core.charter.systems import Argument, GivenArgument, GivenCall, Tool

__all__ = [
    "BUDGET",
    "DECIDING_ROLES",
    "ENTITLED",
    "KNOWN_TYPES",
    "OUTSIDE",
    "TRUSTED",
    "ArgumentFacts",
    "CallDecision",
    "CallFacts",
    "PolicyDecision",
    "decide_call",
    "decide_facts",
    "example_facts",
    "is_spent",
    "limit_of",
    "policy_rules",
    "type_name",
]

ENTITLED = "entitled"
"""Rule: the task type lists the tool."""

BUDGET = "budget"
"""Rule: calls are left in this task and on this day."""

DECIDING_ROLES = ("target", "magnitude")
"""Roles whose arguments decide what happens; each is a rule of its own."""

OUTSIDE = ("external", "irreversible")
"""Effects that reach outside, or that nobody can take back."""

TRUSTED = frozenset({"request", "owner", "registry"})
"""Origins that prove a value. A handle names an object and does not prove that the right one was chosen."""


PolicyDecision = Literal["allow", "ask", "deny"]
"""What a policy decides about a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDecision:
    """What is decided about a call.

    Attributes:
        decision: `ask` only for an entitled call within its budget and its maxima.
        failed: Rules that were not proven, in order; empty for `allow`.
    """

    decision: PolicyDecision
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentFacts:
    """What is known about one argument of a call.

    Attributes:
        origins: Origins of all its values, never empty; `absent` for an argument that was not given.
        fits: Whether each value is of the declared type and form.
        amount: Size of a magnitude, whatever its sign, in whole units of `policy_types.scaled`; 0 for everything else.
        sum_task: Sum over the task, this call included, in the same units.
        sum_day: Sum over the day, this call included.
        refs: Whether a payload names an address, a link or an account that nobody trusted named.
    """

    origins: frozenset[str]
    fits: bool = True
    amount: int = 0
    sum_task: int = 0
    sum_day: int = 0
    refs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """Everything a decision rests on.

    Attributes:
        entitled: Whether the task type lists the tool.
        used_task: Calls already made in the task.
        used_day: Calls already made on this day.
        tainted: Whether the model has been shown something untrusted.
        args: Every declared argument by name.
        unknown: Names of arguments that the policy does not have.
    """

    entitled: bool
    used_task: int = 0
    used_day: int = 0
    tainted: bool = False
    args: Mapping[str, ArgumentFacts] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


ABSENT = ArgumentFacts(origins=frozenset({"absent"}))


def policy_rules(tool: Tool) -> tuple[str, ...]:
    """Return the rules that a tool's examples must prove: entitlement, deciding arguments, budget."""
    arguments = known(tool.args) or {}
    deciding = tuple(name for name, argument in arguments.items() if argument.role in DECIDING_ROLES)
    return (ENTITLED, *deciding, *((BUDGET,) if tool.budget else ()))


def limit_of(
    argument: Argument, name: Literal["max", "ask_above", "four_eyes_above", "sum_per_task", "sum_per_day"]
) -> int | None:
    """Return a limit of a magnitude in the whole units of comparison, or None without one."""
    limit = known(getattr(argument, name))
    return None if limit is None else _in_units(argument.type, limit)


@lru_cache(maxsize=4_096)
def _in_units(written: str, limit: float) -> int:
    return scaled(written, Decimal(str(limit)), rounding=ROUND_CEILING)


def decide_facts(tool: Tool, facts: CallFacts) -> CallDecision:
    """Decide a call by what is known about it.

    Args:
        tool: The policy; an open question in it denies.
        facts: What is known.

    Returns:
        The decision, with the rules that were not proven.
    """
    hard: list[str] = [] if facts.entitled else [ENTITLED]
    if not _has_calls(tool, facts):
        hard.append(BUDGET)
    hard += facts.unknown
    soft: list[str] = []
    for name, argument in (known(tool.args) or {}).items():
        given = facts.args.get(name, ABSENT)
        if "absent" in given.origins:
            if argument.required:
                hard.append(name)
        elif not _is_possible(argument, given):
            hard.append(name)
        elif not _is_proven(tool, argument, given, tainted=facts.tainted):
            soft.append(name)
    if hard:
        return CallDecision(decision="deny", failed=(*hard, *soft))
    if soft:
        return CallDecision(decision="ask" if tool.on_fail == "ask" else "deny", failed=tuple(soft))
    return CallDecision(decision="allow", failed=())


def is_spent(tool: Tool, facts: CallFacts) -> bool:
    """Return whether an entitled call comes too late: the calls of the tool, or a sum that it alone would not pass, are used up.

    Args:
        tool: The policy.
        facts: What is known.
    """
    arguments = (known(tool.args) or {}).items()
    return facts.entitled and (
        not _has_calls(tool, facts)
        or any(_is_sum_passed(argument, facts.args.get(name, ABSENT)) for name, argument in arguments)
    )


def decide_call(tool: Tool, call: GivenCall) -> CallDecision:
    """Decide an example call, as it stands in a charter.

    Args:
        tool: The policy; an open question in it denies.
        call: The call. Without a task type it belongs to the first one that lists the tool.

    Returns:
        The decision, with the rules that were not proven.
    """
    return decide_facts(tool, example_facts(tool, call))


def example_facts(tool: Tool, call: GivenCall) -> CallFacts:
    """Return the facts of an example call.

    Args:
        tool: The policy.
        call: The call. Without a task type it belongs to the first one that lists the tool.
    """
    types = known(tool.task_types) or ()
    arguments = known(tool.args) or {}
    return CallFacts(
        entitled=(call.task_type or (types[0] if types else None)) in types,
        used_task=call.used,
        used_day=call.used,
        tainted=call.tainted,
        args={name: _given(arguments[name], given) for name, given in call.args.items() if name in arguments},
        unknown=tuple(name for name in call.args if name not in arguments),
    )


def _given(argument: Argument, given: GivenArgument) -> ArgumentFacts:
    kind = type_name(argument.type)
    fits = kind is not None and value_fits(kind, given.value, argument.values)
    amount = 0
    if fits and argument.role == "magnitude" and isinstance(given.value, float):
        amount = scaled(argument.type, abs(Decimal(str(given.value))), rounding=ROUND_CEILING)
    if isinstance(given.value, str):
        fits = fits and text_fits(given.value, known(argument.max))
    return ArgumentFacts(
        origins=frozenset({given.origin}), fits=fits, amount=amount, sum_task=amount, sum_day=amount
    )


def _has_calls(tool: Tool, facts: CallFacts) -> bool:
    """Return whether calls are left in this task and on this day."""
    return tool.budget is None or (
        facts.used_task < (known(tool.budget.per_task) or 0)
        and facts.used_day < (known(tool.budget.per_day) or 0)
    )


def _is_sum_passed(argument: Argument, given: ArgumentFacts) -> bool:
    """Return whether a magnitude passes a sum of the task or the day only because of the calls before it."""
    limits = (limit_of(argument, "sum_per_task"), limit_of(argument, "sum_per_day"))
    sums = zip(limits, (given.sum_task, given.sum_day), strict=True)
    return any(limit is not None and given.amount <= limit < at for limit, at in sums)


def _is_possible(argument: Argument, given: ArgumentFacts) -> bool:
    """Return whether a value is of its type and within its bounds; otherwise the call is denied without asking."""
    if known(argument.role) is None or not given.fits:
        return False
    if argument.role != "magnitude":
        return True
    limits = (
        limit_of(argument, "max"),
        limit_of(argument, "sum_per_task"),
        limit_of(argument, "sum_per_day"),
    )
    reached = (given.amount, given.sum_task, given.sum_day)
    return all(limit is None or at <= limit for limit, at in zip(limits, reached, strict=True))


def _passes_on_unread(tool: Tool, argument: Argument, given: ArgumentFacts) -> bool:
    """Return whether unvouched content leaves unread without the owner's permission."""
    return (
        tool.effect in OUTSIDE and "field" in given.origins and "field" not in (known(argument.origins) or ())
    )


def _is_proven(tool: Tool, argument: Argument, given: ArgumentFacts, *, tainted: bool) -> bool:
    """Return whether an argument has an accepted origin and stays below the limits of asking."""
    if argument.role == "neutral":
        return True
    guarded = tainted and tool.effect in OUTSIDE
    if guarded and not given.origins <= TRUSTED:
        return False
    if argument.role == "payload":
        return not given.refs and not _passes_on_unread(tool, argument, given)
    limit = limit_of(argument, "ask_above") if argument.role == "magnitude" else None
    return given.origins <= set(known(argument.origins) or ()) and (limit is None or given.amount <= limit)
