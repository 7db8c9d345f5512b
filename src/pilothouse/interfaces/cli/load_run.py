# SPDX-License-Identifier: Apache-2.0
"""Run a load test from the command line: say what it will take, show each arm, keep what it found."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import asdict

from rich.markup import escape

from pilothouse.core.verdict.numbers import significant
from pilothouse.core.verdict.release_verdict import exit_status_of
from pilothouse.errors import ExitStatus
from pilothouse.evals.journal import Journal
from pilothouse.evals.load import ArmResult
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.gate_text import MARKS
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import Settings
from pilothouse.workflows.gate.default_scorer import check_typed
from pilothouse.workflows.gate.load_needs import LoadLimits, state_needs
from pilothouse.workflows.gate.release import open_gate
from pilothouse.workflows.gate.request import GateRequest
from pilothouse.workflows.gate.volume import VolumeResult, load_evidence, measure_volume
from pilothouse.workflows.gate.volume_plan import VolumePlan, VolumeWish, plan_volume
from pilothouse.workflows.ground.in_force import charter_if_any

__all__ = ["run_load"]


def run_load(
    request: GateRequest,
    *,
    services: Services,
    settings: Settings,
    wish: VolumeWish,
    limits: LoadLimits,
    as_json: bool,
) -> ExitStatus:
    """Measure, show and record.

    Args:
        request: What was asked of the target.
        services: Openers of the composition root.
        settings: Values in force.
        wish: What was asked of the load.
        limits: What may be used; a run that does not fit sends nothing.
        as_json: Whether the result is printed as JSON.

    Returns:
        What the command exits with.
    """
    console = hint_console()
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(request.journal))
        is_named = request.charter is not None or request.agent is not None
        installation = stack.enter_context(services.open_installation(settings)) if is_named else None
        now = services.clock.now()
        request, plan, notes = plan_volume(request, wish, installation=installation, now=now)
        run = open_gate(request, journal=journal, now=now)
        typed = check_typed(request.scorer, run.policy.metrics, run.selection.cases, ScorerRegistry())
        run.notes.extend((*typed, *notes))
        console.print(_plan_line(plan, sum(len(one.cases) for one in run.judges)))
        needs = state_needs(run, plan, installation=installation, now=now)
        console.print(escape(needs.sentence))
        needs.check(limits)
        result = asyncio.run(
            measure_volume(run, plan, on_arm=lambda arm: console.print(escape(_arm_line(arm))))
        )
        agent = run.policy.agent
        if installation is not None and agent is not None:
            charter = charter_if_any(installation.ledger, agent)
            records = load_evidence(run, result, agent=agent, now=services.clock.now(), charter=charter)
            installation.ledger.add_evidence(records)
            console.print(_recorded_line(len(records), plan, agent))
    if as_json:
        print_json(_record(result))
    else:
        _print_result(result)
    return exit_status_of(result.items)


def _print_result(result: VolumeResult) -> None:
    out = result_console()
    for item in result.items:
        out.print(
            escape(f"{MARKS[item.status]:<14} {item.requirement} · {item.scope.label}: {item.sentence}")
        )
    for arm in result.arms:
        out.print(escape(_arm_line(arm)))
    for task_type, found in result.saturation.items():
        out.print(escape(f"{task_type}: {found.sentence}"))
    for note in result.notes:
        out.print(escape(f"note: {note}"))


def _plan_line(plan: VolumePlan, cases: int) -> str:
    rates = ", ".join(significant(plan.per_minute * factor) for factor in (1.0, *plan.times, 1.0))
    minutes = 60 * plan.hours(cases)
    limit = "at most" if plan.skip_idle else "about"
    return f"{cases} cases at {rates} a minute, one after the other: {limit} {minutes:.1f} min"


def _recorded_line(records: int, plan: VolumePlan, agent: str) -> str:
    if records:
        return escape(f"{records} records for {agent}; see `pilothouse verdict {agent}`")
    if max(plan.times) < plan.asked:
        return f"nothing went on record: that takes --times {plan.asked:g} or more"
    if not plan.enough:
        return f"nothing went on record: that takes {plan.asked:g} times what the pilot brings"
    return "nothing went on record: nothing was measured that can decide"


def _arm_line(arm: ArmResult) -> str:
    good = sum(one.is_good is True for one in arm.delivered)
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(arm.causes.items()))
    return (
        f"{arm.name}: {good} of {len(arm.delivered)} good ({causes}), p50 {arm.latency_s(0.5):.2f} s, "
        f"p95 {arm.latency_s(0.95):.2f} s, p99 {arm.latency_s(0.99):.2f} s, at most {arm.backlog_max} open, "
        f"generator lag p99 {1000 * arm.lag_p99_s:.0f} ms"
        + (f", ${arm.usd_per_task:.4f} a task" if arm.usd_per_task is not None else "")
        + (f", {arm.skipped_s:.0f} s idle jumped over" if arm.skipped_s >= 1 else "")
    )


def _record(result: VolumeResult) -> dict[str, object]:
    return {
        "times": list(result.plan.times),
        "items": [item.model_dump(mode="json") for item in result.items],
        "arms": [
            {
                "name": arm.name,
                "per_minute": arm.per_minute,
                "causes": arm.causes,
                "answered": arm.answered,
                "good": sum(one.is_good is True for one in arm.delivered),
                "p50_s": arm.latency_s(0.5),
                "p95_s": arm.latency_s(0.95),
                "p99_s": arm.latency_s(0.99),
                "usd_per_task": arm.usd_per_task,
                "backlog_max": arm.backlog_max,
                "lag_p99_s": arm.lag_p99_s,
                "seconds": arm.seconds,
                "skipped_s": arm.skipped_s,
            }
            for arm in result.arms
        ],
        "saturation": {name: asdict(one) for name, one in result.saturation.items()},
        "notes": list(result.notes),
    }
