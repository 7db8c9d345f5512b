# SPDX-License-Identifier: Apache-2.0
"""`pilothouse demo`: weeks of one agent in a minute and a half, from a failed verdict through phase 1 to phase 2."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.options import AsJson
from pilothouse.interruption import stop_between_transactions
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.demo.parts import Step
    from pilothouse.demo.story import DemoResult
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.interfaces.cli.verdict_view import VerdictPage

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `demo` to the command tree."""

    @cli.command("demo")
    def demo(
        *,
        home: Annotated[
            Path | None,
            typer.Option(help="Data folder; the demo uses `demo` in it.", envvar="PILOTHOUSE_HOME"),
        ] = None,
        keep: Annotated[
            bool, typer.Option("--keep", help="Keep an earlier run and judge it as of now, if there is one.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Watch an invoice-triage agent fail, be repaired, enter phase 1, fall, recover and enter phase 2, offline."""
        notes = hint_console()
        notes.print("An invoice-triage agent, eight and a half simulated weeks; nothing leaves this machine.")
        notes.print("A line with $ is a command that anybody can type; the demo plays the people who sign.")
        told: list[Step] = []
        settings = load_settings(home=home)

        def on_step(step: Step) -> None:
            told.append(step)
            notes.print(
                f"\n[bold]{escape(step.line)}[/bold]" if step.is_chapter else escape(f"  {step.line}")
            )

        from pilothouse.demo.place import find_place
        from pilothouse.demo.story import judge_demo, run_demo

        parts = services.demo_parts()
        kept = find_place(settings) if keep else None
        # Server and agent are processes of their own: a SIGTERM must end them as Ctrl-C does, not orphan them.
        with stop_between_transactions((signal.SIGINT, signal.SIGTERM)):
            result = judge_demo(kept, parts) if kept else run_demo(settings, parts, on_step=on_step)
        if as_json:
            print_json(_document(result, told))
        else:
            _print_result(result_console(), result, home)


def _document(result: DemoResult, told: list[Step]) -> dict[str, object]:
    from pilothouse.demo.findings import worst_findings
    from pilothouse.interfaces.cli.verdict_view import build_verdict_page

    return {
        "home": str(result.place.home),
        "report": str(result.place.report),
        "findings": [item.sentence for item in worst_findings(result.verdict)],
        "story": [asdict(step) for step in told],
        "pilot": build_verdict_page(result.pilot).model_dump(mode="json"),
        "failed": build_verdict_page(result.failed).model_dump(mode="json"),
        "verdict": build_verdict_page(result.assessment).model_dump(mode="json"),
    }


def _print_result(out: Console, result: DemoResult, home: Path | None) -> None:
    """Print what could be said after the pilot, after two weeks and now, and where to go on."""
    from pilothouse.demo.findings import worst_findings
    from pilothouse.interfaces.cli.verdict_view import build_verdict_page
    from pilothouse.reports.terminal import head, plain_text

    pilot, failed = build_verdict_page(result.pilot), build_verdict_page(result.failed)
    page = build_verdict_page(result.assessment)
    findings = worst_findings(result.verdict)
    out.print()
    out.print(Text("After the pilot, day 2", style="bold"))
    out.print(_truth(pilot, out))
    out.print(Text(plain_text(f"  {pilot.word}: {pilot.sentence.plain}", out)))
    out.print()
    out.print(Text("After two weeks of real mail", style="bold"))
    out.print(head(failed, out, f"{failed.phase} · version {failed.version} · {failed.word}"))
    out.print("What the agent says, and what the ERP says about it:")
    out.print(_truth(failed, out))
    out.print(f"The {len(findings)} worst findings:")
    for number, item in enumerate(findings, start=1):
        scope = "" if item.scope.label == "all" else f" · {item.scope.label}"
        out.print(Text(plain_text(f"  {number}. {item.requirement}{scope}", out), style="bold"))
        out.print(Text(plain_text(f"     {item.sentence}", out)))
    out.print()
    out.print(Text("Now, repaired, fallen and promoted", style="bold"))
    out.print(head(page, out, f"{page.phase} · version {page.version} · {page.word}"))
    out.print(_truth(page, out))
    out.print("What is asked of it, by domain:")
    out.print(_domains(page, out))
    _print_way_on(out, result, home)


def _print_way_on(out: Console, result: DemoResult, home: Path | None) -> None:
    where = f" --home {home}" if home is not None else ""
    agent = result.verdict.agent
    out.print()
    out.print(Text(f"Report   {result.place.report}"))
    out.print(Text(f"Charter  {result.place.charter}"))
    out.print()
    out.print("Go on with:")
    for command in (
        f"pilothouse up --demo{where}",
        f"pilothouse phase status {agent} --home {result.place.home}",
        f"pilothouse verdict {agent} --plan --home {result.place.home}",
        f"pilothouse incident list --all --home {result.place.home}",
    ):
        out.print(Text(f"  {command}"))


def _truth(page: VerdictPage, out: Console) -> Text:
    """Return one line for each task type that claimed anything; never wrapped, so that it can be read by column."""
    from pilothouse.reports.terminal import plain_text

    rows = [row for row in page.truth if row.said_done]
    width = max((len(row.task_type) for row in rows), default=0)
    lines = [(f"  {row.task_type:<{width}}  ", row.shown) for row in rows]
    return Text("\n").join(
        Text.assemble((plain_text(name, out), "bold"), plain_text(shown, out)) for name, shown in lines
    )


def _domains(page: VerdictPage, out: Console) -> Table:
    from pilothouse.reports.terminal import mark_text, plain_text

    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    for section in page.domains:
        if section.mark is not None:
            table.add_row(
                mark_text(section.mark, out),
                Text(plain_text(section.title, out)),
                Text(plain_text(section.counts, out), style="dim"),
            )
    return table
