# SPDX-License-Identifier: Apache-2.0
"""`pilothouse gate`: may this version be released?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]

CHARTER_NAME = "charter.yaml"
JOURNAL = Path(".pilothouse/evals.db")


def register(cli: typer.Typer, services: Services) -> None:
    """Add `gate` to the command tree."""

    @cli.command("gate")
    def gate(
        *,
        candidate: Annotated[
            str,
            typer.Option(
                help="What may be released: python:MODULE:FUNCTION, http://URL, exec:COMMAND, openai:URL?model=NAME, recorded:FILE."
            ),
        ],
        dataset: Annotated[
            Path | None,
            typer.Option(
                help="Dataset folder, or a plain JSON-lines file. Default: the charter's labelled one."
            ),
        ] = None,
        adversarial: Annotated[
            Path | None, typer.Option(help="Dataset of attacks. Default: the charter's, if it is there.")
        ] = None,
        baseline: Annotated[
            str | None,
            typer.Option(
                help="What it is compared with: an address, a version digest, `current` or `anchor`."
            ),
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter with the rules. Default: ./charter.yaml if it is there.")
        ] = None,
        agent: Annotated[str | None, typer.Option(help="Agent to put on record, without a charter.")] = None,
        candidate_version: Annotated[
            str | None, typer.Option(help="Version digest of the candidate.")
        ] = None,
        baseline_version: Annotated[str | None, typer.Option(help="Version digest of the baseline.")] = None,
        scorer: Annotated[
            str | None, typer.Option(help="""Judges cases without asserts: NAME or NAME={"json": "args"}.""")
        ] = None,
        pass_at: Annotated[float, typer.Option(help="Least value of a success.")] = 0.5,
        margin: Annotated[float | None, typer.Option(help="Largest accepted loss, points.")] = None,
        alpha: Annotated[float | None, typer.Option(help="Error of each requirement.")] = None,
        floor: Annotated[float | None, typer.Option(help="Least rate of good answers.")] = None,
        max_cases: Annotated[int | None, typer.Option(help="Most cases of the run.", min=1)] = None,
        looks: Annotated[int, typer.Option(help="Looks at which it may stop.")] = 10,
        spending: Annotated[
            Literal["pocock", "obrien_fleming"], typer.Option(help="How the error is spent over the looks.")
        ] = "pocock",
        repeats: Annotated[int, typer.Option(help="Runs of each case by the candidate.")] = 1,
        baseline_repeats: Annotated[int, typer.Option(help="Runs of each case by the baseline.")] = 1,
        deadline: Annotated[float, typer.Option(help="Seconds for one case.", min=0.001)] = 60.0,
        concurrency: Annotated[int, typer.Option(help="Most trials at once.", min=1, max=256)] = 64,
        rpm: Annotated[float | None, typer.Option(help="Most trials started in a minute.")] = None,
        budget_usd: Annotated[float | None, typer.Option(help="Most money.")] = None,
        allow_unpriced: Annotated[
            bool, typer.Option(help="Accept trials of unknown cost under a budget.")
        ] = False,
        sealed: Annotated[
            bool, typer.Option(help="Open the sealed split too; each opening is recorded.")
        ] = False,
        complete: Annotated[bool, typer.Option(help="Run every case, decided or not.")] = False,
        fresh: Annotated[bool, typer.Option(help="Leave stored trials aside.")] = False,
        plan: Annotated[bool, typer.Option(help="Only say what it would take; nothing is run.")] = False,
        strict: Annotated[bool, typer.Option(help="At risk counts as breached.")] = False,
        junit: Annotated[Path | None, typer.Option(help="Write a JUnit file.")] = None,
        markdown: Annotated[Path | None, typer.Option(help="Write a comment for a pull request.")] = None,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = JOURNAL,
        home: Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    ) -> None:
        """Decide whether a version may be released, with the fewest runs that can decide it.

        Exit status: 0 holds, 1 breached, 2 wrong input, 3 not enough evidence, 4 the world failed.
        """
        from pilothouse.core.verdict.release_verdict import exit_status_of
        from pilothouse.interfaces.cli import gate_text
        from pilothouse.interfaces.cli.gate_journal import decide_release
        from pilothouse.workflows import release_outputs
        from pilothouse.workflows.gate_request import GateRequest

        charter_path = charter or (Path(CHARTER_NAME) if Path(CHARTER_NAME).is_file() else None)
        request = GateRequest(
            candidate=candidate,
            candidate_version=candidate_version,
            baseline=baseline,
            baseline_version=baseline_version,
            dataset=dataset,
            adversarial=adversarial,
            charter=charter_path,
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
            fresh=fresh,
            journal=journal,
        )
        verdict = decide_release(request, services=services, settings=load_settings(home=home), is_plan=plan)
        if verdict is None:
            return
        if junit is not None:
            junit.write_text(release_outputs.render_junit(verdict), encoding="utf-8")
        if markdown is not None:
            markdown.write_text(release_outputs.render_markdown(verdict), encoding="utf-8")
        if as_json:
            typer.echo(verdict.model_dump_json(indent=2))
        else:
            gate_text.print_verdict(verdict)
        raise typer.Exit(int(exit_status_of(verdict.items, strict=strict)))
