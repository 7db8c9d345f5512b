# SPDX-License-Identifier: Apache-2.0
"""The compliance map: framework, control, the evidence that speaks to it, its status and its age.

It says "produces evidence for" and never more: whether an organisation complies is for its auditors.
"""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.numbers import significant
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, worst_status
from pilothouse.reports.context import Control, Framework, control_map
from pilothouse.reports.view_models import (
    ActionOffer,
    Frozen,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["CompliancePage", "ControlRow", "FrameworkShown", "build_compliance"]

UNCHECKED = "This row was not yet held against the framework's text by a person."


class ControlRow(Frozen):
    """One control and what produces evidence for it.

    Attributes:
        control: How the framework calls it.
        asks: What it asks for, in our words.
        mark: Worst status of the evidence; None where nothing covers it.
        evidence: Each requirement with its status, cases and age, in words.
        query: What to type to see the evidence.
        note: What limits the row, or empty.
    """

    control: str
    asks: str
    mark: StatusMark | None
    evidence: tuple[str, ...]
    query: str
    note: str


class FrameworkShown(Frozen):
    """One framework.

    Attributes:
        name: Its name.
        is_declared: Whether the charter names it under `regulations`.
        rows: Its controls.
    """

    name: str
    is_declared: bool
    rows: tuple[ControlRow, ...]


class CompliancePage(Page):
    """What this agent's evidence speaks to.

    Attributes:
        frameworks: Those that the charter names first.
        unknown: Regulations of the charter that no map speaks of.
        action: The one thing to do next.
    """

    frameworks: tuple[FrameworkShown, ...]
    unknown: tuple[str, ...]
    action: ActionOffer


def build_compliance(charter: Charter, verdict: AgentVerdict, now: datetime) -> CompliancePage:
    """Return the compliance map of an agent."""
    named = tuple(str(one).lower() for one in known(charter.regulations) or () if not is_open(one))
    by_id = {one.requirement: one for one in verdict.requirements}
    found = control_map()
    shown = [_framework(one, named, by_id, verdict.agent) for one in found.framework]
    spoken_of = {name for one in found.framework for name in one.names}
    declared = [one for one in shown if one.is_declared]
    rows = [row for one in declared for row in one.rows]
    covered = sum(row.mark is not None for row in rows)
    holding = sum(row.mark is not None and row.mark.status.value in {"holds", "at_risk"} for row in rows)
    sentence = (
        f"{charter.agent} produces evidence for {covered} of {plural(len(rows), 'control')} of "
        f"{', '.join(one.name for one in declared)}; for {holding} of them it holds today."
        if declared
        else "The charter names no regulation, so every framework below is only for reading."
    )
    return CompliancePage(
        name="compliance",
        title=f"Compliance map of {charter.agent}",
        heading="Compliance map",
        agent=charter.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=sentence),
        notices=(
            f"Map of {calendar_day(found.dated)}, in our words.",
            "A row says what produces evidence for a control; it does not say that anybody complies.",
        ),
        frameworks=tuple(sorted(shown, key=lambda one: not one.is_declared)),
        unknown=tuple(shown_text(name) for name in named if name not in spoken_of),
        action=ActionOffer(
            label="Hand the records to an auditor",
            command=f"pilothouse report auditor {charter.agent} FILE.zip",
        ),
    )


def _framework(
    framework: Framework, named: tuple[str, ...], by_id: dict[str, RequirementVerdict], agent: str
) -> FrameworkShown:
    return FrameworkShown(
        name=framework.name,
        is_declared=bool(set(framework.names) & set(named)),
        rows=tuple(_row(control, by_id, agent) for control in framework.control),
    )


def _row(control: Control, by_id: dict[str, RequirementVerdict], agent: str) -> ControlRow:
    found = [by_id[name] for name in control.evidence]
    if not found:
        return ControlRow(
            control=control.id, asks=control.asks, mark=None, evidence=(), query="", note="Not covered."
        )
    worst = worst_status(tuple(one.status for one in found))
    deciding = next(one for one in found if one.status is worst)
    return ControlRow(
        control=control.id,
        asks=control.asks,
        mark=mark_of(worst, deciding.reason),
        evidence=tuple(_evidence(one) for one in found),
        query=f"pilothouse verdict {agent} --full",
        note="" if control.checked else UNCHECKED,
    )


def _evidence(found: RequirementVerdict) -> str:
    item = found.deciding
    parts = [f"{found.requirement} {mark_of(found.status, found.reason).spoken.lower()}"]
    if item.n:
        parts.append(plural(item.n, "case"))
    if item.age_days is not None:
        parts.append("today" if item.age_days < 1 else f"{significant(item.age_days, 2)} days old")
    return ", ".join(parts)
