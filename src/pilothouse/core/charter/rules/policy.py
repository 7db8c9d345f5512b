# SPDX-License-Identifier: Apache-2.0
"""Rules about tool policies: every deciding argument has a role, every rule two examples that run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.policy import KNOWN_TYPES, decide_call, policy_rules, type_name
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning
from pilothouse.core.charter.systems import Effect, Tool, ToolExamples

__all__ = ["CHECKS", "MISSING_EXAMPLE", "RULES"]

TOOL_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*@[1-9][0-9]{0,3}")

WILDCARD = error(
    "policy-wildcard", "tool {tool} has a wildcard name", "Write one entry for each tool; matching is exact."
)
TOOL_NAME_WRONG = error(
    "policy-tool-name", "{tool} is no tool name", "Write `server.tool@1` with the major version."
)
MISSING_ROLE = error(
    "policy-missing-role",
    "argument {argument} of {tool} has no role",
    "Write `role: target`, `magnitude`, `payload` or `neutral`.",
)
UNKNOWN_TYPE = error("policy-unknown-type", "{path}: {type} is no argument type", "Use one of {types}.")
ENUM_WITHOUT_VALUES = error(
    "policy-enum-values",
    "argument {argument} of {tool} is an enum without values",
    "List them: `values: […]`.",
)
BARE_ROLE = error(
    "policy-pii-role",
    "argument {argument} of {tool} may hold no personal data (`pii: none`), and only payloads are looked through",
    "Write `role: payload`, or take `pii` out: a target or a magnitude is held by its type and origins.",
)
SHOWN_FIELD = error(
    "policy-pii-shown",
    "field {field} of {tool} holds personal data ({kind}), and the model is shown it",
    "Write `untrusted: hide` for the tool, or take `pii` out.",
)
UNBOUNDED = error(
    "policy-unbounded",
    "magnitude {argument} of {tool} has no `max`",
    "Write the largest amount that may ever pass.",
)
NO_BUDGET = error(
    "policy-no-budget",
    "{tool} has effect {effect} and no budget",
    "Write `budget: {{per_task: …, per_day: …}}`.",
)
NO_APPROVER = error(
    "policy-no-approver",
    "{tool} asks when a rule is not proven, and nobody is asked",
    "Add `approvers`, or `on_fail: deny`.",
)
MISSING_EXAMPLE = error(
    "policy-missing-example",
    "rule {rule} of {tool} has no {kind} example",
    "Add one under `examples.{kind}`.",
)
UNKNOWN_RULE = error(
    "policy-unknown-rule",
    "{tool} has an example for {rule}, which is no rule of it",
    "Its rules are {rules}.",
)
FAILING_EXAMPLE = error(
    "policy-failing-example",
    "{kind} example of rule {rule} of {tool} is decided {decision}{because}",
    "Change the policy or the example, so that it shows what the rule does.",
)
CONTRACT_MOVED = warning(
    "contract-moved",
    "{file} is {found}, pinned is {pinned}; no call of the agent is made",
    "Read what changed, then pin it: `manifest_hash: {found}`.",
)
CONTRACT_UNFIT = warning(
    "contract-unfit",
    "{file} cannot be the contract of {tool}: {why}; no call of the agent is made",
    "Correct it, then pin what `sha256sum {file}` prints; docs/how-to/wrap-a-tool.md shows one.",
)

RULES: tuple[Rule, ...] = (
    WILDCARD,
    TOOL_NAME_WRONG,
    MISSING_ROLE,
    UNKNOWN_TYPE,
    ENUM_WITHOUT_VALUES,
    BARE_ROLE,
    SHOWN_FIELD,
    UNBOUNDED,
    NO_BUDGET,
    NO_APPROVER,
    MISSING_EXAMPLE,
    UNKNOWN_RULE,
    FAILING_EXAMPLE,
    CONTRACT_MOVED,
    CONTRACT_UNFIT,
)


def _check_tools(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield policies that say too little to be enforced."""
    for name, tool in (known(charter.tools) or {}).items():
        path: Path = ("tools", name)
        if any(sign in name for sign in "*?["):
            yield WILDCARD.at(path, tool=name)
        elif TOOL_NAME.fullmatch(name) is None:
            yield TOOL_NAME_WRONG.at(path, tool=name)
        if tool.effect in ("external", "irreversible") and tool.budget is None:
            yield NO_BUDGET.at(path, tool=name, effect=tool.effect)
        if tool.on_fail == "ask" and tool.approvers == ():
            yield NO_APPROVER.at(path, tool=name)
        yield from _arguments(name, tool, facts)


