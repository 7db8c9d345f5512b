# SPDX-License-Identifier: Apache-2.0
"""`pilothouse canary`: what production says about a candidate that serves a share of the traffic."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape

from pilothouse.core.dates import day
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `canary` to the command tree."""

    @cli.command("canary")
    def canary(
        *,
        experiment: Annotated[str, typer.Argument(help="Id given to `experiment.assign`.")],
        agent: AgentOption = None,
        margin: Annotated[
            float | None,
            typer.Option(help="Largest accepted loss, points; 5 when the first look says nothing."),
        ] = None,
        tolerance: Annotated[
            float | None,
            typer.Option(help="Loss that is no harm yet, points; 2 when the first look says nothing."),
        ] = None,
        alpha: Annotated[
            float | None,
            typer.Option(
                help="Error of each decision, all looks together; 0.05 when the first look says nothing."
            ),
        ] = None,
        share: Annotated[
            float | None, typer.Option(help="Share the candidate had all the time: the split is checked.")
        ] = None,
        candidate_model: Annotated[
            str | None, typer.Option(help="Model of the candidate, where it is another than the pinned one.")
        ] = None,
        days: Annotated[
            int,
            typer.Option(
                help="Days back where the first look begins, and with it every later one.", min=1, max=100
            ),
        ] = 28,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Compare the arms by verified outcomes; look as often as you like, the error holds over all looks.

        Each look begins where the first one did and is judged by its rules. After 180 days an experiment ends, decided or not.

        Exit status: 0 not worse, 1 harmful, 3 not decided or assignment broken.
        """
        from pilothouse.workflows.gate.canary import canary_evidence, read_canary
        from pilothouse.workflows.gate.experiment import experiment_of, keep_experiment
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import charter_if_any

        with services.open_installation(load_settings(home=home)) as installation:
            now = installation.clock.now()
            agent = agent or choose_agent(installation, None)
            charter = charter_if_any(installation.ledger, agent)
            begun = experiment_of(
                installation.ledger,
                agent,
                experiment,
                first=now - timedelta(days=days),
                margin=None if margin is None else margin / 100,
                tolerance=None if tolerance is None else tolerance / 100,
                alpha=alpha,
            )
            report = read_canary(
                installation,
                agent,
                experiment,
                begun.test,
                since=begun.since,
                until=begun.until,
                share=share,
                charter=charter,
                candidate_model=candidate_model,
            )
            if report.tasks:
                keep_experiment(installation.ledger, agent, begun, at=now)
            records = canary_evidence(report, at=now, charter=charter)
            installation.ledger.add_evidence(records)
            document = json.dumps(report.as_record(), default=str)
            installation.ledger.record(kind="canary", agent=agent, at=now, actor="canary", document=document)
        if as_json:
            print_json(report.as_record())
        else:
            console = result_console()
            console.print(escape(f"{experiment}, since {day(report.since)}: {report.sentence}"))
            console.print(
                escape(
                    f"  {report.candidate_units} candidate and {report.baseline_units} baseline units with an outcome, "
                    f"{report.pending} tasks wait, {sum(report.unverifiable.values())} cannot be verified, "
                    f"{report.switched} units seen in both arms are left out"
                )
            )
            if report.others:
                console.print(
                    escape(
                        f"  {report.stood_in.get('candidate', 0)} candidate and {report.stood_in.get('baseline', 0)} baseline tasks "
                        f"that {', '.join(report.others)} answered are left out; a candidate's own model is named by `--candidate-model`"
                    )
                )
            if report.candidate_units == 0:
                hint_console().print(
                    f"no outcome of a candidate yet: `pilothouse verdict {escape(agent)}` asks for outcomes"
                )
        if records:
            hint_console().print(
                f"the release verdict of {escape(records[0].binds.version or '')} is taken back"
            )
        raise typer.Exit(int(report.exit_status))
