# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval`: run an agent on cases without a release in view, and list scorers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape

from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli import anchor, comparing, golden, judging, planning
from pilothouse.interfaces.cli import gate_options as options
from pilothouse.interfaces.cli.consoles import print_json, result_console, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `eval run | scorers | plan | label | judge | golden | compare | import | anchor` to the command tree."""
    group = typer.Typer(help="Run an agent on cases and score what it answers.", no_args_is_help=True)
    cli.add_typer(group, name="eval")

    judging.add_commands(group, services)
    golden.add_commands(group, services)
    planning.add_commands(group, services)
    comparing.add_commands(group, services)
    anchor.add_commands(group, services)

    @group.command("run")
    def run(
        *,
        target: Annotated[str, typer.Argument(help="python:MODULE:FUNCTION, http://URL, exec:COMMAND, ...")],
        dataset: options.DatasetPath = None,
        charter: options.CharterFile = None,
        scorer: options.ScorerText = None,
        repeats: Annotated[int, typer.Option(help="Runs of each case.")] = 1,
        candidate_version: Annotated[
            str | None,
            typer.Option(help="Its version digest; stored answers of another one are not its own."),
        ] = None,
        task_type: Annotated[
            list[str] | None, typer.Option(help="Only cases of this task type; may be given often.")
        ] = None,
        split: Annotated[
            Literal["gate", "dev"],
            typer.Option(help="Cases of this split; sealed ones are opened by `gate`."),
        ] = "gate",
        only_failed: Annotated[
            bool,
            typer.Option(
                "--only-failed", help="Only cases that did not succeed with the version that ran last."
            ),
        ] = False,
        max_cases: options.MaxCases = None,
        deadline: options.Deadline = 60.0,
        concurrency: options.Concurrency = 64,
        budget_usd: Annotated[float | None, typer.Option(help="Most money.")] = None,
        allow_unpriced: options.AllowUnpriced = False,
        fresh: Annotated[
            bool,
            typer.Option("--fresh", help="Ask again; a gate goes on with the answers of before."),
        ] = False,
        journal: options.JournalFile = options.JOURNAL,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Measure how good an agent is, with an interval; no verdict, nothing on record. Exit 4 when the world failed."""
        from pilothouse.interfaces.cli.gate_journal import measure_levels
        from pilothouse.workflows.gate.request import GateRequest

        request = GateRequest(
            candidate=target,
            candidate_version=candidate_version,
            dataset=dataset,
            charter=options.charter_here(charter),
            scorer=scorer,
            repeats=repeats,
            max_cases=max_cases,
            deadline_s=deadline,
            concurrency=concurrency,
            budget_usd=budget_usd,
            allow_unpriced=allow_unpriced,
            fresh=fresh,
            task_types=tuple(dict.fromkeys(task_type or ())),
            split=split,
            only_failed=only_failed,
            complete=True,
            decides=False,
            journal=journal,
        )
        measured = measure_levels(request, services=services, settings=load_settings(home=home))
        if as_json:
            print_json(measured.as_record())
        else:
            console = result_console()
            for line in measured.lines():
                console.print(escape(line))
        if measured.health.is_broken:
            raise typer.Exit(int(ExitStatus.INFRASTRUCTURE))

    @group.command("scorers")
    def scorers(
        as_json: AsJson = False,
    ) -> None:
        """List every scorer that can be used, with the package that brings it."""
        from pilothouse.evals.scorers.registry import ScorerRegistry

        found = ScorerRegistry().listing()
        if as_json:
            print_json([{"name": one.name, "package": one.package} for one in found])
            return
        for one in found:
            say(f"{one.name:<18} {one.package}")
