# SPDX-License-Identifier: Apache-2.0
"""The compliance map: framework, control, the evidence that speaks to it, its status and its age.

It says "produces evidence for" and never more: whether an organisation complies is for its auditors.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, Status, worst_status
from pilothouse.reports.context import Control, control_map
from pilothouse.reports.moments import age_text
from pilothouse.reports.requirement_rows import cases_of
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["build_compliance"]

HOLDING = frozenset({Status.HOLDS, Status.AT_RISK})

UNCHECKED = "This row was not yet held against the framework's text by a person."
NONE_CHECKED = "No row was held against the text of its framework by a person yet."


def build_compliance(charter: Charter, verdict: AgentVerdict, now: datetime) -> SectionsPage:
    """Return the compliance map of an agent: the frameworks that its charter names, then the others folded."""
    named = {str(one).lower() for one in known(charter.regulations) or () if not is_open(one)}
    by_id = {one.requirement: one for one in verdict.requirements}
    found = control_map()
    declared = [one for one in found.framework if named & set(one.names)]
    marks = [_mark(control, by_id) for one in declared for control in one.control]
    covered = [one for one in marks if one is not None]
    holding = sum(one.status in HOLDING for one in covered)
    sentence = (
        f"{charter.agent} produces evidence for {len(covered)} of {plural(len(marks), 'control')} of "
        f"{', '.join(one.name for one in declared)}; for {holding} of them it holds today."
        if declared
        else "The charter names no regulation, so every framework below is only for reading."
    )
    any_checked = any(control.checked for one in found.framework for control in one.control)
    unknown = sorted(named - {name for one in found.framework for name in one.names})
    return SectionsPage(
        name="compliance",
        title=f"Compliance map of {charter.agent}",
        heading="Compliance map",
        agent=charter.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=sentence, href=f"/agents/{quote(charter.agent, safe='')}/readiness"),
        notices=(
            f"Map of {calendar_day(found.dated)}, in our words.",
            "A row says what produces evidence for a control; it does not say that anybody complies."
            + ("" if any_checked else f" {NONE_CHECKED}"),
            *([f"No map speaks of: {shown_text(', '.join(unknown))}."] if unknown else []),
        ),
        sections=tuple(
            Section(
                anchor=one.names[0],
                title=one.name,
                note="" if one in declared else "not named by the charter",
                columns=columns("Control", "Asks for", "State", "Evidence is produced by"),
                rows=tuple(_row(control, by_id, any_checked=any_checked) for control in one.control),
                style="folded" if declared and one not in declared else "open",
            )
            for one in sorted(found.framework, key=lambda one: one not in declared)
        ),
        action=ActionOffer(
            label="Hand the records to an auditor",
            command=f"pilothouse report auditor {charter.agent} FILE.zip",
        ),
    )


def _mark(control: Control, by_id: dict[str, RequirementVerdict]) -> StatusMark | None:
    """Worst status of the evidence; None where nothing covers the control."""
    found = [by_id[name] for name in control.evidence]
    if not found:
        return None
    worst = worst_status(tuple(one.status for one in found))
    return mark_of(worst, next(one for one in found if one.status is worst).reason)


def _row(control: Control, by_id: dict[str, RequirementVerdict], *, any_checked: bool) -> Row:
    mark = _mark(control, by_id)
    if mark is None:
        return row(control.id, control.asks, "not covered", None)
    evidence = Cell(
        text="; ".join(_evidence(by_id[name]) for name in control.evidence),
        small=UNCHECKED if any_checked and not control.checked else "",
    )
    return row(control.id, control.asks, mark, evidence)


def _evidence(found: RequirementVerdict) -> str:
    item = found.deciding
    parts = [f"{found.statement} ({found.requirement}): {mark_of(found.status, found.reason).spoken.lower()}"]
    parts += [cases_of(item), "" if item.age_days is None else age_text(item.age_days)]
    return ", ".join(filter(None, parts))
