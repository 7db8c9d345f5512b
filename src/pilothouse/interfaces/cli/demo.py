# SPDX-License-Identifier: Apache-2.0
"""`pilothouse demo`: two weeks of a flawed pilot in under a minute, and an honest verdict at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.verdict.verdict import AgentVerdict
    from pilothouse.demo.story import DemoResult, Step
    from pilothouse.interfaces.cli.services import Services

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
        as_json: Annotated[
            bool, typer.Option("--json", help="Print the verdict as JSON and nothing else.")
        ] = False,
    ) -> None:
        """Watch an invoice-triage agent through fourteen simulated days, offline; ends with its verdict."""
        notes = Console(stderr=True, highlight=False, soft_wrap=True)
        notes.print("An invoice-triage agent, fourteen simulated days; nothing leaves this machine.")
        settings = load_settings(home=home)

        def on_step(step: Step) -> None:
            notes.print(escape(f"  {step.line}"))

        from pilothouse.demo.place import find_place
        from pilothouse.demo.story import judge_demo, run_demo

        parts = services.demo_parts()
        kept = find_place(settings) if keep else None
        result = judge_demo(kept, parts) if kept else run_demo(settings, parts, on_step=on_step)
        if as_json:
            typer.echo(json.dumps(_document(result), ensure_ascii=False))
        else:
            _print_result(Console(highlight=False, soft_wrap=True), result, home)


def _document(result: DemoResult) -> dict[str, object]:
    from pilothouse.demo.findings import worst_findings

    return {
        "home": str(result.place.home),
        "report": str(result.place.report),
        "findings": [item.sentence for item in worst_findings(result.verdict)],
        "verdict": result.verdict.model_dump(mode="json"),
    }


def _print_result(out: Console, result: DemoResult, home: Path | None) -> None:
    from pilothouse.demo.findings import worst_findings

    verdict = result.verdict
    out.print()
    out.print(f"[bold]{verdict.word}[/bold]  {escape(verdict.sentence)}")
    out.print(_domains(verdict))
    out.print("The three worst findings:" if len(worst_findings(verdict)) > 1 else "The worst finding:")
    for number, item in enumerate(worst_findings(verdict), start=1):
        scope = "" if item.scope.label == "all" else f" ({item.scope.label})"
        out.print(escape(f"  {number}. {item.requirement}{scope}: {item.sentence}"))
    where = f" --home {home}" if home is not None else ""
    inside = f" --home {result.place.home}"
    out.print()
    out.print(escape(f"Report   {result.place.report}"))
    out.print(escape(f"Charter  {result.place.charter}"))
    out.print()
    out.print("Go on with:")
    out.print(escape(f"  pilothouse up --demo{where}"))
    out.print(escape(f"  pilothouse verdict {verdict.agent}{inside}"))
    out.print(escape(f"  pilothouse traces --agent {verdict.agent}{inside}"))


def _domains(verdict: AgentVerdict) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("domain", "status", "decided by", "holds", "at risk", "breached", "no evidence"):
        table.add_column(
            heading, justify="right" if heading in {"holds", "at risk", "breached", "no evidence"} else "left"
        )
    for domain in verdict.domains:
        counts = dict.fromkeys(("holds", "at_risk", "breached", "no_evidence"), 0)
        for requirement in verdict.requirements:
            if requirement.domain == domain.domain:
                counts[requirement.status.value] += 1
        reason = f" ({domain.reason.value})" if domain.reason else ""
        table.add_row(
            escape(f"{domain.domain}  {domain.title}"),
            domain.status.value.replace("_", " ") + reason,
            domain.worst,
            *(str(count) for count in counts.values()),
        )
    return table
