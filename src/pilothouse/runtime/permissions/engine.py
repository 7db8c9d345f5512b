# SPDX-License-Identifier: Apache-2.0
"""Decides with Cedar: one parsed policy set for each tool, strict schema, and any diagnostic is a deny.

The reference in `core.charter.policy` is computed beside it and names the rule that failed. The two must
agree; where they do not, the stricter of them is not enough: the call is denied as undecidable.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pilothouse.core.charter.answers import OPEN, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.policy import (
    ArgumentFacts,
    CallFacts,
    PolicyDecision,
    decide_facts,
    example_facts,
    limit_of,
)
from pilothouse.core.charter.systems import Tool
from pilothouse.errors import CharterInvalid
from pilothouse.runtime.permissions.cedar_text import COUNT_MAX, ToolText, context_of, tool_text
from pilothouse.runtime.provenance.values import pattern_problem

__all__ = ["CompiledTool", "EngineDecision", "ExampleRun", "compile_charter", "compile_tool", "run_examples"]

_LIMITS: tuple[tuple[Literal["max", "ask_above", "sum_per_task", "sum_per_day"], ...], ...] = (
    ("max", "ask_above"),
    ("sum_per_task",),
    ("sum_per_day",),
)
"""Limits that the amount of a call, its sum over the task and its sum over the day are held against."""

_LONG = (-(2**63) - 1, 2**63 - 1)
"""Cedar's whole numbers lie between these: beyond them it errs, which is a limit too."""

DECIDED_MAX = 4_096
"""Decisions remembered of one tool: most calls of a tool differ in their values and not in what is known of them."""

_ABSENT = ArgumentFacts(origins=frozenset({"absent"}))

ORIGINS_CHARACTERS_MAX = 70
"""Of all seven origins in one record, with their quotation marks."""

NAMES_CHARACTERS_MAX = 2_000
"""Of arguments with their origins: half of what a record holds."""

