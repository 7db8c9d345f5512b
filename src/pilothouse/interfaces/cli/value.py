# SPDX-License-Identifier: Apache-2.0
"""`pilothouse value`: what an agent is worth, as ranges, and outcomes sealed and measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli.consoles import print_json, result_console, say
from pilothouse.interfaces.cli.options import Agent, AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.reports.outcomes import Effect

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `value` commands to the command tree."""
    group = typer.Typer(
        name="value", help="What an agent is worth, and what that rests on.", no_args_is_help=True
    )

    @group.command("show")
    def show(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Show the three numbers as ranges with their sources, and each outcome against its commitment."""
        from pilothouse.reports.terminal_sections import render_sections
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.reports.value import show_value
        from pilothouse.workflows.verdict.assess import assess

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            page = show_value(installation, assess(installation, chosen, services.clock.now(), freeze=False))
        if as_json:
            typer.echo(page_json(page))
        else:
            render_sections(page, result_console(wrap=True))

    @group.command("seal")
    def seal(
        agent: Agent = None,
        *,
        person: Annotated[
            str, typer.Option("--as", metavar="PERSON", help="Who you are: a person id of the charter.")
        ],
        home: Home = None,
    ) -> None:
        """Seal the committed outcomes; after the first task in production it is too late to count."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.reports.outcomes import seal_outcomes

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            sealed = seal_outcomes(installation, chosen, person, services.clock.now())
        late = "" if sealed.in_time else " Tasks had counted in production already, so DATA-9 does not hold."
        say(f"Sealed the outcomes of {chosen} ({sealed.digest[:12]}).{late}")
        raise typer.Exit(int(ExitStatus.HOLDS if sealed.in_time else ExitStatus.BREACHED))

    @group.command("measure")
    def measure(
        outcome: Annotated[str, typer.Argument(help="Outcome metric of the charter.")],
        file: Annotated[
            Path, typer.Argument(help="CSV: unit,arm,value; arm is `agent`, or `holdout` or `before`.")
        ],
        *,
        agent: AgentOption = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Hold a measurement against the commitment: exit 0 proven, 1 proved short of it, 3 not enough evidence."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.reports.outcomes import measure_effect

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            effect = measure_effect(installation, chosen, outcome, file, services.clock.now())
        record = _record(effect)
        if as_json:
            print_json(record)
        else:
            typer.echo(record["sentence"])
        status = {True: ExitStatus.HOLDS, False: ExitStatus.BREACHED, None: ExitStatus.NOT_ENOUGH_EVIDENCE}
        raise typer.Exit(int(status[effect.proven]))

    cli.add_typer(group)


def _record(effect: Effect) -> dict[str, object]:
    from pilothouse.core.statistics.results import Estimate
    from pilothouse.workflows.reports.outcomes import WEAK

    found = effect.found
    if not isinstance(found, Estimate):
        sentence = f"{effect.outcome}: {found.reason}. {found.remedy}"
        return {"outcome": effect.outcome, "proven": None, "sentence": sentence}
    word = {True: "proven", False: "proved short of it", None: "neither proved nor refuted; measure on"}[
        effect.proven
    ]
    return {
        "outcome": effect.outcome,
        "proven": effect.proven,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "units": found.n_effective,
        "committed": effect.committed,
        "sentence": f"{effect.outcome}: {percentage(found.value, signed=True)} {percent_range(found.low, found.high, signed=True)} over "
        f"{found.n_effective:,.0f} units; committed {percentage(effect.committed, decimals=0, signed=True)}: {word}"
        f"{f', {WEAK}' if effect.is_weak else ''}.",
    }
