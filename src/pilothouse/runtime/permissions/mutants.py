# SPDX-License-Identifier: Apache-2.0
"""Mutation testing of tool policies: each rule is weakened in turn, and an example must fail or the rule is unproven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy import BUDGET, DECIDING_ROLES, ENTITLED, OUTSIDE
from pilothouse.core.charter.systems import Argument, Tool
from pilothouse.runtime.permissions.engine import CompiledTool, run_examples

__all__ = ["Survivor", "survivors"]

UNTRUSTED = ("field", "model")
FACTOR = 10
"""How much a cap is raised: an example between the cap and ten times it notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A weakened rule that no example noticed.

    Attributes:
        tool: Tool.
        rule: Rule.
        weakened: What was done to it, in words.
        remedy: Example that would notice.
    """

    tool: str
    rule: str
    weakened: str
    remedy: str


def survivors(name: str, tool: Tool) -> tuple[tuple[Survivor, ...], int]:
    """Return the weakened policies that pass every example, and how many were tried.

    Args:
        name: Tool as the charter names it.
        tool: Its policy.
    """
    left: list[Survivor] = []
    tried = 0
    for rule, words, remedy, mutant in _mutants(tool):
        tried += 1
        if all(run.passed for run in run_examples(CompiledTool(name, mutant))):
            left.append(Survivor(tool=name, rule=rule, weakened=words, remedy=remedy))
    return tuple(left), tried


def _mutants(tool: Tool) -> Iterator[tuple[str, str, str, Tool]]:
    examples = known(tool.examples)
    foreign = tuple(
        one.given.task_type for one in (examples.deny if examples else ()) if one.given.task_type is not None
    )
    own = known(tool.task_types) or ()
    yield (
        ENTITLED,
        "every task type may call it",
        "a deny example whose `task_type` is not listed",
        tool.model_copy(update={"task_types": (*own, *foreign)}),
    )
    if tool.budget:
        more = tool.budget.model_copy(update={"per_task": (known(tool.budget.per_task) or 0) + 1})
        yield (
            BUDGET,
            "one more call in a task",
            "a deny example with `used` equal to `per_task`",
            tool.model_copy(update={"budget": more}),
        )
    for name, argument in (known(tool.args) or {}).items():
        denied = [
            one.given.args[name].value
            for one in (examples.deny if examples else ())
            if name in one.given.args
        ]
        for words, remedy, changes in _weaker(tool, argument, denied):
            args = {**(known(tool.args) or {}), name: argument.model_copy(update=changes)}
            yield name, words, remedy, tool.model_copy(update={"args": args})


def _weaker(tool: Tool, argument: Argument, denied: list[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if argument.values is not None:
        # What the owner lists proves itself, so its list is what can be weakened.
        foreign = tuple(str(value) for value in denied if str(value) not in argument.values)
        remedy = "a deny example with a value that is not listed"
        yield "any value", remedy, {"values": (*argument.values, *foreign), "role": "neutral"}
    elif argument.role in DECIDING_ROLES:
        origins = known(argument.origins) or ()
        added = tuple(one for one in UNTRUSTED if one not in origins)
        if added:
            remedy = "a deny example with an accepted value of origin `field` or `model`"
            yield "values from anywhere", remedy, {"origins": (*origins, *added)}
            yield "role `neutral`", remedy, {"role": "neutral"}
        if argument.required:
            yield "not required", "a deny example without it", {"required": False}
    if argument.role == "payload" and tool.effect in OUTSIDE:
        yield "role `neutral`", "a deny example with `tainted: true` and origin `model`", {"role": "neutral"}
    if argument.role == "magnitude":
        for limit in ("max", "ask_above"):
            value = known(getattr(argument, limit))
            if value is not None:
                raised = {limit: value * FACTOR}
                if limit == "max" and argument.ask_above is not None:
                    raised["ask_above"] = value * FACTOR
                yield f"`{limit}` {FACTOR} times as high", f"a deny example just above `{limit}`", raised
