# SPDX-License-Identifier: Apache-2.0
"""What to do next, in order: every item that does not hold becomes one step with its command and its people.

Steps are ordered by need and harm. Scheduling by days saved is not here yet: it needs work and wait
days of each step, which nobody has measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Reason, RequirementVerdict, Status

__all__ = ["STEPS_MAX", "Step", "plan_steps"]

STEPS_MAX = 200
"""Steps of one plan: more than every item of a large charter has."""

_HARMS_NOW = frozenset({"MON-2", "MON-7"})
"""Requirements whose breach hurts users while it is discussed."""

_ITEMS_PER_DOMAIN = 5
"""A domain's share is spread over its five items."""

_SHARES = {"INT": 63.0, "EVAL": 58.0, "MON": 54.0, "OWN": 49.0, "DATA": 41.0}
"""Survey shares of the five gaps, used where the charter names none, and for order only."""

_OWNER_FIRST = "owner.person"
"""Until somebody owns the agent nobody can sign anything, so this step comes before all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do.

    Attributes:
        command: What to type.
        who: Person ids who must act.
        items: Items it settles, as `requirement scope`, worst first.
        sentence: Why, from the worst of them.
        status: Status of the worst of them.
        for_next_gate: Whether the next gate waits for it.
    """

    command: str
    who: tuple[str, ...]
    items: tuple[str, ...]
    sentence: str
    status: Status
    for_next_gate: bool


def _severity(item: ItemVerdict) -> float:
    if item.status is Status.BREACHED:
        return 1.0
    if item.status is Status.AT_RISK:
        return 0.2
    return {Reason.MISSING: 0.8, Reason.STALE: 0.6, Reason.INSUFFICIENT: 0.5}.get(
        item.reason or Reason.MISSING, 0.8
    )


def _weight(charter: Charter, domain: str) -> float:
    shares = known(charter.framework.shares) or {}
    said = {name: known(share) for name, share in shares.items()}.get(domain)  # type: ignore[call-overload]  # a domain without a share is looked up too
    return (said if said is not None else _SHARES.get(domain, 0.0)) / _ITEMS_PER_DOMAIN


def _key(
    charter: Charter, requirement: RequirementVerdict, item: ItemVerdict, *, needed: bool
) -> tuple[bool, bool, bool, float, str, str]:
    harms = item.status is Status.BREACHED and (
        requirement.requirement in _HARMS_NOW or (item.scope.part or "").startswith("critical")
    )
    return (
        _OWNER_FIRST not in item.sentence,
        not needed,
        not harms,
        -_weight(charter, requirement.domain) * _severity(item),
        item.requirement,
        item.scope.label,
    )


def _open_items(verdict: AgentVerdict) -> Iterable[tuple[RequirementVerdict, ItemVerdict]]:
    for requirement in verdict.requirements:
        for item in requirement.items:
            if item.status is not Status.HOLDS and item.requirement == requirement.requirement:
                yield requirement, item


def plan_steps(verdict: AgentVerdict, charter: Charter) -> tuple[Step, ...]:
    """Return what to do, most urgent first; the same verdict gives the same plan.

    The order: needed by the next gate before others; a breach that harms now before the rest; then
    weight of the domain times severity; then id. Items that one command settles for the same people are
    one step. Naming the owner comes before everything.

    Args:
        verdict: The verdict.
        charter: The charter it was made with, for the weights.

    Returns:
        At most `STEPS_MAX` steps; empty when everything holds.
    """
    gates = _next_gates(verdict)
    found = [
        (_key(charter, requirement, item, needed=bool(gates & set(requirement.gates))), requirement, item)
        for requirement, item in _open_items(verdict)
        if requirement.gates
    ]
    merged: dict[tuple[str, tuple[str, ...]], list[tuple[RequirementVerdict, ItemVerdict]]] = {}
    for _, requirement, item in sorted(found, key=lambda entry: entry[0]):
        merged.setdefault((item.remedy, item.who), []).append((requirement, item))
    steps = [
        Step(
            command=command,
            who=who,
            items=tuple(f"{item.requirement} {item.scope.label}" for _, item in settled),
            sentence=settled[0][1].sentence,
            status=settled[0][1].status,
            for_next_gate=bool(gates & set(settled[0][0].gates)),
        )
        for (command, who), settled in merged.items()
    ]
    return tuple(steps[:STEPS_MAX])


def _next_gates(verdict: AgentVerdict) -> set[str]:
    last = verdict.next_gate or "3"
    return {gate for gate in ("1", "2", "3") if gate <= last}
