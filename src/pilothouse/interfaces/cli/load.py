# SPDX-License-Identifier: Apache-2.0
"""`pilothouse load`: is quality at ten times the volume what it was in the pilot?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]

CHARTER_NAME = "charter.yaml"
JOURNAL = Path(".pilothouse/evals.db")


def register(cli: typer.Typer, services: Services) -> None:
    """Add `load` to the command tree."""

    @cli.command("load")
    def load(
        *,
        target: Annotated[str, typer.Argument(help="http://URL, python:MODULE:FUNCTION, exec:COMMAND, ...")],
        times: Annotated[
            list[float] | None,
            typer.Option(
                help="How many times the pilot's volume; give it twice for 10 and 100. Default: what leaving phase 2 asks, else 10.",
                min=1.0,
                max=1000.0,
            ),
        ] = None,
        rate: Annotated[
            float | None,
            typer.Option(
                help="Tasks in a minute at 1x. Default: the busiest hour of the last 28 days.", min=0.001
            ),
        ] = None,
        recorded: Annotated[
            bool,
            typer.Option(
                "--recorded", help="Send the recorded tasks of the last 28 days again, as they came."
            ),
        ] = False,
        skip_idle: Annotated[
            bool, typer.Option("--skip-idle", help="Jump over time in which no call is open.")
        ] = False,
        dataset: Annotated[
            Path | None, typer.Option(help="Folder or file. Default: the charter's labelled dataset.")
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")
        ] = None,
        agent: Annotated[str | None, typer.Option(help="Agent to put on record, without a charter.")] = None,
        target_version: Annotated[str | None, typer.Option(help="Version digest of the target.")] = None,
        scorer: Annotated[
            str | None, typer.Option(help="""Judges cases without asserts: NAME or NAME={"json": "args"}.""")
        ] = None,
        limit_rpm: Annotated[
            float | None, typer.Option(help="Model calls that the provider takes in a minute.", min=0.001)
        ] = None,
        limit_tpm: Annotated[
            float | None, typer.Option(help="Tokens that the provider takes in a minute.", min=0.001)
        ] = None,
        budget_usd: Annotated[
            float | None, typer.Option(help="Most money for the whole run.", min=0.0)
        ] = None,
        margin: Annotated[float | None, typer.Option(help="Largest accepted loss, points.")] = None,
        max_cases: Annotated[int | None, typer.Option(help="Most cases.", min=1)] = None,
        deadline: Annotated[
            float, typer.Option(help="Seconds after which a user gives up.", min=0.001)
        ] = 60.0,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = JOURNAL,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Send the same cases at 1x, N x and 1x again, and compare quality and answers in time, in pairs.

        Arrivals do not wait for answers. A timeout, a refusal and a shed call count as failed: it is what the user
        got. From ten times the volume on, or what the charter asks, the result goes on record for `verdict` (EVAL-6). Exit status as for `gate`.
        """
        from pilothouse.interfaces.cli.load_run import run_load
        from pilothouse.workflows.gate.load_needs import LoadLimits
        from pilothouse.workflows.gate.request import GateRequest
        from pilothouse.workflows.gate.volume_plan import VolumeWish

        here = Path(CHARTER_NAME)
        request = GateRequest(
            candidate=target,
            candidate_version=target_version,
            dataset=dataset,
            charter=charter or (here if here.is_file() else None),
            agent=agent,
            scorer=scorer,
            margin_points=margin,
            max_cases=max_cases,
            deadline_s=deadline,
            decides=False,
            journal=journal,
        )
        status = run_load(
            request,
            services=services,
            settings=load_settings(home=home),
            wish=VolumeWish(
                times=tuple(times or ()), per_minute=rate, recorded=recorded, skip_idle=skip_idle
            ),
            limits=LoadLimits(
                requests_per_minute=limit_rpm, tokens_per_minute=limit_tpm, budget_usd=budget_usd
            ),
            as_json=as_json,
        )
        raise typer.Exit(int(status))
