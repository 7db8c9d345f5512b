# SPDX-License-Identifier: Apache-2.0
"""Inspects a call's arguments before anything is decided: where each comes from, how much it asks, whom it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy import ArgumentFacts, limit_of
from pilothouse.core.charter.policy_types import scaled, text_fits
from pilothouse.core.charter.systems import Argument, Origin
from pilothouse.ports.approvals import ShownArgument, UsedSoFar
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.permissions.engine import CompiledTool
from pilothouse.runtime.provenance.context import TaskContext, ValueOrigin
from pilothouse.runtime.provenance.personal import personal_kinds
from pilothouse.runtime.provenance.values import read_number

__all__ = [
    "InspectedArguments",
    "facts_of",
    "inspect_arguments",
    "is_entitled",
    "one_form",
    "persons_needed",
    "shown_arguments",
]

READ_ONLY_TYPES = frozenset({"unknown", "undeclared"})
"""Task types that nobody fixed before the model read something."""


@dataclass(frozen=True, slots=True)
class InspectedArguments:
    """What inspecting a call's arguments found, before counts are known."""

    origins: Mapping[str, ValueOrigin]
    amounts: Mapping[str, int]
    refs: Mapping[str, bool]
    unknown: tuple[str, ...]
    personal: Mapping[str, tuple[str, ...]]


one_form = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
"""JSON with one form for one value; ten times as quick as the canonical form, and read by nobody but us."""


def inspect_arguments(compiled: CompiledTool, context: TaskContext, call: ToolCall) -> InspectedArguments:
    """Find origins, amounts, foreign references and forbidden personal data of a call's arguments."""
    origins: dict[str, ValueOrigin] = {}
    amounts: dict[str, int] = {}
    refs: dict[str, bool] = {}
    personal: dict[str, tuple[str, ...]] = {}
    for name, argument in compiled.arguments.items():
        value = call.args.get(name)
        origin = context.origin_of(argument, value)
        fits = origin.fits and _is_short_enough(argument, value)
        found = origin.origins
        if (
            argument.role == "payload"
            and "field" in found
            and not context.tainted
            and name not in call.unread
        ):
            # The model has read no field, so that its words stand in one as well is chance.
            found = tuple("model" if one == "field" else one for one in found)
        if name in call.unread and "model" in found:  # a text of the model's own around what it has not read
            found = (*(one for one in found if one not in ("field", "model")), "field", "model")
        if found is not origin.origins or fits is not origin.fits:
            origin = ValueOrigin(origins=found, source=origin.source, fits=fits)
        origins[name] = origin
        if argument.role == "magnitude":
            amounts[name] = _amount(argument, value)
        if argument.role == "payload":
            texts = value if isinstance(value, list | tuple) else (value,)
            if argument.pii == "none" and value is not None:
                personal[name] = tuple(dict.fromkeys(kind for one in texts for kind in personal_kinds(one)))
            refs[name] = bool(personal.get(name)) or any(
                isinstance(one, str) and context.names_strangers(one) for one in texts
            )
    unknown = tuple(name for name in call.args if name not in compiled.arguments)
    return InspectedArguments(origins, amounts, refs, unknown, personal)


def facts_of(name: str, inspected: InspectedArguments, used: UsedSoFar) -> ArgumentFacts:
    """Return the facts about one argument that the policy's rules decide on.

    Args:
        name: Argument.
        inspected: What inspecting the call found.
        used: What was used up before it.
    """
    origin, amount = inspected.origins[name], inspected.amounts.get(name, 0)
    return ArgumentFacts(
        origins=frozenset(origin.origins),
        fits=origin.fits,
        amount=amount,
        sum_task=used.sums_task.get(name, 0) + amount,
        sum_day=used.sums_day.get(name, 0) + amount,
        refs=inspected.refs.get(name, False),
    )


def is_entitled(task_type: str, compiled: CompiledTool) -> bool:
    """Whether the task type lists the tool; a type that nobody fixed may only read."""
    return task_type in compiled.task_types or (
        task_type in READ_ONLY_TYPES and compiled.policy.effect == "read"
    )


def _is_short_enough(argument: Argument, value: Any) -> bool:
    longest = None if argument.role == "magnitude" else known(argument.max)
    members = value if isinstance(value, list | tuple) else (value,)
    return all(text_fits(one, longest) for one in members if isinstance(one, str))


def _amount(argument: Argument, value: Any) -> int:
    """Return the size of a magnitude in whole units; a list counts as the sum of its sizes.

    Many small ones are one large one, and a negative one takes nothing off a limit or a sum.
    """
    members = value if isinstance(value, list | tuple) else (value,)
    total = 0
    for member in members:
        number = read_number(member)
        if number is not None and number.is_finite():
            total += scaled(known(argument.type) or "number", abs(number), rounding=ROUND_CEILING)
    return total


def persons_needed(compiled: CompiledTool, inspected: InspectedArguments) -> int:
    """Return how many persons must agree to a call: two above a `four_eyes_above`."""
    for name, argument in compiled.arguments.items():
        limit = limit_of(argument, "four_eyes_above") if name in inspected.amounts else None
        if limit is not None and inspected.amounts[name] > limit:
            return 2
    return 1


def shown_arguments(
    compiled: CompiledTool | None, inspected: InspectedArguments | None, args: Mapping[str, Any]
) -> tuple[ShownArgument, ...]:
    """Return every argument as an approver sees it; arguments of an unknown tool have the model as origin."""
    nobody: tuple[Origin, ...] = ("model",)
    return tuple(
        ShownArgument(
            name=name,
            value=one_form(value),
            role=str(compiled.arguments[name].role) if compiled and name in compiled.arguments else "unknown",
            origins=inspected.origins[name].origins if inspected and name in inspected.origins else nobody,
            source=inspected.origins[name].source if inspected and name in inspected.origins else None,
            personal=inspected.personal.get(name, ()) if inspected else (),
        )
        for name, value in args.items()
    )
