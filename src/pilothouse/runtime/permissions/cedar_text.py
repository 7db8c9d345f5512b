# SPDX-License-Identifier: Apache-2.0
"""Writes the policy of one tool as Cedar text with its schema, and a call's facts as Cedar context. Pure.

Every attribute is required by the schema and an absent argument is the set `["absent"]`: an origin that
nobody computed is a missing attribute, which is an error, which denies. `call` is asked first, then
`propose`; a call that is neither is denied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy import OUTSIDE, TRUSTED, CallFacts, limit_of
from pilothouse.core.charter.systems import Argument, Tool

__all__ = ["COUNT_MAX", "ToolText", "context_of", "tool_text"]

COUNT_MAX = 2**62
"""No budget: a number that no count reaches."""

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolText:
    """The policy of one tool, ready for the engine.

    Attributes:
        tool: Tool as the charter names it.
        policies: Cedar policies.
        schema: Cedar schema of their context.
        names: Attribute name by argument.
        magnitudes: Arguments that are counted.
    """

    tool: str
    policies: str
    schema: str
    names: Mapping[str, str]
    magnitudes: frozenset[str]


def tool_text(name: str, tool: Tool, *, regions: Collection[str]) -> ToolText:
    """Write the policy of a tool.

    Args:
        name: Tool as the charter names it.
        tool: Its policy, without open questions in what is enforced.
        regions: Regions that it may go to.
    """
    arguments = known(tool.args) or {}
    names = {
        argument: argument if IDENTIFIER.fullmatch(argument) else f"x{index}_"
        for index, argument in enumerate(arguments)
    }
    magnitudes = frozenset(one for one, argument in arguments.items() if argument.role == "magnitude")
    budget = [
        f"context.used_task < {(known(tool.budget.per_task) or 0) if tool.budget else COUNT_MAX}",
        f"context.used_day < {(known(tool.budget.per_day) or 0) if tool.budget else COUNT_MAX}",
    ]
    possible = ["context.entitled", "context.known", *budget]
    proven: list[str] = []
    for argument, policy in arguments.items():
        possible += _possible(names[argument], policy)
        proven += _proven(names[argument], policy, outside=tool.effect in OUTSIDE)
    resource = f"Tool::{json.dumps(name)}"
    policies = [
        '@id("killed") forbid(principal, action, resource) when { context.killed };',
        f'@id("region") forbid(principal, action, resource) unless {{ {_set(regions)}.contains(context.region) }};',
        _permit("call", resource, [*possible, *proven]),
    ]
    if tool.on_fail == "ask":
        policies.append(_permit("propose", resource, possible))
    return ToolText(
        tool=name,
        policies="\n".join(policies),
        schema=_schema(names, magnitudes),
        names=names,
        magnitudes=magnitudes,
    )


def context_of(text: ToolText, facts: CallFacts, *, killed: bool, region: str) -> dict[str, Any]:
    """Return a call's facts as the Cedar context that the schema requires; missing facts stay missing."""
    context: dict[str, Any] = {
        "killed": killed,
        "region": region,
        "entitled": facts.entitled,
        "known": not facts.unknown,
        "used_task": facts.used_task,
        "used_day": facts.used_day,
        "tainted": facts.tainted,
    }
    for argument, name in text.names.items():
        given = facts.args.get(argument)
        if given is None:
            continue
        context[f"o_{name}"] = sorted(given.origins)
        context[f"fits_{name}"] = given.fits
        context[f"refs_{name}"] = given.refs
        if argument in text.magnitudes:
            context[f"n_{name}"] = given.amount
            context[f"task_{name}"] = given.sum_task
            context[f"day_{name}"] = given.sum_day
    return context


def _possible(name: str, policy: Argument) -> list[str]:
    """Return the conditions of `propose`: without them no person is asked."""
    conditions = [f"!context.o_{name}.isEmpty()", f"context.fits_{name}"]
    if policy.required:
        conditions.append(f'!context.o_{name}.contains("absent")')
    if policy.role == "magnitude":
        limits = (("n", "max"), ("task", "sum_per_task"), ("day", "sum_per_day"))
        for prefix, limit_name in limits:
            limit = limit_of(policy, limit_name)  # type: ignore[arg-type]  # the literal names above
            if limit is not None:
                conditions.append(f"context.{prefix}_{name} <= {limit}")
    return conditions


def _proven(name: str, policy: Argument, *, outside: bool) -> list[str]:
    """Return the conditions of `call`: under them no person needs to be asked."""
    if policy.role == "neutral":
        return []
    conditions = []
    if outside:
        conditions.append(f"(!context.tainted || {_set({*TRUSTED, 'absent'})}.containsAll(context.o_{name}))")
    if policy.role == "payload":
        conditions.append(f"!context.refs_{name}")
        if outside and "field" not in (known(policy.origins) or ()):
            conditions.append(f'!context.o_{name}.contains("field")')
        return conditions
    conditions.append(f"{_set({*(known(policy.origins) or ()), 'absent'})}.containsAll(context.o_{name})")
    limit = limit_of(policy, "ask_above") if policy.role == "magnitude" else None
    return conditions if limit is None else [*conditions, f"context.n_{name} <= {limit}"]


def _permit(action: str, resource: str, conditions: list[str]) -> str:
    lines = " &&\n  ".join(dict.fromkeys(conditions))
    return f'@id("{action}") permit(principal, action == Action::"{action}", resource == {resource}) when {{\n  {lines} }};'


def _set(members: Collection[str]) -> str:
    return "[" + ", ".join(json.dumps(member) for member in sorted(members)) + "]"


def _schema(names: Mapping[str, str], magnitudes: Collection[str]) -> str:
    attributes = [
        "killed: Bool",
        "region: String",
        "entitled: Bool",
        "known: Bool",
        "used_task: Long",
        "used_day: Long",
        "tainted: Bool",
    ]
    for argument, name in names.items():
        attributes += [f"o_{name}: Set<String>", f"fits_{name}: Bool", f"refs_{name}: Bool"]
        if argument in magnitudes:
            attributes += [f"n_{name}: Long", f"task_{name}: Long", f"day_{name}: Long"]
    applies = "appliesTo { principal: Agent, resource: Tool, context: Facts }"
    return (
        f"type Facts = {{ {', '.join(attributes)} }};\nentity Agent;\nentity Tool;\n"
        f'action "call" {applies};\naction "propose" {applies};\n'
    )
