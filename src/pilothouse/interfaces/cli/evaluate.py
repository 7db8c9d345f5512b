# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval`: run an agent on cases without a release in view, list scorers, make attacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli import comparing, golden, judging
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]

CHARTER_NAME = "charter.yaml"
JOURNAL = Path(".pilothouse/evals.db")


def register(cli: typer.Typer, services: Services) -> None:
    """Add `eval run | scorers | plan | label | judge | golden | compare | import` to the command tree."""
    group = typer.Typer(help="Run an agent on cases and score what it answers.", no_args_is_help=True)
    cli.add_typer(group, name="eval")

    judging.add_commands(group, services)
    golden.add_commands(group, services)
    comparing.add_commands(group, services)

    @group.command("run")
    def run(
        *,
        target: Annotated[str, typer.Argument(help="python:MODULE:FUNCTION, http://URL, exec:COMMAND, ...")],
        dataset: Annotated[
            Path | None, typer.Option(help="Folder or file. Default: the charter's labelled dataset.")
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")
        ] = None,
        scorer: Annotated[
            str | None, typer.Option(help="""Judges cases without asserts: NAME or NAME={"json": "args"}.""")
        ] = None,
        repeats: Annotated[int, typer.Option(help="Runs of each case.")] = 1,
        max_cases: Annotated[int | None, typer.Option(help="Most cases.", min=1)] = None,
        deadline: Annotated[float, typer.Option(help="Seconds for one case.", min=0.001)] = 60.0,
        concurrency: Annotated[int, typer.Option(help="Most trials at once.", min=1, max=256)] = 64,
        budget_usd: Annotated[float | None, typer.Option(help="Most money.")] = None,
        fresh: Annotated[bool, typer.Option(help="Leave stored trials aside.")] = False,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = JOURNAL,
        home: Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the levels as JSON.")] = False,
    ) -> None:
        """Measure how good an agent is, with an interval; no verdict, nothing on record. Exit 4 when the world failed."""
        from pilothouse.interfaces.cli.gate_journal import measure_levels
        from pilothouse.workflows.gate_request import GateRequest

        request = GateRequest(
            candidate=target,
            dataset=dataset,
            charter=charter or _charter_here(),
            scorer=scorer,
            repeats=repeats,
            max_cases=max_cases,
            deadline_s=deadline,
            concurrency=concurrency,
            budget_usd=budget_usd,
            fresh=fresh,
            complete=True,
            journal=journal,
        )
        measured = measure_levels(request, services=services, settings=load_settings(home=home))
        if as_json:
            typer.echo(json.dumps(measured.as_record(), indent=2))
        else:
            console = Console(highlight=False, soft_wrap=True)
            for line in measured.lines():
                console.print(escape(line))
        if measured.health.is_broken:
            raise typer.Exit(int(ExitStatus.INFRASTRUCTURE))

    @group.command("scorers")
    def scorers(
        as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    ) -> None:
        """List every scorer that can be used, with the package that brings it."""
        from pilothouse.evals.scorers.registry import ScorerRegistry

        found = ScorerRegistry().listing()
        if as_json:
            typer.echo(json.dumps([{"name": one.name, "package": one.package} for one in found], indent=2))
            return
        for one in found:
            typer.echo(f"{one.name:<18} {one.package}")

    @group.command("plan")
    def plan(
        *,
        adversarial: Annotated[bool, typer.Option(help="Make attacks from cases and tools.")] = False,
        out: Annotated[Path, typer.Option(help="JSON-lines file to write.")] = Path("attacks.jsonl"),
        family: Annotated[
            list[str] | None, typer.Option(help="Family; may be repeated. Default: the charter's.")
        ] = None,
        per_family: Annotated[int, typer.Option(help="Independent attacks of each family.", min=1)] = 60,
        dataset: Annotated[Path | None, typer.Option(help="Cases to start from.")] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")
        ] = None,
        scorer: Annotated[str, typer.Option(help="Scorer of the cases' expectation.")] = "exact",
    ) -> None:
        """Propose cases; a person reads them before `pilothouse dataset add` takes them in."""
        from pilothouse.evals.dataset import write_cases
        from pilothouse.workflows.attacks import make_attacks

        if not adversarial:
            raise UsageError(
                "only attacks are proposed here.",
                remedy="Add --adversarial; for power and cost: `pilothouse gate ... --plan`.",
            )
        cases = make_attacks(
            charter or _charter_here(),
            dataset,
            families=family or [],
            per_family=per_family,
            scorer=scorer,
            today=services.clock.now().date(),
        )
        write_cases(out, cases)
        clusters: dict[str, set[str]] = {}
        for case in cases:
            clusters.setdefault(case.family or "", set()).add(case.cluster_id)
        for name, ids in sorted(clusters.items()):
            made = sum(case.family == name for case in cases)
            typer.echo(f"{name:<14} {len(ids)} independent attacks, {made} cases")
        typer.echo(f"{out}: read them, then `pilothouse dataset add datasets/adversarial {out}`")


def _charter_here() -> Path | None:
    return Path(CHARTER_NAME) if Path(CHARTER_NAME).is_file() else None