def _check_contracts(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield contracts with which no call would be made; one whose digest is still open is not pinned yet."""
    for name, tool in (known(charter.tools) or {}).items():
        effect: Effect | None = known(tool.effect)
        pinned, file = known(tool.manifest_hash), known(tool.contract)
        fact = (facts.files or {}).get(file or "")
        if pinned is None or effect is None or file is None or fact is None or not fact.is_there:
            continue
        if TOOL_NAME.fullmatch(name) is None:
            continue
        if pinned != f"sha256:{fact.digest}":
            yield CONTRACT_MOVED.at(
                ("tools", name, "manifest_hash"),
                file=file,
                found=f"sha256:{fact.digest}",
                pinned=pinned,
                tool=name,
            )
        contract = fact.contract
        why = (
            [contract]
            if isinstance(contract, str)
            else list(contract.misfits(name, effect))
            if contract
            else []
        )
        for one in why:
            yield CONTRACT_UNFIT.at(("tools", name, "contract"), file=file, tool=name, why=one)


def _check_examples(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield rules without examples, and examples that do not show what they claim."""
    for name, tool in (known(charter.tools) or {}).items():
        examples, arguments = known(tool.examples), known(tool.args)
        undecided = arguments is None or any(
            is_open(part) for a in arguments.values() for part in (a.role, a.type)
        )
        if examples is None or undecided or is_open(tool.task_types) or any(_arguments(name, tool, facts)):
            continue
        yield from _examples(name, tool, examples)


def _arguments(name: str, tool: Tool, facts: CharterFacts) -> Iterator[Hit]:
    arguments = known(tool.args)
    if arguments is None:
        return
    for argument_name, argument in arguments.items():
        path: Path = ("tools", name, "args", argument_name)
        if argument.role is None:
            yield MISSING_ROLE.at(path, argument=argument_name, tool=name)
        kind = None if is_open(argument.type) else type_name(argument.type)
        if kind is None and not is_open(argument.type):
            yield UNKNOWN_TYPE.at((*path, "type"), type=argument.type, types=sorted(KNOWN_TYPES))
        if kind == "enum" and not argument.values:
            yield ENUM_WITHOUT_VALUES.at(path, argument=argument_name, tool=name)
        if argument.pii == "none" and known(argument.role) not in {None, "payload"}:
            yield BARE_ROLE.at(path, argument=argument_name, tool=name)
        if argument.role == "magnitude" and argument.max is None:
            yield UNBOUNDED.at(path, argument=argument_name, tool=name)
    for field_name, field in tool.results.items():
        written = known(field.type)
        if written is not None and type_name(written) is None:
            path = ("tools", name, "results", field_name, "type")
            yield UNKNOWN_TYPE.at(path, type=written, types=sorted(KNOWN_TYPES))
        if (kind := known(field.pii)) is not None and tool.untrusted in {None, "show"}:
            yield SHOWN_FIELD.at(
                ("tools", name, "results", field_name), field=field_name, tool=name, kind=kind
            )
    contract = (facts.files or {}).get(tool.contract)
    for argument_name in (contract.arguments if contract else None) or ():
        if argument_name not in arguments:
            yield MISSING_ROLE.at(("tools", name, "args"), argument=argument_name, tool=name)


def _examples(name: str, tool: Tool, examples: ToolExamples) -> Iterator[Hit]:
    rules = policy_rules(tool)
    path: Path = ("tools", name, "examples")
    for kind, calls in (("allow", examples.allow), ("deny", examples.deny)):
        shown = {call.rule for call in calls}
        for rule in rules:
            if rule not in shown:
                yield MISSING_EXAMPLE.at((*path, kind), rule=rule, tool=name, kind=kind)
        for index, call in enumerate(calls):
            if call.rule not in {*rules, *(known(tool.args) or {})}:
                yield UNKNOWN_RULE.at((*path, kind, index, "rule"), tool=name, rule=call.rule, rules=rules)
                continue
            decided = decide_call(tool, call.given)
            shows = decided.decision == "allow" if kind == "allow" else call.rule in decided.failed
            if not shows:
                because = f" because of {', '.join(decided.failed)}" if decided.failed else ""
                yield FAILING_EXAMPLE.at(
                    (*path, kind, index),
                    kind=kind,
                    rule=call.rule,
                    tool=name,
                    decision=decided.decision,
                    because=because,
                )


CHECKS: tuple[Check, ...] = (_check_tools, _check_contracts, _check_examples)
