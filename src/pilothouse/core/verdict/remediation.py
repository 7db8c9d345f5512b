# SPDX-License-Identifier: Apache-2.0
"""Plan the next steps: every item that does not hold becomes one step with its command and its people.

Steps are ordered by need, by harm, and by the days that each saves on the way to the next gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.verdict.schedule import (
    AFTER,
    CONFIRMED_AGAIN,
    EFFORTS,
    JOBS_MAX,
    MEASURED_BY_COMMAND,
    RENEWAL_DAYS,
    Effort,
    Job,
    days_saved,
    schedule_jobs,
)
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Reason, RequirementVerdict, Status

__all__ = ["STEPS_MAX", "Plan", "Step", "plan_steps"]

STEPS_MAX = 200
"""Steps of one plan: more than every item of a large charter has."""

_HARMS_NOW = frozenset({"MON-2", "MON-7"})
"""Requirements whose breach hurts users while it is discussed."""

ESTIMATE_RANGE = (0.5, 2.0)
"""Nobody has measured the work of these steps yet: the dates are shown from half to twice the guess."""

HOURS_A_DAY = 8.0

WAIT_MAX_DAYS = 365.0
"""Longer than a year says that the way is wrong, not that one should wait."""

_UNKNOWN_EFFORT = Effort(1.0)

_ONLY_SHOWS = ("pilothouse traces ", "pilothouse phase status", "pilothouse run ")
"""Commands beside which an agent goes on working: where cases are few, its own traffic brings the rest of them."""

_COUNTS = "pilothouse watch tick"
"""Counts the days that are over, as a running server does by itself: there is nothing to do but to let days pass."""

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
        for_next_gate: Whether the next gate asks for it.
        work_days: Days of work, a guess until measured.
        wait_days: Days that pass afterwards: from the cases still needed and their rate, where both are known.
        days_saved: Days by which the gate is reached sooner if this were done already; 0 off the critical path.
        cost: Cost of the work, low and high end in the charter's currency; None while the charter does not say
            what an hour costs.
    """

    command: str
    who: tuple[str, ...]
    items: tuple[str, ...]
    sentence: str
    status: Status
    for_next_gate: bool
    work_days: float
    wait_days: float
    days_saved: float
    cost: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All steps, and when the next gate can be reached.

    Attributes:
        steps: Most urgent first, at most `STEPS_MAX`.
        gate: The gate it leads to: `1`, `2` or `3`.
        days: Days until then, from half to twice the estimates of work; waits are not stretched. None when
            nothing stands in the way.
        critical: Commands on the critical path, first to last.
    """

    steps: tuple[Step, ...]
    gate: str
    days: tuple[float, float] | None
    critical: tuple[str, ...]


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


def _harms(requirement: RequirementVerdict, item: ItemVerdict) -> bool:
    return item.status is Status.BREACHED and (
        requirement.requirement in _HARMS_NOW or (item.scope.part or "").startswith("critical")
    )


def _rank(charter: Charter, requirement: RequirementVerdict, item: ItemVerdict) -> tuple[float, str, str]:
    weight = _weight(charter, requirement.domain) * _severity(item)
    return (-weight, item.requirement, item.scope.label)


def _open_items(verdict: AgentVerdict) -> Iterable[tuple[RequirementVerdict, ItemVerdict]]:
    for requirement in verdict.requirements:
        for item in requirement.items:
            if item.status is not Status.HOLDS and item.requirement == requirement.requirement:
                yield requirement, item


def plan_steps(verdict: AgentVerdict, charter: Charter) -> Plan:
    """Return what to do, most urgent first, and when the next gate can be reached.

    The order: naming the owner before everything; needed by the next gate before others; a breach that
    harms now before the rest; then days saved; then weight of the domain times severity; then
    id. Items that one command settles for the same people are one step. The same verdict gives the same plan.

    Args:
        verdict: The verdict.
        charter: The charter it was made with, for weights, people and the cost of an hour.

    Returns:
        The plan; it proposes and does nothing.
    """
    gates = _next_gates(verdict)
    found = [(requirement, item) for requirement, item in _open_items(verdict) if requirement.gates]
    found.sort(key=lambda entry: _rank(charter, *entry))
    merged: dict[tuple[str, tuple[str, ...]], list[tuple[RequirementVerdict, ItemVerdict]]] = {}
    for requirement, item in found:
        merged.setdefault((item.remedy, item.who), []).append((requirement, item))
    groups = {f"{number:03}": settled for number, settled in enumerate(merged.values())}
    # What one command settles beside that for a later gate keeps the next one not waiting.
    asked = {name: [one for one in settled if gates & set(one[0].gates)] for name, settled in groups.items()}
    needed = {name: settled for name, settled in asked.items() if settled}
    jobs = _jobs(_keeping_closed(needed), verdict.as_of)
    saved = days_saved(jobs)
    steps = {
        name: _step(
            settled,
            charter,
            _effort(asked[name] or settled, verdict.as_of),
            for_next_gate=name in needed,
            days=saved.get(name, 0.0),
        )
        for name, settled in groups.items()
    }
    urgent = sorted(groups, key=lambda name: (*_urgency(steps[name], groups[name]), name))
    schedule = schedule_jobs(jobs)
    return Plan(
        steps=tuple(steps[name] for name in urgent[:STEPS_MAX]),
        gate=max(gates),
        days=_range(jobs) if jobs else None,
        critical=tuple(steps[name].command for name in schedule.critical),
    )


def _keeping_closed(
    needed: Mapping[str, Sequence[tuple[RequirementVerdict, ItemVerdict]]],
) -> dict[str, list[tuple[RequirementVerdict, ItemVerdict]]]:
    """Return the steps for which the gate waits: it opens with what is at risk, and work behind a waiver is still to be done."""
    closed = {
        name: [one for one in settled if one[1].status is not Status.AT_RISK]
        for name, settled in needed.items()
    }
    return {name: settled for name, settled in closed.items() if settled}


def _urgency(
    step: Step, settled: Sequence[tuple[RequirementVerdict, ItemVerdict]]
) -> tuple[bool, bool, bool, float]:
    return (
        not any(_OWNER_FIRST in item.sentence for _, item in settled),
        not step.for_next_gate,
        not any(_harms(requirement, item) for requirement, item in settled),
        -step.days_saved,
    )


def _step(
    settled: Sequence[tuple[RequirementVerdict, ItemVerdict]],
    charter: Charter,
    effort: Effort,
    *,
    for_next_gate: bool,
    days: float,
) -> Step:
    _, worst = settled[0]
    return Step(
        command=worst.remedy,
        who=worst.who,
        items=tuple(f"{item.requirement} {item.scope.label}" for _, item in settled),
        sentence=worst.sentence,
        status=worst.status,
        for_next_gate=for_next_gate,
        work_days=effort.work_days,
        wait_days=effort.wait_days,
        days_saved=round(days, 6),
        cost=_cost(charter, effort.work_days, integration=settled[0][0].domain == "INT"),
    )


def _jobs(needed: Mapping[str, Sequence[tuple[RequirementVerdict, ItemVerdict]]], now: datetime) -> list[Job]:
    """Turn steps into jobs; the most that can be scheduled, in the order of their weight."""
    chosen = dict(list(needed.items())[:JOBS_MAX])
    settles = {
        name: {requirement.requirement for requirement, _ in settled} for name, settled in chosen.items()
    }
    jobs = []
    for name, settled in chosen.items():
        wanted = {before for mine in settles[name] for before in AFTER.get(mine, ())} - settles[name]
        after = tuple(other for other, theirs in settles.items() if other != name and theirs & wanted)
        who = settled[0][1].who
        jobs.append(Job(name=name, worker=who[0] if who else "", effort=_effort(settled, now), after=after))
    return jobs


def _effort(settled: Sequence[tuple[RequirementVerdict, ItemVerdict]], now: datetime) -> Effort:
    """Return the effort of one command: the largest of its items."""
    efforts = [_effort_of(item, now) for _, item in settled]
    return Effort(max(one.work_days for one in efforts), max(one.wait_days for one in efforts))


def _effort_of(item: ItemVerdict, now: datetime) -> Effort:
    """Return the effort of one item: nothing where cases come by themselves, an hour where a command shows it once more."""
    usual = EFFORTS.get(item.requirement, _UNKNOWN_EFFORT)
    lacks = (item.n_needed or 0) > item.n
    if item.remedy == _COUNTS or (lacks and item.remedy.startswith(_ONLY_SHOWS)):
        return Effort(0.0, _wait(item, usual))
    shown_once = item.status is Status.AT_RISK and item.requirement in CONFIRMED_AGAIN
    if shown_once or (not lacks and item.requirement in MEASURED_BY_COMMAND and _is_lapsing(item, now)):
        return Effort(min(usual.work_days, RENEWAL_DAYS))
    return Effort(usual.work_days, _wait(item, usual))


def _is_lapsing(item: ItemVerdict, now: datetime) -> bool:
    """Whether an item's evidence is in the last quarter of its life or lapsed, and shows no breach."""
    if item.lapses_at is None or item.window_to is None:
        return False
    return (
        item.status is not Status.BREACHED and now >= item.lapses_at - (item.lapses_at - item.window_to) / 4
    )


