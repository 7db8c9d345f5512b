# SPDX-License-Identifier: Apache-2.0
"""How a gate run, its plan and its verdict are shown in a terminal."""

from __future__ import annotations

from rich.markup import escape

from pilothouse.core.dates import day
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release_verdict import ReleaseVerdict, RunCost
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.evals.runner import Progress
from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.workflows.gate.plan import GatePlan

__all__ = ["MARKS", "print_plan", "print_verdict", "progress_text"]

FLIPS_SHOWN_MAX = 10

MARKS = {
    Status.HOLDS: "● holds",
    Status.AT_RISK: "▲ at risk",
    Status.BREACHED: "■ breached",
    Status.NO_EVIDENCE: "○ no evidence",
}
"""A status as a mark and words: readable without colour."""

HEADLINES = {
    Status.HOLDS: "May be released",
    Status.AT_RISK: "May be released, with a warning",
    Status.BREACHED: "Must not be released",
    Status.NO_EVIDENCE: "Not decided",
}


def progress_text(progress: Progress) -> str:
    """Return one line: how far, at what cost, how long still."""
    left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left in this look"
    unknown = f" + {progress.unpriced} unpriced" if progress.unpriced else ""
    lost = f", {progress.infra_errors} lost" if progress.infra_errors else ""
    return (
        f"{progress.done}/{progress.planned} trials ({progress.reused} reused{lost}), "
        f"{progress.at_once} at once, ${progress.spent_usd:.4f}{unknown}{left}"
    )


def print_verdict(verdict: ReleaseVerdict) -> None:
    """Print a verdict: one line, then every requirement, worst first."""
    console = result_console()
    console.print(f"[bold]{HEADLINES[verdict.status]}[/bold]: {escape(verdict.deciding)}")
    for item in verdict.items:
        console.print(
            escape(f"  {MARKS[item.status]:<14} {item.requirement} · {item.scope.label}: {item.sentence}")
        )
        if item.status is Status.NO_EVIDENCE and item.n_needed:
            console.print(
                f"  {'':<14} about {item.n_needed} cases would decide it{_more(item, verdict.cost)}"
            )
        if item.status is Status.NO_EVIDENCE and item.remedy:
            console.print(escape(f"  {'':<14} next: {item.remedy}"))
    worse = [flip for flip in verdict.flips if flip.is_worse]
    for flip in worse[:FLIPS_SHOWN_MAX]:
        console.print(escape(f"  worse: {flip.case_id}: {flip.reason}"))
    if len(worse) > FLIPS_SHOWN_MAX:
        console.print(f"  and {len(worse) - FLIPS_SHOWN_MAX} more got worse")
    cost = verdict.cost
    unknown = f" + {cost.unpriced} runs of unknown cost" if cost.unpriced else ""
    console.print(
        f"{cost.cases} of {cost.cases_planned} cases ({percentage(cost.saved_share, decimals=0)} saved), {cost.calls} runs, {cost.reused} reused, "
        f"${cost.spent_usd:.4f}{unknown}, {cost.seconds:.1f} s"
    )
    console.print(
        escape(
            f"candidate {verdict.candidate[:12]} · baseline {(verdict.baseline or 'none')[:12]} · "
            f"{verdict.dataset} {verdict.dataset_digest[:12]} · rules: {verdict.rules} · until {day(verdict.lapses_at)}"
        )
    )
    for note in verdict.notes:
        console.print(escape(f"note: {note}"))


def _more(item: ItemVerdict, cost: RunCost) -> str:
    """Say how many cases are lacking and what they cost."""
    lacking = (item.n_needed or 0) - item.n
    if lacking <= 0:
        return ""
    usd = cost.usd_of(lacking)
    return f": {lacking} more, {'at a cost that is not known' if usd is None else f'some ${usd:.2f}'}"


def print_plan(plan: GatePlan) -> None:
    """Print what a run will take."""
    console = result_console()
    for one in plan.types:
        console.print(
            escape(
                f"{one.task_type}: margin {100 * one.margin:g}, flips {percentage(one.flip_rate)} ({one.flip_source}), "
                f"at most {one.cases_max} cases{', one look' if one.is_single else ''}"
            )
        )
        console.print(
            f"  if nothing changed: released with {percentage(one.unchanged.released, decimals=0)}, {one.unchanged.cases:.0f} cases on average; "
            f"if 10 points worse: released with {percentage(one.harmful.released)}, {one.harmful.cases:.0f} cases"
        )
        if not one.is_sufficient:
            console.print(
                f"  [bold]too few[/bold]: {one.needed} cases would do, or a margin of {100 * one.smallest:.1f} points"
            )
    if not plan.types:
        console.print("no baseline: every case is run once and held against the floor")
    for words in plan.lacking:
        console.print(f"  [bold]too little[/bold]: {escape(words)}")
    console.print(
        f"runs: {plan.calls_expected} expected, {plan.calls_max} at most; cost: {_money(plan.cost_expected_usd)} expected, "
        f"{_money(plan.cost_max_usd)} at most; time: {_time(plan.seconds_expected)} expected, {_time(plan.seconds_max)} at most"
    )
    for note in plan.notes:
        console.print(escape(f"note: {note}"))


def _money(usd: float | None) -> str:
    return "unknown" if usd is None else f"${usd:.2f}"


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds / 60:.1f} min"