ANYWHERE = "anywhere"
"""Region of an integration that names none; allowed only where nothing restricts regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDecision:
    """The decision of the engine.

    Attributes:
        decision: Allow, ask or deny.
        failed: Rules that were not proven; `engine` when the call could not be decided.
    """

    decision: PolicyDecision
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRun:
    """The result of one example of a charter.

    Attributes:
        tool: Tool.
        kind: `allow` or `deny`.
        rule: Rule that it proves.
        decision: What the engine decided.
        passed: Whether that is what the example claims.
    """

    tool: str
    kind: str
    rule: str
    decision: str
    passed: bool


class CompiledTool:
    """The policy of one tool, parsed once and kept.

    Args:
        name: Tool as the charter names it.
        tool: Its policy.
        region: Region of its integration.
        regions: Regions that it may go to.

    Raises:
        CharterInvalid: Cedar's strict validation refuses the policy, or the pattern of an id may take for ever.
    """

    def __init__(
        self, name: str, tool: Tool, *, region: str = ANYWHERE, regions: Collection[str] = (ANYWHERE,)
    ) -> None:
        import cedarpy  # noqa: PLC0415 - 7 MiB for a server whose agents have no tools yet

        wrong = tuple(_pattern_problems(tool))
        if wrong:
            raise CharterInvalid(
                f"an id of {name} has a pattern that cannot be held against every call",
                remedy="Write it without repeats within repeats, such as ([a-z]+-?)+, and without looking back or ahead.",
                findings=wrong,
                subject=name,
            )
        self.name = name
        self.policy = tool
        self.region = region
        self.task_types = frozenset(known(tool.task_types) or ())
        self.arguments = known(tool.args) or {}
        self.text: ToolText = tool_text(name, tool, regions=regions)
        checked = cedarpy.validate_policies(self.text.policies, self.text.schema)
        if not checked.validation_passed:
            raise CharterInvalid(
                f"the policy of {name} cannot be enforced",
                remedy="Look at its entry under `tools:`, then run `pilothouse policy check`.",
                findings=tuple(str(error) for error in checked.errors),
                subject=name,
            )
        self._policies = cedarpy.PolicySet.from_str(self.text.policies)
        self._schema = cedarpy.Schema.from_str(self.text.schema)
        self._no_entities = cedarpy.Entities.from_json_str("[]")
        self._is_authorized, self._allow = cedarpy.is_authorized, cedarpy.Decision.Allow
        self._resource = {"type": "Tool", "id": name}
        self._decided: dict[object, EngineDecision] = {}
        self._steps = {
            argument: tuple(
                tuple(
                    sorted(
                        {*_LONG, *(limit for one in names if (limit := limit_of(policy, one)) is not None)}
                    )
                )
                for names in _LIMITS
            )
            for argument, policy in self.arguments.items()
            if policy.role == "magnitude"
        }
        budget = tool.budget
        self._calls = (
            (known(budget.per_task) or 0, known(budget.per_day) or 0) if budget else (COUNT_MAX, COUNT_MAX)
        )
        counts = budget is not None or any(
            len(task) + len(day) > 2 * len(_LONG) for _, task, day in self._steps.values()
        )
        names = sum(len(name) + ORIGINS_CHARACTERS_MAX for name in self.arguments)
        self.only_reads = tool.effect == "read" and not counts and names <= NAMES_CHARACTERS_MAX
        """Whether a call uses nothing up and its record surely fits, so that the record may follow the call."""

    def decide(self, facts: CallFacts, *, agent: str, killed: bool = False) -> EngineDecision:
        """Decide a call by what is known about it.

        Args:
            facts: What is known; an argument that is missing in it denies.
            agent: Agent id.
            killed: Whether a person stopped agent or tool.
        """
        key = self._shape(facts, agent, killed=killed)
        found = self._decided.get(key)
        if found is None:
            found = self._decide(facts, agent, killed=killed)
            if len(self._decided) >= DECIDED_MAX:
                self._decided.clear()
            self._decided[key] = found
        return found

    def _shape(self, facts: CallFacts, agent: str, *, killed: bool) -> object:
        """Return the cache key of a decision: everything that it depends on.

        A count or an amount enters a rule only as `at most LIMIT` or `less than LIMIT`, so of a number nothing counts
        but which limits it has passed.
        """
        calls = self._calls
        return (
            agent,
            killed,
            facts.entitled,
            facts.tainted,
            facts.used_task < calls[0],
            facts.used_day < calls[1],
            facts.unknown,
            *(
                (name, one.origins, one.fits, one.refs)
                if (steps := self._steps.get(name)) is None
                else (
                    name,
                    one.origins,
                    one.fits,
                    one.refs,
                    bisect_left(steps[0], one.amount),
                    bisect_left(steps[1], one.sum_task),
                    bisect_left(steps[2], one.sum_day),
                )
                for name, one in facts.args.items()
            ),
        )

    def _decide(self, facts: CallFacts, agent: str, *, killed: bool) -> EngineDecision:
        reference = decide_facts(self.policy, facts)
        context = context_of(self.text, facts, killed=killed, region=self.region)
        if self._permits("call", agent, context):
            engine: PolicyDecision = "allow"
        else:
            asks = self.policy.on_fail == "ask" and self._permits("propose", agent, context)
            engine = "ask" if asks else "deny"
        if engine == reference.decision:
            return EngineDecision(decision=engine, failed=reference.failed)
        if engine == "deny" and killed:
            return EngineDecision(decision="deny", failed=("killed", *reference.failed))
        return EngineDecision(decision="deny", failed=("engine", *reference.failed))

    def _permits(self, action: str, agent: str, context: dict[str, object]) -> bool:
        answer = self._is_authorized(
            {
                "principal": {"type": "Agent", "id": agent},
                "action": {"type": "Action", "id": action},
                "resource": self._resource,
                "context": context,
            },
            self._policies,
            self._no_entities,
            self._schema,
        )
        # A forbid that errs is skipped by Cedar and the call would be allowed: any diagnostic is a deny.
        return answer.decision is self._allow and not answer.diagnostics.errors


def compile_tool(name: str, tool: Tool, charter: Charter) -> CompiledTool:
    """Compile one tool of a charter.

    Raises:
        CharterInvalid: The policy cannot be enforced; see `CompiledTool`.
    """
    integration = (known(charter.integrations) or {}).get(known(tool.integration) or "")
    region = (known(integration.region) if integration else None) or ANYWHERE
    allowed = known(tool.regions) if tool.regions is not None else _own_regions(charter)
    return CompiledTool(name, tool, region=region, regions=allowed if allowed is not None else (region,))


def _pattern_problems(tool: Tool) -> Iterator[str]:
    """Yield each type with a pattern that cannot be used, and why."""
    for kind, parts in (("args", known(tool.args) or {}), ("results", tool.results)):
        for name, part in parts.items():
            written = known(part.type) or ""
            problem = pattern_problem(written)
            if problem is not None:
                yield f"{kind}.{name}: {written} {problem}"


def _own_regions(charter: Charter) -> tuple[str, ...] | None:
    """Return the regions that the charter allows every tool; None while it names none."""
    residency = known(charter.residency)
    regions = known(residency.regions) if residency else None
    return None if regions is None else tuple(one for one in regions if one != OPEN)


def compile_charter(charter: Charter) -> Mapping[str, CompiledTool]:
    """Compile every tool of a charter and run its examples on what was compiled.

    Raises:
        CharterInvalid: A policy does not compile, or an example does not show what it claims; the last good
            charter stays in force.
    """
    compiled = {
        name: compile_tool(name, tool, charter) for name, tool in (known(charter.tools) or {}).items()
    }
    wrong = [run for tool in compiled.values() for run in run_examples(tool) if not run.passed]
    if wrong:
        raise CharterInvalid(
            f"{len(wrong)} example{'s' if len(wrong) > 1 else ''} of the tool policies do not hold on the compiled policy",
            remedy="Run `pilothouse policy test` to see them one by one.",
            findings=tuple(
                f"tools.{run.tool}: {run.kind} example of rule {run.rule} is decided {run.decision}"
                for run in wrong
            ),
            subject=charter.agent,
        )
    return compiled


def run_examples(tool: CompiledTool) -> tuple[ExampleRun, ...]:
    """Run the examples of a tool's charter entry on its compiled policy."""
    runs: list[ExampleRun] = []
    examples = known(tool.policy.examples)
    for kind, calls in (("allow", examples.allow), ("deny", examples.deny)) if examples else ():
        for call in calls:
            facts = example_facts(tool.policy, call.given)
            full = {name: facts.args.get(name, _ABSENT) for name in tool.arguments}
            decided = tool.decide(
                CallFacts(
                    entitled=facts.entitled,
                    used_task=facts.used_task,
                    used_day=facts.used_day,
                    tainted=facts.tainted,
                    args=full,
                    unknown=facts.unknown,
                ),
                agent="example",
            )
            shown = decided.decision == "allow" if kind == "allow" else call.rule in decided.failed
            runs.append(
                ExampleRun(
                    tool=tool.name,
                    kind=kind,
                    rule=call.rule,
                    decision=decided.decision,
                    passed=shown and "engine" not in decided.failed,
                )
            )
    return tuple(runs)
