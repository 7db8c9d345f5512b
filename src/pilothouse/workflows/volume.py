# SPDX-License-Identifier: Apache-2.0
"""Compare quality at many times the volume with quality at the pilot's, on the same cases (load -> evidence)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pilothouse.core.evidence.evidence import ITEMS_MAX, Binding, Evidence, Source
from pilothouse.core.statistics.sequential import GateState
from pilothouse.core.verdict.release import CaseResult
from pilothouse.core.verdict.release_difference import judge_difference
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status
from pilothouse.evals.case import Case
from pilothouse.evals.load import LAG_P99_S_MAX, ArmResult, arrival_order, drive
from pilothouse.workflows.gate_run import GateRun

__all__ = ["VolumeResult", "load_evidence", "measure_volume"]

TIMES_MAX: Final = 1_000
"""More than a thousandfold is another system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeResult:
    """What a load run found.

    Attributes:
        times: How many times the volume.
        arms: Before, at volume, after; on the same cases in the same order.
        items: Quality at volume against before, and after against before, by task type, worst first.
        notes: What a reader must know.
    """

    times: float
    arms: tuple[ArmResult, ...]
    items: tuple[ItemVerdict, ...]
    notes: tuple[str, ...]


async def measure_volume(
    run: GateRun, *, times: float, per_minute: float, on_arm: Callable[[ArmResult], None]
) -> VolumeResult:
    """Drive 1x, then N x, then 1x again, and test "not worse" in pairs.

    A timeout, a refusal and a shed call count as failed: it is what the user got.

    Args:
        run: An opened run; its candidate, cases, checks and rules are used.
        times: How many times the volume.
        per_minute: Arrivals in a minute at 1x.
        on_arm: Told when an arm has ended.

    Returns:
        The result; no evidence when the generator itself was late.
    """
    cases: list[Case] = [case for one in run.judges for case in one.cases]
    ordered = arrival_order(cases, seed=int(run.run_id[:12], 16))
    arms: list[ArmResult] = []
    try:
        for name, factor in (("1x", 1.0), (f"{times:g}x", times), ("1x again", 1.0)):
            arm = await drive(
                run.candidate.target,
                ordered,
                run.book,
                name=name,
                per_minute=per_minute * factor,
                deadline_s=run.request.deadline_s,
                seed=len(arms) + 1,
            )
            arms.append(arm)
            on_arm(arm)
    finally:
        await run.candidate.target.close()
    items = [
        item
        for judge in run.judges
        if judge.cases
        for item in (
            _compare(run, judge.rules.task_type, arms[0], arms[1], name="at_volume"),
            _compare(run, judge.rules.task_type, arms[0], arms[2], name="recovered"),
        )
    ]
    notes = list(run.notes)
    late = [arm for arm in arms if arm.lag_p99_s > LAG_P99_S_MAX]
    if late:
        notes.append(
            f"the generator was late in {', '.join(arm.name for arm in late)}: it measured itself, so nothing is decided"
        )
        items = [
            one.model_copy(update={"status": Status.NO_EVIDENCE, "reason": Reason.INSUFFICIENT})
            for one in items
        ]
    worst = {status: rank for rank, status in enumerate(Status)}
    return VolumeResult(
        times=times,
        arms=tuple(arms),
        items=tuple(sorted(items, key=lambda one: worst[one.status])),
        notes=tuple(notes),
    )


def load_evidence(run: GateRun, result: VolumeResult, *, agent: str, now: datetime) -> tuple[Evidence, ...]:
    """Turn a load run into records; one whose generator was late gives none.

    Args:
        run: The run.
        result: What it found.
        agent: Agent id.
        now: When it ended, aware UTC.
    """
    if any(arm.lag_p99_s > LAG_P99_S_MAX for arm in result.arms):
        return ()
    return tuple(
        Evidence(
            kind="load.difference",
            agent=agent,
            binds=Binding(version=run.candidate.version, dataset=run.dataset.digest),
            scope=item.scope,
            window_from=run.now,
            window_to=now,
            n=item.n,
            value=item.value,
            low=item.low,
            high=item.high,
            method=item.method,
            items=item.items[:ITEMS_MAX],
            detail=f"{result.times:g} times {result.arms[0].per_minute:g} a minute",
            source=Source(command=f"pilothouse load --times {result.times:g}", run_id=run.run_id),
            recorded_at=now,
        )
        for item in result.items
        if item.requirement == "at_volume" and item.value is not None
    )


def _compare(run: GateRun, task_type: str, before: ArmResult, after: ArmResult, *, name: str) -> ItemVerdict:
    rules = run.policy.rules[task_type]
    pairs: Sequence[CaseResult] = [
        CaseResult(
            case_id=one.case_id, cluster=one.cluster, candidate=(other.is_good,), baseline=(one.is_good,)
        )
        for one, other in zip(before.delivered, after.delivered, strict=True)
        if one.task_type == task_type
    ]
    return judge_difference(
        pairs,
        rules,
        state=GateState(),
        cases_planned=len(pairs),
        is_single=True,
        is_last=True,
        requirement=name,
        against="the pilot's volume",
    ).item
