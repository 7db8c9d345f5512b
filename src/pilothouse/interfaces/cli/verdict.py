# SPDX-License-Identifier: Apache-2.0
"""`pilothouse verdict`: what holds for one agent, what does not, and what nobody knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import minute
from pilothouse.errors import CharterInvalid, ExitStatus, PilothouseError, UsageError
from pilothouse.interfaces.cli.consoles import hint_console, result_console
from pilothouse.interfaces.cli.options import Agent, AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.interfaces.past_moment import past_moment
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from pilothouse.workflows.ground.installation import Installation

__all__ = ["register"]

CHARTER_DEFAULT = Path("charter.yaml")

ROUND_CALLS_MAX = 50_000
ROUND_S = 10.0
ROUNDS_MAX = 6
"""Verification before the verdict takes a minute at most, with a word every ten seconds; a note says what is left."""


def register(cli: typer.Typer, services: Services) -> None:
    """Add `verdict` to the command tree."""

    @cli.command("verdict")
    def verdict(
        agent: Agent = None,
        *,
        charter: Annotated[
            Path | None,
            typer.Option(
                "--charter",
                help="Put this charter into force first. Default: ./charter.yaml if it is there.",
            ),
        ] = None,
        as_json: AsJson = False,
        strict: Annotated[
            bool, typer.Option("--strict", help="Exit 1 also when something is at risk.")
        ] = False,
        as_of: Annotated[
            str | None,
            typer.Option(
                "--as-of",
                metavar="TIME",
                help="Judge a past moment, or the end of a day (ISO 8601, UTC unless it says otherwise); nothing is stored.",
            ),
        ] = None,
        plan: Annotated[
            bool, typer.Option("--plan", help="Also list what to do, most urgent first.")
        ] = False,
        probes: Annotated[
            bool,
            typer.Option(
                "--probes", help="Also list five things that a pilot hides, and what is known of each."
            ),
        ] = False,
        full: Annotated[
            bool, typer.Option("--full", help="Also list what only later gates ask for.")
        ] = False,
        home: Home = None,
    ) -> None:
        """Judge one agent: exit 0 holds, 1 breached, 2 invalid charter, 3 not enough evidence, 4 cannot be read."""
        from pilothouse.core.verdict.readiness import exit_status
        from pilothouse.core.verdict.verdict import Status
        from pilothouse.interfaces.cli.verdict_text import print_verdict
        from pilothouse.interfaces.cli.verdict_view import build_verdict_page
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.verdict.assess import assess

        hints = hint_console()
        now = services.clock.now()
        moment = now if as_of is None else past_moment(as_of, now, option="--as-of")
        if as_of is not None and charter is not None:
            raise UsageError(
                "--as-of judges by the charter that was in force then, and --charter puts one into force now",
                remedy=f"Leave one of them out: `pilothouse verdict --charter {charter}`.",
                subject="charter",
            )
        with services.open_installation(load_settings(home=home)) as installation:
            invalid: CharterInvalid | None = None
            if as_of is None:
                agent, invalid = _accept(installation, agent, charter, now, hints)
            chosen = _choose(installation, agent)
            notes = _verify(installation, chosen, now, hints) if as_of is None else ()
            found = assess(installation, chosen, moment, notes=notes, freeze=as_of is None)
        if as_of is not None:
            hints.print(f"Judged as of {minute(moment)}.", markup=False, highlight=False)
        page = build_verdict_page(found, plan=plan, probes=probes)
        if as_json:
            typer.echo(page_json(page))
        else:
            print_verdict(page, result_console(wrap=True), full=full)
        if invalid is not None:
            _print_error(hints, invalid)
            raise typer.Exit(int(ExitStatus.USAGE))
        if found.verdict.status is Status.AT_RISK:
            hints.print(
                "At risk: nothing is breached, and something is running out; --strict makes it exit 1."
            )
        raise typer.Exit(int(exit_status(found.verdict, strict=strict)))


def _accept(
    installation: Installation, agent: str | None, charter: Path | None, now: datetime, hints: Console
) -> tuple[str | None, CharterInvalid | None]:
    """Put the charter file into force; return the agent it is about, and the error of a broken one.

    A broken file ends the command unless an earlier charter of the agent is in force: then the verdict is
    given by that one, with a note, and the exit status says that the file is invalid.
    """
    from pilothouse.workflows.verdict.accept import accept_file

    path = charter or CHARTER_DEFAULT
    if charter is None and not path.is_file():
        return agent, None
    if charter is None and agent is not None and agent != _agent_in(path):
        return agent, None
    try:
        accepted = accept_file(installation.ledger, path, now, actor="pilothouse verdict")
    except CharterInvalid as error:
        kept = installation.ledger.charter(error.subject or "")
        if kept is None or agent not in (None, kept.agent):
            raise
        return kept.agent, error
    if accepted.changed:
        hints.print(accepted.sentence, markup=False)
    if agent not in (None, accepted.record.agent):
        raise UsageError(
            f"{path} is the charter of {accepted.record.agent!r}, not of {agent!r}",
            remedy=f"Run `pilothouse verdict {accepted.record.agent}`, or leave --charter out.",
            subject=agent,
        )
    return accepted.record.agent, None


def _agent_in(path: Path) -> str | None:
    """Return which agent a charter file is about, as far as it can be read."""
    from pilothouse.connectors.charter_file import read_charter_file

    try:
        value = read_charter_file(path).value
    except PilothouseError:
        return None
    return value.get("agent") if isinstance(value, dict) else None


def _choose(installation: Installation, agent: str | None) -> str:
    from pilothouse.workflows.ground.agents import choose_agent

    return choose_agent(installation, agent)


def _verify(installation: Installation, agent: str, now: datetime, hints: Console) -> tuple[str, ...]:
    """Ask about every claim that is due; return what limits the answers."""
    from pilothouse.workflows.integrations.verify import VerifyLimits, verify_due

    limits = VerifyLimits(calls_max=ROUND_CALLS_MAX, tick_s=ROUND_S)
    asked = 0
    more = False
    for _ in range(ROUNDS_MAX):
        report = verify_due(installation, now, agent=agent, thorough=True, limits=limits)
        asked += report.asked
        more = report.more
        if not more or not report.asked:
            break
        hints.print(f"[dim]verifying claims: {asked:,} asked[/dim]")
    if not more:
        return ()
    return ("More claims are due than one command asks about; `pilothouse up` asks about the rest.",)


def _print_error(hints: Console, error: CharterInvalid) -> None:
    hints.print(f"error: {error.message}", markup=False)
    for finding in error.findings:
        hints.print(f"  {finding}", markup=False)
    hints.print(f"  {error.remedy}", markup=False)
