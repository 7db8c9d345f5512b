# SPDX-License-Identifier: Apache-2.0
"""`pilothouse gate`: may this version be released?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.interfaces.cli import gate_options as options
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `gate` to the command tree."""

    @cli.command("gate")
    def gate(
        *,
        candidate: Annotated[
            str,
            typer.Option(
                metavar="TARGET",
                help="What may be released: python:MODULE:FUNCTION, http://URL, exec:COMMAND, openai:URL?model=NAME, recorded:FILE.",
            ),
        ],
        dataset: options.DatasetPath = None,
        adversarial: options.Adversarial = None,
        baseline: options.Baseline = None,
        charter: options.CharterFile = None,
        agent: options.AgentName = None,
        candidate_version: Annotated[
            str | None, typer.Option(help="Version digest of the candidate.")
        ] = None,
        baseline_version: Annotated[str | None, typer.Option(help="Version digest of the baseline.")] = None,
        scorer: options.ScorerText = None,
        pass_at: Annotated[
            float, typer.Option(rich_help_panel=options.RULES, help="Least value of a success.")
        ] = 0.5,
        margin: options.Margin = None,
        alpha: options.Alpha = None,
        floor: options.Floor = None,
        max_cases: options.MaxCases = None,
        looks: options.Looks = 10,
        spending: options.SpendingName = "pocock",
        repeats: options.Repeats = 1,
        baseline_repeats: options.BaselineRepeats = 1,
        deadline: options.Deadline = 60.0,
        concurrency: options.Concurrency = 64,
        rpm: options.PerMinute = None,
        budget_usd: Annotated[
            float | None, typer.Option(rich_help_panel=options.RUNS, help="Most money.")
        ] = None,
        allow_unpriced: options.AllowUnpriced = False,
        sealed: Annotated[
            bool,
            typer.Option(
                "--sealed",
                rich_help_panel=options.RUNS,
                help="Open the sealed split too; each opening is recorded.",
            ),
        ] = False,
        complete: Annotated[
            bool,
            typer.Option("--complete", rich_help_panel=options.RUNS, help="Run every case, decided or not."),
        ] = False,
        plan: Annotated[
            bool, typer.Option("--plan", help="Only say what it would take; nothing is run.")
        ] = False,
        strict: Annotated[
            bool, typer.Option("--strict", rich_help_panel=options.RULES, help="At risk counts as breached.")
        ] = False,
        junit: Annotated[Path | None, typer.Option(help="Write a JUnit file.")] = None,
        markdown: Annotated[Path | None, typer.Option(help="Write a comment for a pull request.")] = None,
        journal: options.JournalFile = options.JOURNAL,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Decide whether a version may be released, with the fewest runs that can decide it.

        Exit status: 0 holds, 1 breached, 2 wrong input, 3 not enough evidence, 4 the world failed.
        """
        from pilothouse.core.verdict.release_verdict import exit_status_of
        from pilothouse.interfaces.cli import gate_text
        from pilothouse.interfaces.cli.gate_journal import decide_release, plan_release
        from pilothouse.workflows.gate import release_outputs
        from pilothouse.workflows.gate.request import GateRequest

        request = GateRequest(
            candidate=candidate,
            candidate_version=candidate_version,
            baseline=baseline,
            baseline_version=baseline_version,
            dataset=dataset,
            adversarial=adversarial,
            charter=options.charter_here(charter),
            agent=agent,
            scorer=scorer,
            pass_at=pass_at,
            margin_points=margin,
            alpha=alpha,
            floor=floor,
            max_cases=max_cases,
            looks=looks,
            spending=spending,
            repeats=repeats,
            baseline_repeats=baseline_repeats,
            deadline_s=deadline,
            concurrency=concurrency,
            per_minute=rpm,
            budget_usd=budget_usd,
            allow_unpriced=allow_unpriced,
            sealed=sealed,
            complete=complete,
            journal=journal,
        )
        if plan:
            raise typer.Exit(
                int(
                    plan_release(
                        request, services=services, settings=load_settings(home=home), as_json=as_json
                    )
                )
            )
        verdict = decide_release(request, services=services, settings=load_settings(home=home))
        if junit is not None:
            junit.write_text(release_outputs.render_junit(verdict), encoding="utf-8")
        if markdown is not None:
            markdown.write_text(release_outputs.render_markdown(verdict), encoding="utf-8")
        if as_json:
            typer.echo(verdict.model_dump_json(indent=2, ensure_ascii=True))
        else:
            gate_text.print_verdict(verdict)
        raise typer.Exit(int(exit_status_of(verdict.items, strict=strict)))
