# SPDX-License-Identifier: Apache-2.0
"""`pilothouse context probe`: whether any recorded input was shortened without a word."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import ExitStatus
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `context` to the command tree."""
    group = typer.Typer(no_args_is_help=True, help="What models really read of their inputs.")
    cli.add_typer(group, name="context")

    @group.command("probe")
    def probe(
        *,
        agent: Annotated[str, typer.Argument(help="Agent whose recorded calls are looked at.")],
        days: Annotated[int, typer.Option(min=1, max=365, help="How far back.")] = 30,
        as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
        home: Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")] = None,
    ) -> None:
        """Compare what providers say they read with what was sent, and keep the count as evidence."""
        from pilothouse.workflows.context_probe import keep_truncation, probe_context

        settings = load_settings(home=home)
        with services.open_run_log(settings) as log, services.open_installation(settings) as installation:
            report = probe_context(log, agent, services.clock.now(), days=days)
            kept = keep_truncation(installation.ledger, report)
        if as_json:
            typer.echo(json.dumps(asdict(report), default=str))
        else:
            typer.echo(
                f"{report.inputs} inputs of {agent} in {days} days: {report.cut} read short, {report.unknown} without a reported size"
            )
            if report.error_share is not None:
                typer.echo(
                    f"  estimate from the second call on: within {100 * report.error_share:.1f} % for 95 % of inputs"
                )
            for run in report.runs:
                typer.echo(f"  read short in run {run}; look: pilothouse replay {run[:12]} --show")
            if kept is None:
                typer.echo("  no provider reported a size, so nothing is kept as evidence")
        if report.cut:
            raise typer.Exit(int(ExitStatus.BREACHED))
        if kept is None:
            raise typer.Exit(int(ExitStatus.NOT_ENOUGH_EVIDENCE))
