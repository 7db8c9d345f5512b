# SPDX-License-Identifier: Apache-2.0
"""`pilothouse context`: whether an input was shortened without a word, what is planted survives, what edits took out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.live_key import live_key
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

LOST_SHOWN_MAX = 20


def register(cli: typer.Typer, services: Services) -> None:
    """Add `context` to the command tree."""
    group = typer.Typer(no_args_is_help=True, help="What models really read of their inputs.")
    cli.add_typer(group, name="context")

    @group.command("probe")
    def probe(
        *,
        agent: Annotated[str, typer.Argument(help="Agent whose recorded calls are looked at.")],
        days: Annotated[int, typer.Option(min=1, max=365, help="How far back.")] = 30,
        planted: Annotated[
            Path | None,
            typer.Option(help="Dataset of planted sentences: ask for them in recorded inputs instead."),
        ] = None,
        upstream: Annotated[str | None, typer.Option(help="With --planted: gateway that is asked.")] = None,
        scorer: Annotated[str, typer.Option(help="With --planted: judges the answers.")] = "contains",
        as_json: AsJson = False,
        home: Home = None,
    ) -> None:
        """Compare what providers say they read with what was sent, and keep the count as evidence.

        With --planted, sentences are put at the beginning, in the middle and at the end of the longest recorded inputs,
        and the gateway is asked for them; whether they survive is kept as evidence.
        """
        from pilothouse.workflows.gateway.context_probe import keep_truncation, probe_context
        from pilothouse.workflows.gateway.context_reading import idle_edits, truncation_terms
        from pilothouse.workflows.ground.in_force import charter_if_any

        settings = load_settings(home=home)
        if planted is not None:
            _ask_for_planted(
                services,
                settings,
                agent,
                planted,
                upstream=upstream,
                scorer=scorer,
                days=days,
                as_json=as_json,
            )
            return
        with services.open_run_log(settings) as log, services.open_installation(settings) as installation:
            terms = truncation_terms(installation.ledger, agent)
            report = probe_context(log, agent, services.clock.now(), days=days, since=terms.since)
            kept = keep_truncation(installation.ledger, report, terms)
            charter = charter_if_any(installation.ledger, agent)
        idle = () if charter is None else idle_edits(charter, report.fired)
        if as_json:
            print_json({**asdict(report), "never_fired": idle})
        else:
            say(
                f"{report.inputs} inputs of {agent} in {days} days: {report.cut} read short, {report.unknown} without a reported size, "
                f"{report.edited} shortened by the charter's edits, {report.opaque} more that their provider may have shortened"
            )
            if idle:
                say(f"  took nothing out of any: {', '.join(idle)}; is the limit ever reached?")
            if report.error_share is not None:
                say(
                    f"  estimate from the second call on: within {percentage(report.error_share)} for 95 % of inputs"
                )
            for run in report.runs:
                say(f"  read short in run {run}; look: pilothouse replay {run[:12]} --show")
            if kept is None:
                typer.echo("  no provider reported a size, so nothing is kept as evidence")
        if report.cut:
            raise typer.Exit(int(ExitStatus.BREACHED))
        if kept is None:
            raise typer.Exit(int(ExitStatus.NOT_ENOUGH_EVIDENCE))

    @group.command("recall")
    def recall(
        *,
        ident: Annotated[str, typer.Argument(metavar="ID", help="Id that the note in the request gives.")],
        start: Annotated[int, typer.Option(min=0, help="First character.")] = 0,
        end: Annotated[int | None, typer.Option(min=0, help="Character after the last.")] = None,
        home: Home = None,
    ) -> None:
        """Print a tool's result that edits took out of a request, as the agent can recall it.

        The charter switches edits on (`context.edits`); `pilothouse replay RUN --show` lists what they took out.
        """
        from pilothouse.workflows.gateway.context_recall import recall_result

        with services.open_run_log(load_settings(home=home)) as log:
            say(recall_result(log, ident, start=start, end=end))


def _ask_for_planted(
    services: Services,
    settings: Settings,
    agent: str,
    dataset: Path,
    *,
    upstream: str | None,
    scorer: str,
    days: int,
    as_json: bool,
) -> None:
    from pilothouse.evals.dataset import load_dataset
    from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text
    from pilothouse.runtime.replay.live import LiveModel
    from pilothouse.workflows.gateway.context_planted import keep_planted, probe_planted
    from pilothouse.workflows.ground.in_force import charter_if_any

    if upstream is None:
        raise UsageError(
            "planted sentences are asked for live",
            remedy=f"Name the gateway: `pilothouse context probe {agent} --planted {dataset} --upstream http://127.0.0.1:4318/gw`",
        )
    name, arguments = parse_scorer_text(scorer)
    with (
        live_key(services, settings, agent, upstream) as key,
        services.open_run_log(settings) as log,
        services.open_installation(settings) as installation,
    ):
        report = probe_planted(
            log,
            load_dataset(dataset).cases,
            ScorerRegistry().make(name, arguments),
            LiveModel(upstream, key),
            agent=agent,
            now=services.clock.now(),
            days=days,
        )
        charter = charter_if_any(installation.ledger, agent)
        kept = keep_planted(installation.ledger, report, str(dataset), charter=charter)
    if as_json:
        print_json({**asdict(report), "passed": report.passed})
    else:
        say(
            f"{report.found} of {report.asked} planted sentences survive the longest inputs of {agent}; {report.refused} were refused aloud"
        )
        for one in report.lost[:LOST_SHOWN_MAX]:
            say(f"  lost: {one}")
    if kept is None:
        raise typer.Exit(int(ExitStatus.NOT_ENOUGH_EVIDENCE))
    if not report.passed:
        raise typer.Exit(int(ExitStatus.BREACHED))
