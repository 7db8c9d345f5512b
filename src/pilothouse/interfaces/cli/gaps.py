# SPDX-License-Identifier: Apache-2.0
"""`pilothouse gaps`: which terms an agent fails on, who sees to each, and the book of corrected cases."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.verdict.numbers import percentage
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.evidence.knowledge_gaps import Gap
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.curation.knowledge_gaps import GapAudit

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `gaps` group to the command tree."""
    group = typer.Typer(help="What an agent does not know.", no_args_is_help=True)
    cli.add_typer(group, name="gaps")

    @group.command("audit")
    def audit(agent: AgentOption = None, home: Home = None, *, as_json: AsJson = False) -> None:
        """Cluster the failures of 28 days by term, held against glossary, examples and cases; goes on record."""
        with services.open_gaps(load_settings(home=home)) as room:
            found = room.audit(agent)
        if as_json:
            print_json(_record(found))
            return
        for line in _lines(found):
            say(line)

    @group.command("own")
    def own(
        term: Annotated[str, typer.Argument(help="The term, as the audit writes it.")],
        *,
        person: Annotated[str, typer.Option(help="Person id of the charter.")],
        agent: AgentOption = None,
        home: Home = None,
    ) -> None:
        """Say who sees to a gap: explains the term, reviews its cases."""
        with services.open_gaps(load_settings(home=home)) as room:
            room.own(agent, term, person, actor=command_line_actor())
        say(f"{person} sees to {term!r}")

    @group.command("casebook")
    def casebook(
        *,
        agent: AgentOption = None,
        out: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Markdown file. Default: standard output.")
        ] = None,
        home: Home = None,
    ) -> None:
        """Write corrected cases down: what was asked, what the agent said, what is right and why."""
        with services.open_gaps(load_settings(home=home)) as room:
            text = room.case_book(agent)
        if out is None:
            say(text.removesuffix("\n"))
            return
        out.write_text(text, encoding="utf-8")
        say(f"{out}: written")


def _record(audit: GapAudit) -> dict[str, object]:
    return {
        "tasks": audit.gaps.tasks,
        "failures": audit.gaps.failures,
        "unexplained": audit.gaps.unexplained,
        "is_whole": audit.is_whole,
        "gaps": [
            {**asdict(gap), "owner": audit.owners.get(gap.term), "is_open": gap in audit.open}
            for gap in audit.gaps.found
        ],
    }


def _lines(audit: GapAudit) -> list[str]:
    gaps = audit.gaps
    window = "28 days" if audit.is_whole else "the newest tasks"
    lines = [f"{gaps.failures:,} of {gaps.tasks:,} tasks of {window} went wrong or were held."]
    if not gaps.failures:
        return lines
    for number, gap in enumerate(gaps.found, 1):
        lines += _gap(number, gap, audit)
    if gaps.unexplained:
        lines.append(f"{gaps.unexplained:,} failures share no term that sets them apart.")
    if audit.open:
        term = audit.open[0].term
        lines.append(f"{len(audit.open)} frequent gaps lack an owner or cases, for example:")
        lines.append(f"  pilothouse gaps own {json.dumps(term, ensure_ascii=False)} --person PERSON")
        lines.append("  pilothouse review, then pilothouse curate cases --into FOLDER")
    elif not audit.is_enough:
        lines.append(
            "Too little was looked at for a record: 200 failures, or all tasks of 28 days, are needed."
        )
    else:
        lines.append("Each frequent gap has an owner and cases.")
    return lines


def _gap(number: int, gap: Gap, audit: GapAudit) -> list[str]:
    topic = f" ({', '.join(gap.topic)})" if gap.topic else ""
    glossary = "in the glossary" if gap.is_in_glossary else "not in the glossary"
    owner = audit.owners.get(gap.term)
    return [
        f"{number:>2}. {gap.term}{topic}: {gap.failures:,} of {gap.tasks:,} tasks, {percentage(gap.share)} of all",
        f"    {glossary}, {gap.examples:,} examples, {gap.cases:,} cases, "
        + (f"{owner} sees to it" if owner else "nobody sees to it"),
        f"    for example {gap.traces[0]}" if gap.traces else "",
    ]
