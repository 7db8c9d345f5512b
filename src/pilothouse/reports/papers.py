# SPDX-License-Identifier: Apache-2.0
"""Pages as sections of tables, for paper and terminal: what a page with a template of its own shows, in the form that is printed."""

from __future__ import annotations

from functools import singledispatch

from pilothouse.reports.incidents import IncidentPage
from pilothouse.reports.readiness import ReadinessPage
from pilothouse.reports.requirement_rows import ItemRow, RequirementRow
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.value import ValuePage
from pilothouse.reports.view_models import Page

__all__ = ["paper_sections"]


@singledispatch
def paper_sections(page: Page) -> tuple[Section, ...]:
    """Return the content of a page below its head as sections; texts are put side by side and nothing is computed.

    Args:
        page: Readiness, Value, the 30-day plan, an incident, or any page made of sections.

    Raises:
        NotImplementedError: The page has no paper; a route that names it is a bug.
    """
    raise NotImplementedError(page.name)


@paper_sections.register
def _(page: SectionsPage) -> tuple[Section, ...]:
    return page.sections


@paper_sections.register
def _(page: ReadinessPage) -> tuple[Section, ...]:
    counts = " · ".join(f"{one.shown} {one.mark.word.lower()}" for one in page.counts)
    facts = {
        "Phase": page.phase,
        "Version judged": page.version,
        "Charter": page.charter,
        "First lapse": page.next_lapse.absolute if page.next_lapse else "nothing counts yet",
        "Requirements of every gate": counts,
    }
    heads = [f"{gate.title} ({gate.place})" if gate.place else gate.title for gate in page.gates]
    total = row(
        "All",
        *(
            Cell(
                mark=gate.mark,
                small=f"decided by {gate.blocking.text}{f'; {gate.waived}' if gate.waived else ''}",
            )
            for gate in page.gates
        ),
    )
    domains = tuple(
        row(
            domain.title,
            *(
                Cell(mark=cell.mark, small=cell.counts) if cell.mark else Cell(text="asks nothing")
                for cell in domain.cells
            ),
        )
        for domain in page.domains
        if domain.key != "Q"
    )
    gates = Section(anchor="gates", title="Gates", columns=columns("Domain", *heads), rows=(total, *domains))
    return (
        _facts(tuple(facts.items())),
        gates,
        *(
            Section(
                anchor=domain.key,
                title=domain.title,
                note=domain.counts,
                columns=columns("State", "Requirement", "Measured", "Evidence", "Next"),
                rows=tuple(_requirement(one) for one in (*domain.requirements, *domain.later)),
            )
            for domain in page.domains
            if domain.requirements or domain.later
        ),
    )


def _facts(facts: tuple[tuple[str, str], ...]) -> Section:
    return Section(
        anchor="facts",
        title="Facts",
        columns=columns("What", "It is"),
        rows=tuple(row(*one) for one in facts),
    )


def _requirement(one: RequirementRow) -> Row:
    decides = one.deciding
    said = f"{decides.sentence} {one.waiver.text}" if one.waiver else decides.sentence
    measured = decides.measured
    shown = f"{measured.shown} {measured.shown_interval}".strip() if measured else ""
    return row(
        one.mark,
        Cell(text=f"{one.id} {one.statement}", small=said),
        Cell(text=shown, small=f"must hold: {decides.rule}"),
        _evidence(decides),
        Cell(command=decides.command, small=", ".join(decides.who)),
        anchor=one.id,
    )


def _evidence(item: ItemRow) -> str:
    lapse = f"lapses {item.lapses.absolute}" if item.lapses else ""
    age = f"{item.age.shown} ({item.age.absolute})" if item.age else ""
    return " · ".join(one for one in (item.cases, age, item.basis, lapse) if one)


@paper_sections.register
def _(page: ValuePage) -> tuple[Section, ...]:
    return page.sections


@paper_sections.register
def _(page: IncidentPage) -> tuple[Section, ...]:
    events = tuple(row(one.when.absolute, one.text) for one in page.events)
    return (
        _facts(page.facts),
        Section(
            anchor="timeline",
            title="Timeline",
            note=page.picture.description if page.picture else "",
            columns=columns("When", "What happened"),
            rows=events,
        ),
        Section(
            anchor="traces",
            title="Traces, worst first",
            columns=columns("Task"),
            rows=tuple(row(Cell(text=one.text, is_code=True)) for one in page.traces),
        ),
        Section(
            anchor="commands",
            title="At the command line",
            columns=columns("Command"),
            rows=tuple(row(Cell(command=one)) for one in page.commands),
        ),
    )
