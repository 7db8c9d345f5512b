# SPDX-License-Identifier: Apache-2.0
"""The plan of an opened gate run: power, cases, money and time, from what earlier runs left in the journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pilothouse.core.statistics.intervals import cases_to_prove_floor
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import design_effect
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case
from pilothouse.evals.planner import FLIP_RATE_ASSUMED, TypePlan, plan_type
from pilothouse.evals.scorers.scorer import ScorerKind
from pilothouse.workflows.gate.judging import TypeJudge
from pilothouse.workflows.gate.run import GateRun

__all__ = ["GatePlan", "make_plan", "unit_costs"]

MEASURED_PAIRS_MIN = 20
"""Pairs from earlier runs from which a flip rate is believed; fewer say nothing about rare flips."""

FLIP_RATE_MIN = 0.01
"""No flip so far does not mean none to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """What a run will take.

    Attributes:
        run_id: The run it belongs to.
        types: Plan by task type; empty without a baseline.
        calls_expected: Trials to run if nothing changed, stored ones not counted.
        calls_max: Most trials to run.
        cost_expected_usd: Money for the expected trials, or None when no trial's cost is known.
        cost_max_usd: Money for the most.
        seconds_expected: Time for the expected trials, or None before any trial was timed.
        seconds_max: Time for the most.
        notes: What a reader must know.
        lacking: Why the run can prove nothing, by task type, where it compares with nothing.
    """

    run_id: str
    types: tuple[TypePlan, ...]
    calls_expected: int
    calls_max: int
    cost_expected_usd: float | None
    cost_max_usd: float | None
    seconds_expected: float | None
    seconds_max: float | None
    notes: tuple[str, ...]
    lacking: tuple[str, ...] = ()

    @property
    def is_sufficient(self) -> bool:
        """Whether every task type releases a harmless change with 80 % or more, and can be released at all."""
        return not self.lacking and all(one.is_sufficient for one in self.types)


def make_plan(run: GateRun) -> GatePlan:
    """Forecast a run; nothing is run and nothing is spent."""
    rng = np.random.default_rng(int(run.run_id[:12], 16))
    plans = []
    expected = most = 0.0
    live = [arm for arm in (run.candidate, run.baseline) if arm is not None and not arm.is_stored]
    for judge in run.judges:
        if not judge.cases:
            continue
        calls = _missing_calls(run, judge.cases, live)
        most += calls
        if run.baseline is None:
            expected += calls
            continue
        flip_rate, source = _flip_rate(run, judge.cases)
        plan = plan_type(
            judge.difference_rules,
            cases_max=len(judge.cases),
            flip_rate=flip_rate,
            flip_source=source,
            is_single=judge.is_single,
            design_effect=design_effect([case.cluster_id for case in judge.cases]),
            rng=rng,
        )
        plans.append(plan)
        expected += calls * plan.unchanged.cases / len(judge.cases)
    once = _missing_calls(run, run.selection.adversarial, [run.candidate])
    once += _missing_calls(run, run.selection.golden, live)
    cost, seconds = unit_costs(run, live)
    at_once = run.request.concurrency
    pace_s = None if seconds is None else max(seconds / at_once, 60 / (run.request.per_minute or 1e9))
    return GatePlan(
        run_id=run.run_id,
        types=tuple(plans),
        calls_expected=round(expected + once),
        calls_max=round(most + once),
        cost_expected_usd=None if cost is None else cost * (expected + once),
        cost_max_usd=None if cost is None else cost * (most + once),
        seconds_expected=None if pace_s is None else pace_s * (expected + once),
        seconds_max=None if pace_s is None else pace_s * (most + once),
        notes=tuple(run.notes),
        lacking=tuple(filter(None, map(_lacking, run.judges))) if run.baseline is None else (),
    )


def _lacking(judge: TypeJudge) -> str:
    """Say why a task type that is compared with nothing cannot be released, or nothing."""
    rules, n = judge.rules, len(judge.cases)
    if rules.floor is None:
        is_asked = rules.reliable_k > 1
        return "" if is_asked else f"{rules.task_type}: nothing is to be proved; give --baseline or --floor"
    fewest = cases_to_prove_floor(rules.floor, 1.0, 1 - rules.alpha)
    if fewest is None or fewest <= n:
        return ""
    return f"{rules.task_type}: {n} cases prove no floor of {percentage(rules.floor)}, all of them good; {fewest} could"


def _missing_calls(run: GateRun, cases: tuple[Case, ...], arms: list[Arm]) -> int:
    keys = [key for case in cases for arm in arms for key in arm.keys(case)]
    stored = sum(one.is_since(run.since) for one in run.journal.trials(keys))
    return len(keys) - stored


def _flip_rate(run: GateRun, cases: tuple[Case, ...]) -> tuple[float, str]:
    """Measure how often the stored trials of both sides differ, when there are enough of them."""
    if run.baseline is None:
        return FLIP_RATE_ASSUMED, "assumed"
    mine = {run.candidate.keys(case)[0]: case for case in cases}
    theirs = {run.baseline.keys(case)[0]: case for case in cases}
    versions = {
        check.scorer.spec.version for case in cases for check in run.book.of(case) if not check.must_not
    }
    failed: Counter[str] = Counter()
    scored: set[str] = set()
    hashes = {key: case.case_hash for side in (mine, theirs) for key, case in side.items()}
    for one in run.journal.scores(hashes):
        is_ours = one.version in versions and one.case_hash == hashes[one.key]
        if is_ours and one.score.value is not None:
            scored.add(one.key)
            failed[one.key] += one.score.value < run.book.pass_at
    pairs = [
        (bool(failed[a]), bool(failed[b]))
        for a, b in zip(mine, theirs, strict=True)
        if a in scored and b in scored
    ]
    if len(pairs) < MEASURED_PAIRS_MIN:
        return FLIP_RATE_ASSUMED, "assumed: three of four public reruns differ less"
    flips = sum(a != b for a, b in pairs) / len(pairs)
    return max(flips, FLIP_RATE_MIN), f"measured on {len(pairs)} stored pairs"


def unit_costs(run: GateRun, arms: list[Arm]) -> tuple[float | None, float | None]:
    """Return mean cost (US dollars) and mean time (seconds) of the stored trials of some sides; None where unknown.

    What judges cost is spent too: a trial whose judge's cost is not known has no known cost.

    Args:
        run: An opened run.
        arms: The sides.
    """
    costs: list[float] = []
    times: list[float] = []
    for arm in arms:
        cases = {key: case for case in run.selection.cases for key in arm.keys(case)}
        judged = {
            (one.key, one.version): one.score.cost_usd
            for one in run.journal.scores(cases)
            if one.case_hash == cases[one.key].case_hash
        }
        for one in run.journal.trials(cases):
            times += [] if one.result.latency_s is None else [one.result.latency_s]
            if one.result.reply is None:
                continue
            specs = {check.scorer.spec.version: check.scorer.spec for check in run.book.of(cases[one.key])}
            parts = [one.result.reply.cost_usd]
            parts += [
                judged.get((one.key, spec.version))
                for spec in specs.values()
                if spec.kind is ScorerKind.JUDGE
            ]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                costs.append(sum(known))
    return (fmean(costs) if costs else None), (fmean(times) if times else None)
