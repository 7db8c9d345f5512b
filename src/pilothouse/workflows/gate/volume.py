# SPDX-License-Identifier: Apache-2.0
"""Compare quality at many times the volume with quality at the pilot's, on the same cases (load -> evidence)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.effective_counts import effective_counts
from pilothouse.core.evidence.evidence import WORTH, Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.statistics.sequential import GateState
from pilothouse.core.verdict.release import CaseResult
from pilothouse.core.verdict.release_difference import judge_difference
from pilothouse.core.verdict.saturation import Saturation, VolumePoint, find_saturation
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status
from pilothouse.evals.case import Case
from pilothouse.evals.load import ANSWERED, ArmResult, Delivered, drive, lag_s_max
from pilothouse.workflows.gate.run import GateRun
from pilothouse.workflows.gate.volume_plan import VolumePlan

__all__ = ["VolumeResult", "load_evidence", "measure_volume"]

BEFORE, AFTER = "1x", "1x again"
QUALITY, ANSWERS = "quality", "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeResult:
    """What a load run found.

    Attributes:
        plan: How the cases were sent.
        arms: Before, at each volume, after; on the same cases in the same order.
        items: Quality and answers in time against the first arm, by task type, worst first.
        saturation: Up to which volume good answers stay at their least, by task type.
        is_late: Whether the generator could not keep its schedule, so that nothing is decided.
        notes: What a reader must know.
    """

    plan: VolumePlan
    arms: tuple[ArmResult, ...]
    items: tuple[ItemVerdict, ...]
    saturation: Mapping[str, Saturation]
    is_late: bool
    notes: tuple[str, ...]


async def measure_volume(
    run: GateRun, plan: VolumePlan, *, on_arm: Callable[[ArmResult], None]
) -> VolumeResult:
    """Drive 1x, then each volume, then 1x again, and test "not worse" in pairs.

    A timeout, a refusal and a shed call count as failed: it is what the user got. Reliability, the share of users
    who got any answer in time, is compared apart.

    Args:
        run: An opened run; its candidate, cases, checks and rules are used.
        plan: How the cases are sent.
        on_arm: Told when an arm has ended.

    Returns:
        The result; no evidence when the generator itself was late.

    Raises:
        UsageError: It would take days.
    """
    cases: list[Case] = [case for one in run.judges for case in one.cases]
    plan.check(len(cases))
    seed = int(run.run_id[:12], 16)
    ordered = plan.order(cases, seed=seed)
    arms: list[ArmResult] = []
    factors = [(BEFORE, 1.0), *((f"{one:g}x", one) for one in plan.times), (AFTER, 1.0)]
    try:
        for name, factor in factors:
            arm = await drive(
                run.candidate.target,
                ordered,
                run.book,
                name=name,
                per_minute=plan.per_minute * factor,
                schedule=plan.schedule(ordered, factor, seed=len(arms) + 1),
                deadline_s=run.request.deadline_s,
                skip_idle=plan.skip_idle,
            )
            arms.append(arm)
            on_arm(arm)
    finally:
        await run.candidate.target.close()
    types = [judge.rules.task_type for judge in run.judges if judge.cases]
    items = [
        _compare(run, task_type, arms[0], arm, what)
        for task_type in types
        for arm in arms[1:]
        for what in (QUALITY, ANSWERS)
    ]
    notes = list(run.notes)
    late = [arm for arm in arms if arm.lag_p99_s > lag_s_max(run.request.deadline_s)]
    if late:
        notes.append(
            f"the generator was late in {', '.join(arm.name for arm in late)}: it measured itself, so nothing is decided"
        )
        items = [_undecided(one, one.sentence) for one in items]
    levels = () if late else types
    saturation = {name: found for name in levels if (found := _saturation(run, name, arms)) is not None}
    worst = {status: rank for rank, status in enumerate(Status)}
    return VolumeResult(
        plan=plan,
        arms=tuple(arms),
        items=tuple(sorted(items, key=lambda one: worst[one.status])),
        saturation=saturation,
        is_late=bool(late),
        notes=tuple(notes),
    )


def load_evidence(
    run: GateRun, result: VolumeResult, *, agent: str, now: datetime, charter: Charter | None = None
) -> tuple[Evidence, ...]:
    """Turn a load run into records; one whose generator was late, or below as many times what the pilot really brings as are asked for, gives none.

    Args:
        run: The run.
        result: What it found.
        agent: Agent id.
        now: When it ended, aware UTC.
        charter: The charter in force, for a run that was given none.
    """
    enough = result.plan.enough
    if result.is_late or not enough:
        return ()
    times = min(enough)
    return tuple(
        bound_record(
            "load.difference",
            agent,
            now,
            command=f"pilothouse load {run.candidate.address} --times {times:g}",
            binds=Binding(version=run.candidate.version, dataset=run.dataset.digest),
            charter=run.charter or charter,
            scope=item.scope,
            since=run.now,
            run_id=run.run_id,
            n=item.n,
            value=item.value,
            low=item.low,
            high=item.high,
            method=item.method,
            items=item.items,
            detail=_detail(result, item, times),
            counts={"times": int(result.plan.reached(times))},
        )
        for item in result.items
        if item.requirement == f"{QUALITY} at {times:g}x"
        and item.value is not None
        and not _rests_on_a_judge(run, item)
    )


def _compare(run: GateRun, task_type: str, before: ArmResult, after: ArmResult, what: str) -> ItemVerdict:
    """Compare an arm with the first one, in pairs: good answers, or any answer in time."""

    def value(one: Delivered) -> bool | None:
        return one.is_good if what == QUALITY else one.cause == ANSWERED

    pairs = [
        CaseResult(
            case_id=one.case_id, cluster=one.cluster, candidate=(value(other),), baseline=(value(one),)
        )
        for one, other in zip(before.delivered, after.delivered, strict=True)
        if one.task_type == task_type
    ]
    item = judge_difference(
        pairs,
        run.policy.rules[task_type],
        state=GateState(),
        cases_planned=len(pairs),
        is_single=True,
        is_last=True,
        requirement=f"{what} at {after.name}",
        against="the pilot's volume",
    ).item
    if item.status is Status.BREACHED or what != QUALITY:
        return item
    if _rests_on_a_judge(run, item):
        return _undecided(
            item, f"{item.sentence}; but a model judge says so: add a computed scorer to the cases"
        )
    before_scored = [one for one in pairs if None not in one.baseline]
    lost = sum(None in one.candidate for one in before_scored)
    if lost > run.policy.rules[task_type].unscored_max * len(before_scored):
        # What broke the scorer under load may be what was worse.
        return _undecided(
            item, f"{item.sentence}; but {lost} of {len(before_scored)} answers have no score any more"
        )
    return item


def _saturation(run: GateRun, task_type: str, arms: Sequence[ArmResult]) -> Saturation | None:
    """Find where good answers fall under the floor, or without one under the pilot's own level less the margin."""
    rules = run.policy.rules[task_type]
    points = []
    for arm in arms:
        some = [one for one in arm.delivered if one.task_type == task_type and one.is_good is not None]
        if some:
            share = sum(one.is_good is True for one in some) / len(some)
            clusters = [one.cluster for one in some]
            n = effective_counts([one.is_good is True for one in some], clusters).get(WORTH, len(some))
            points.append(VolumePoint(per_minute=arm.per_minute, good=round(share * n), n=n))
    if not points:
        return None
    pilot = points[0].good / points[0].n
    return find_saturation(points, rules.floor if rules.floor is not None else max(0.0, pilot - rules.margin))


def _detail(result: VolumeResult, item: ItemVerdict, times: float) -> str:
    found = result.saturation.get(item.scope.task_type or "")
    return f"{times:g} times {result.plan.per_minute:.3g} a minute" + (f"; {found.sentence}" if found else "")


def _rests_on_a_judge(run: GateRun, item: ItemVerdict) -> bool:
    return any(
        one.is_judged or one.is_unmeasured
        for one in run.judges
        if one.rules.task_type == item.scope.task_type
    )


def _undecided(item: ItemVerdict, sentence: str) -> ItemVerdict:
    """Return an item that says what was seen, without numbers that anybody could take for a measurement."""
    doubted = {"status": Status.NO_EVIDENCE, "reason": Reason.INSUFFICIENT, "sentence": sentence}
    return item.model_copy(update={**doubted, "value": None, "low": None, "high": None})