def _wait(item: ItemVerdict, effort: Effort) -> float:
    """Return the days until enough cases have come in at the rate of the window, else the usual wait."""
    if item.n and item.n_needed and item.window_from and item.window_to:
        window_days = (item.window_to - item.window_from).total_seconds() / 86_400
        return min((item.n_needed - item.n) * window_days / item.n, WAIT_MAX_DAYS)
    return effort.wait_days


def _cost(charter: Charter, work_days: float, *, integration: bool) -> tuple[float, float] | None:
    hour = known(charter.business_case.loaded_hour_cost.value)
    if hour is None:
        return None
    factor = (known(charter.business_case.margin_of_estimates) or 1.0) if integration else 1.0
    low, high = (work_days * HOURS_A_DAY * end * factor for end in hour)
    return (low, high)


def _range(jobs: Sequence[Job]) -> tuple[float, float]:
    ends = []
    for factor in ESTIMATE_RANGE:
        stretched = [
            replace(job, effort=Effort(job.effort.work_days * factor, job.effort.wait_days)) for job in jobs
        ]
        ends.append(schedule_jobs(stretched).finish_days)
    return (min(ends), max(ends))


def _next_gates(verdict: AgentVerdict) -> set[str]:
    last = verdict.next_gate or "3"
    return {gate for gate in NUMBERED_PHASES if gate <= last}
