# SPDX-License-Identifier: Apache-2.0
"""What `pilothouse verdict` shows: the Readiness page with the truth line and, when asked for, the plan."""

from __future__ import annotations

from datetime import datetime, timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.dates import day
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.remediation import Plan, Step, plan_steps
from pilothouse.core.verdict.sentence import person_names
from pilothouse.reports.pilot_probes import ProbeRow, probe_rows
from pilothouse.reports.readiness import ReadinessPage, build_readiness
from pilothouse.reports.view_models import Frozen, StatusMark, mark_of, shown_text
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["StepRow", "TruthRow", "VerdictPage", "build_verdict_page"]


PATH_SHOWN_MAX = 5
"""Commands of the critical path that one sentence names; the list below has all."""

HALF_DAY = 0.5
"""Less than half a day is no day saved."""


class TruthRow(Frozen):
    """Claims of one task type against the system of record; the parts add up to `said_done`.

    Attributes:
        task_type: Task type.
        shown: The truth line, the only text of these numbers.
        said_done: Tasks that say they are done.
        agrees: The system of record agrees.
        contradicts: It says otherwise.
        unverifiable: It was asked and cannot tell.
        pending: It was asked and will be asked again.
        not_asked: Nobody asked yet.
        hint: What is in the way of knowing more, or empty.
    """

    task_type: str
    shown: str
    said_done: int
    agrees: int
    contradicts: int
    unverifiable: int
    pending: int
    not_asked: int
    hint: str = ""


class StepRow(Frozen):
    """One thing to do.

    Attributes:
        command: What to type.
        mark: Status of the worst item that it is for.
        items: Items that it settles.
        sentence: Why.
        who: Names of those who must act.
        for_next_gate: Whether the next gate waits for it.
        days_saved: Days by which the next gate is reached sooner if this were done already.
        effort: What it takes and saves, in words.
    """

    command: str
    mark: StatusMark
    items: tuple[str, ...]
    sentence: str
    who: tuple[str, ...]
    for_next_gate: bool
    days_saved: float
    effort: str


class VerdictPage(ReadinessPage):
    """The Readiness page with what a terminal shows beside it.

    Attributes:
        truth: Claims against the system of record, declared task types first.
        plan: What to do, most urgent first; empty unless it was asked for.
        plan_sentence: When the next gate can be reached, and by what; empty without a plan.
        probes: What a pilot hides, and what production shows of it; empty unless it was asked for.
    """

    truth: tuple[TruthRow, ...]
    plan: tuple[StepRow, ...] = ()
    plan_sentence: str = ""
    probes: tuple[ProbeRow, ...] = ()


def build_verdict_page(found: Assessment, *, plan: bool = False, probes: bool = False) -> VerdictPage:
    """Return the view model of a verdict.

    Args:
        found: The assessment.
        plan: Whether to add what to do.
        probes: Whether to add what a pilot hides.
    """
    page = build_readiness(found.verdict, found.charter)
    names = person_names(found.charter)
    todo = plan_steps(found.verdict, found.charter) if plan else None
    currency = known(found.charter.currency) or "USD"
    return VerdictPage(
        **{name: getattr(page, name) for name in type(page).model_fields},
        truth=tuple(_truth_row(found, count) for count in found.truth),
        plan=tuple(_step_row(step, names, currency) for step in todo.steps) if todo else (),
        plan_sentence=_plan_sentence(todo, found.verdict.as_of) if todo else "",
        probes=probe_rows(page) if probes else (),
    )


def _truth_row(found: Assessment, count: TruthCount) -> TruthRow:
    return TruthRow(
        task_type=shown_text(count.task_type),
        shown=count.line if count.said_done else "no task has said that it is done yet",
        said_done=count.said_done,
        agrees=count.agrees,
        contradicts=count.contradicts,
        unverifiable=count.unverifiable,
        pending=count.pending,
        not_asked=count.not_asked,
        hint=_hint(found, count),
    )


def _hint(found: Assessment, count: TruthCount) -> str:
    terms = found.charter.task_types.get(count.task_type)
    if terms is None:
        return "the charter does not declare this task type" if count.said_done else ""
    if terms.verifier is None or is_open(terms.verifier.use):
        return terms.unverifiable_because or "the charter names no verifier (docs/how-to/verify-outcomes.md)"
    if not count.cannot_tell:
        return ""
    parts = (
        (count.unverifiable, "unverifiable"),
        (count.pending, "pending"),
        (count.not_asked, "not asked yet"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in parts if number)


def _step_row(step: Step, names: dict[str, str], currency: str) -> StepRow:
    return StepRow(
        command=step.command,
        mark=mark_of(step.status),
        items=step.items,
        sentence=shown_text(step.sentence),
        who=tuple(names.get(person, person) for person in step.who),
        for_next_gate=step.for_next_gate,
        days_saved=step.days_saved,
        effort=_effort(step, currency),
    )


def _effort(step: Step, currency: str) -> str:
    """Return what a step takes and saves; the work is a guess, and says so."""
    parts = [f"saves {_days(step.days_saved)}"] if step.days_saved >= HALF_DAY else []
    waits = step.wait_days >= HALF_DAY
    if step.work_days:
        work = f"about {_days(step.work_days)} of work"
        parts.append(f"{work}, then {_days(step.wait_days)} of waiting" if waits else work)
    else:
        parts.append("only waiting" + (f", about {_days(step.wait_days)}" if waits else ""))
    if step.cost is not None and step.work_days:
        low, high = step.cost
        parts.append(f"{currency} {low:,.0f}–{high:,.0f}")
    return " · ".join(parts)


def _days(days: float) -> str:
    if days < 1:
        hours = max(1, round(days * 8))
        return f"{hours} working hour{'' if hours == 1 else 's'}" if days < HALF_DAY else "half a day"
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}"


def _plan_sentence(plan: Plan, now: datetime) -> str:
    if plan.days is None:
        return ""
    soon, late = (now + timedelta(days=days) for days in plan.days)
    path = plan.critical[:PATH_SHOWN_MAX]
    rest = len(plan.critical) - len(path)
    more = f", and {rest} more" if rest else ""
    return (
        f"Gate {plan.gate} can be reached between {day(soon)} and {day(late)} (work guessed, from half to "
        f"twice). It hangs on: {', then '.join(path)}{more}."
    )
