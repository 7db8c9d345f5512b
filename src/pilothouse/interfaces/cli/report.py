# SPDX-License-Identifier: Apache-2.0
"""`pilothouse report`: the sheet for whoever decides, the weekly note, the 30-day plan, the compliance map, the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import minute
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import print_json, result_console, say
from pilothouse.interfaces.cli.options import Agent, AsJson, Home
from pilothouse.interfaces.past_moment import past_moment
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.verdict.assess import Assessment
    from pilothouse.workflows.verdict.residency import Residency

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `report` to the command tree."""
    group = typer.Typer(
        name="report", help="Hand over what holds: to executive, owner or auditor.", no_args_is_help=True
    )

    def judged(installation: Installation, agent: str | None, *, freeze: bool = False) -> Assessment:
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.verdict.assess import assess

        chosen = choose_agent(installation, agent)
        return assess(installation, chosen, services.clock.now(), freeze=freeze)

    @group.command("executive")
    def executive(
        agent: Agent = None,
        *,
        out: Annotated[
            Path | None, typer.Option(help="File to write: .pdf (tagged, PDF/UA-1) or .html.")
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """One sheet: go or not, what that rests on, three numbers, and what would change it."""
        from pilothouse.reports.terminal_report import render_executive
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.reports.report import record_spending, show_executive, write_executive

        with services.open_installation(load_settings(home=home)) as installation:
            found = judged(installation, agent, freeze=out is not None)
            page = show_executive(installation, found)
            record_spending(installation, found)
            written = None if out is None else write_executive(installation, page, out)
        if written is not None:
            say(f"{page.word}: {out}\n  sha256 {written}, recorded in the audit log")
        elif as_json:
            typer.echo(page_json(page))
        else:
            render_executive(page, result_console(wrap=True))

    @group.command("weekly")
    def weekly(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Three sentences to the owner: how it stands and what changed, what is asked, what lapses next."""
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.curation.corrections_week import corrections_of_note
        from pilothouse.workflows.reports.report import show_weekly

        settings = load_settings(home=home)
        with services.open_installation(settings) as installation, services.open_curation(settings) as desk:
            found = judged(installation, agent)
            week = corrections_of_note(desk.week(found.charter.agent))
            page = show_weekly(installation, found, corrections=week)
        if as_json:
            typer.echo(page_json(page))
        else:
            say(page.text)

    @group.command("sprint")
    def sprint(
        agent: Agent = None,
        *,
        start: Annotated[
            str | None,
            typer.Option(metavar="DATE", help="First day; that of the first charter in force by default."),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """The 30-day plan: four weeks with dates, each line with its proof or with what is missing."""
        from pilothouse.reports.terminal_sections import render_sections
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.reports.sprint import parse_start, show_sprint

        first = None if start is None else parse_start(start)
        with services.open_installation(load_settings(home=home)) as installation:
            page = show_sprint(installation, judged(installation, agent), first)
        if as_json:
            typer.echo(page_json(page))
        else:
            render_sections(page, result_console(wrap=True))

    @group.command("compliance")
    def compliance(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Which controls of which frameworks this agent's evidence speaks to, with status and age."""
        from pilothouse.reports.terminal_sections import render_sections
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.reports.report import show_compliance

        with services.open_installation(load_settings(home=home)) as installation:
            page = show_compliance(judged(installation, agent))
        if as_json:
            typer.echo(page_json(page))
        else:
            render_sections(page, result_console(wrap=True))

    @group.command("auditor")
    def auditor(
        target: Annotated[Path, typer.Argument(help="Zip file to write; its name ends in .zip.")],
        agent: Agent = None,
        *,
        day: Annotated[
            str | None,
            typer.Option(
                metavar="TIME",
                help="The earlier verdicts begin with the last one of this day, or up to this moment.",
            ),
        ] = None,
        home: Home = None,
    ) -> None:
        """One file with everything a verdict rests on, which `pilothouse-verify` checks without Pilothouse."""
        from pilothouse.workflows.reports.evidence_bundle import export_evidence

        if target.suffix != ".zip":  # the other reports take the agent first
            raise UsageError(
                f"{str(target)!r} does not end in .zip",
                remedy="Name the file, then the agent: "
                f"`pilothouse report auditor bundle.zip {target if agent is None or agent.endswith('.zip') else agent}`.",
                subject=str(target),
            )
        until = None if day is None else past_moment(day, services.clock.now(), option="--day")
        with services.open_boundary(load_settings(home=home)) as room:
            found = judged(room.installation, agent, freeze=True)
            done = export_evidence(room, found, target, until=until)
        say(f"{done.word}: {done.records:,} records behind {done.items:,} items in {target}")
        if until is not None:
            say(
                f"  No verdict was given up to {minute(until)}."
                if done.earlier is None
                else f"  verdicts/000.json is what stood then: {done.earlier[1]}, given {minute(done.earlier[0])}"
            )
        say(f"  $ pilothouse-verify {target} --key KEY-FROM-ANOTHER-WAY --checkpoint ANCHOR")

    @group.command("residency")
    def residency(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Where this agent's calls went against where they may go, and each regulation's controls; puts both on record."""
        from pilothouse.workflows.verdict.residency import measure_residency

        with services.open_installation(load_settings(home=home)) as installation:
            found = judged(installation, agent)
            seen = measure_residency(installation, found.charter, found.verdict, services.clock.now())
            installation.ledger.add_evidence(seen.evidence)
        if as_json:
            from dataclasses import asdict

            shown = {key: value for key, value in asdict(seen).items() if key != "evidence"}
            print_json(shown)
        else:
            _show_residency(seen)

    cli.add_typer(group)


def _show_residency(seen: Residency) -> None:
    from rich.table import Table

    console = result_console(wrap=True)
    allowed = ", ".join(seen.regions) if seen.regions else "not said yet (`residency.regions` of the charter)"
    console.print(f"{seen.agent} may call: {allowed}", markup=False)
    if seen.contacts:
        table = Table("", "place", "region", "calls, 14 d", box=None, pad_edge=False)
        for one in seen.contacts:
            mark = "✓" if one.is_allowed else "–" if one.is_open else "✗"
            table.add_row(mark, one.place, one.region, f"{one.calls:,}")
        console.print(table)
    else:
        console.print("No call was seen in 14 days: start `pilothouse up`, then the agent.")
    for state in seen.controls:
        if not state.controls:
            console.print(f"– {state.regulation}: no map speaks of it", markup=False)
            continue
        mark = "✗" if state.is_breached else "–" if state.missing else "✓"
        held = state.controls - len(state.missing)
        console.print(
            f"{mark} {state.regulation}: {held} of {state.controls} controls have evidence", markup=False
        )
        for gap in state.missing:
            console.print(f"    {gap}", markup=False)
    if not seen.controls:
        console.print("The charter names no regulation.")
    say(f"  $ pilothouse verdict {seen.agent} --full", err=True)
