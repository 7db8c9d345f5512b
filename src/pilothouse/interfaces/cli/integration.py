# SPDX-License-Identifier: Apache-2.0
"""`pilothouse integration`: which outside systems there are, whether each stands on its own, which joins first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day, minute
from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.integration_draft import register_draft
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.core.evidence.certificate import Certificate
    from pilothouse.core.evidence.evidence import Evidence
    from pilothouse.core.evidence.inventory import Inventory
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.integrations.verify_integration import VerifyRequest
    from pilothouse.workflows.phases.change_freeze import FreezeState

__all__ = ["register"]


MARKS = {"valid": "✓ valid", "failed": "✗ failed", "expired": "○ expired", "void": "○ void", "none": "– none"}
"""A sign and a word: colour alone tells nobody anything."""


def register(cli: typer.Typer, services: Services) -> None:
    """Add `integration list`, `order`, `freeze`, `draft` and `verify` to the command tree."""
    group = typer.Typer(
        help="Outside systems: inventory, verification on their own, order of joining.", no_args_is_help=True
    )

    @group.command("list")
    def list_integrations(*, agent: AgentOption = None, home: Home = None, as_json: AsJson = False) -> None:
        """List declared integrations beside what telemetry shows, with the state of each certificate."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.integrations.integrations import take_inventory

        with services.open_installation(load_settings(home=home)) as installation:
            inventory = take_inventory(installation, choose_agent(installation, agent), services.clock.now())
        if as_json:
            typer.echo(inventory.model_dump_json(indent=2, ensure_ascii=True))
        else:
            _show_inventory(inventory)

    @group.command("order")
    def order(*, agent: AgentOption = None, home: Home = None, as_json: AsJson = False) -> None:
        """Propose in which order integrations join the rollout, the simplest and least harmful first."""
        from dataclasses import asdict

        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.integrations.integrations import rollout_order

        with services.open_installation(load_settings(home=home)) as installation:
            ranks = rollout_order(installation, choose_agent(installation, agent), services.clock.now())
        if as_json:
            print_json([asdict(rank) for rank in ranks])
            return
        console = result_console()
        for rank in ranks:
            early = "  ! the charter lets it join before a simpler one" if rank.joins_early else ""
            console.print(
                f"{rank.place}  {rank.name}  (joins in phase {rank.phase or '–'}){early}", markup=False
            )
            console.print(f"   {'; '.join(rank.reasons)}", markup=False)

    @group.command("freeze")
    def freeze(*, agent: AgentOption = None, home: Home = None, as_json: AsJson = False) -> None:
        """Show what changed of agent and integrations, what stands still until when, and put it on record."""
        from dataclasses import asdict

        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.change_freeze import measure_freeze

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            state = measure_freeze(installation, chosen, services.clock.now())
            installation.ledger.add_evidence([state.evidence])
        if as_json:
            shown = {key: value for key, value in asdict(state).items() if key != "evidence"}
            print_json(shown)
        else:
            _show_freeze(state)
        raise typer.Exit(int(ExitStatus.BREACHED if state.overlaps else ExitStatus.HOLDS))

    @group.command("verify")
    def verify(
        name: Annotated[str | None, typer.Argument(help="Integration as the charter names it.")] = None,
        *,
        every: Annotated[
            bool, typer.Option("--all", help="Verify every integration that was verified before.")
        ] = False,
        use: Annotated[
            str | None,
            typer.Option(help="Python file or module whose functions are marked with @pilothouse.tool."),
        ] = None,
        redirect: Annotated[
            str | None,
            typer.Option(
                metavar="VAR=URL",
                help="Environment variable from which the functions take the address, and the real address.",
            ),
        ] = None,
        standin: Annotated[
            Path | None,
            typer.Option(help="Recording that answers instead of the real system (then VAR alone)."),
        ] = None,
        record: Annotated[
            Path | None, typer.Option(help="Keep what the real system answered in this file.")
        ] = None,
        only: Annotated[
            str, typer.Option(help="Parts, comma-separated: faults, credential, rate, freshness.")
        ] = "",
        agent: AgentOption = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Make every fault on the wire between a tool and its system, without the agent: exit 0 sound, 1 findings.

        What is left out is taken from the last verification of the same integration. Nothing that changes
        something is ever sent to a production system; faults are made on our side of the wire.
        """
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.integrations.verify_integration import verify_integration

        if (name is None) is not every:
            raise UsageError("name one integration, or --all", remedy="Run `pilothouse integration list`.")
        given = {"use": use, "standin": None if standin is None else str(standin), **_address(redirect)}
        found = []
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            for one in [name] if name else _verified_before(installation, chosen):
                request = _request(installation, chosen, one, given=given, only=only, record=record)
                found.append(
                    verify_integration(installation, request, command=f"pilothouse integration verify {one}")
                )
        if as_json:
            print_json([one.model_dump(mode="json") for one, _ in found])
        else:
            for certificate, records in found:
                _show_certificate(certificate, records)
        sound = all(one.passed for one, _ in found)
        raise typer.Exit(int(ExitStatus.HOLDS if sound else ExitStatus.BREACHED))

    register_draft(group)
    cli.add_typer(group, name="integration")


def _address(redirect: str | None) -> dict[str, str | None]:
    if redirect is None:
        return {}
    variable, _, url = redirect.partition("=")
    return {"variable": variable, "url": url or None}


def _verified_before(installation: Installation, agent: str) -> list[str]:
    from pilothouse.workflows.integrations.integrations import last_options, take_inventory

    now = installation.clock.now()
    names = [row.name for row in take_inventory(installation, agent, now).integrations]
    known = [name for name in names if last_options(installation, agent, name)]
    if not known:
        raise UsageError(
            "no integration was verified before",
            remedy=f"Begin with one: pilothouse integration verify {names[0] if names else 'NAME'} "
            "--use tools.py --redirect VAR=URL",
        )
    return known


def _request(
    installation: Installation,
    agent: str,
    name: str,
    *,
    given: dict[str, str | None],
    only: str,
    record: Path | None,
) -> VerifyRequest:
    from pilothouse.workflows.ground.in_force import charter_of
    from pilothouse.workflows.integrations.integrations import last_options
    from pilothouse.workflows.integrations.verify_integration import (
        PARTS,
        VerifyRequest,
        declared_integration,
    )

    in_force = installation.ledger.charter(agent)
    if in_force is not None:
        declared_integration(charter_of(in_force), name)
    options = {**last_options(installation, agent, name), **{key: one for key, one in given.items() if one}}
    if given.get("standin"):
        options.pop("url", None)
    elif given.get("url"):
        options.pop("standin", None)
    missing = [
        flag
        for key, flag in (("use", "--use tools.py"), ("variable", "--redirect VAR=URL"))
        if key not in options
    ]
    if missing:
        raise UsageError(
            f"integration {name!r} was never verified, so it must be said how its tools are reached",
            remedy=f"pilothouse integration verify {name} {' '.join(missing)}",
            subject=name,
        )
    parts = tuple(part.strip() for part in only.split(",") if part.strip())
    wrong = [part for part in parts if part not in PARTS]
    if wrong:
        raise UsageError(
            f"--only {wrong[0]!r} is no part", remedy=f"Use {', '.join(PARTS)}.", subject="--only"
        )
    hints = hint_console()
    return VerifyRequest(
        agent=agent,
        integration=name,
        use=options["use"],
        variable=options["variable"],
        url=options.get("url"),
        standin=Path(options["standin"]) if "standin" in options else None,
        record=record,
        only=parts,
        on_step=lambda text: hints.print(f"  {text}", markup=False),
    )


def _show_inventory(inventory: Inventory) -> None:
    from rich.table import Table

    console = result_console(wrap=True)
    table = Table(
        "integration", "kind", "environment", "tools", "tasks, 14 d", "certificate", box=None, pad_edge=False
    )
    for row in inventory.integrations:
        until = f" until {day(row.expires_at)}" if row.certificate == "valid" and row.expires_at else ""
        table.add_row(
            row.name,
            row.kind,
            row.environment,
            str(len(row.tools)),
            f"{row.tasks_seen:,}",
            MARKS[row.certificate] + until,
        )
    console.print(table)
    for row in inventory.integrations:
        if row.certificate in ("failed", "void"):
            console.print(f"{row.name}: {row.detail}", markup=False)
        if inventory.tasks and not row.tasks_seen:
            console.print(
                f"{row.name}: not seen in 14 days; does it still need its credentials?", markup=False
            )
    for what, names in (("host", inventory.unknown_hosts), ("tool", inventory.unknown_tools)):
        for name, count in names.items():
            console.print(
                f"✗ undeclared {what} {name} in {count:,} tasks: declare it in the charter, or stop it",
                markup=False,
            )
    from pilothouse.reports.words import plural

    for name, count in inventory.refused.items():
        console.print(
            f"✗ refused connection to {name} in {plural(count, 'process', 'processes')}: declare it in the charter, or "
            "leave it refused",
            markup=False,
        )
    if not inventory.tasks:
        console.print(
            "No task arrived in 14 days, so nothing was observed: start `pilothouse up`, then the agent."
        )
    missing = [row.name for row in inventory.integrations if row.certificate != "valid"]
    if missing:
        hint_console().print(f"Next: pilothouse integration verify {missing[0]}", markup=False)


def _show_freeze(state: FreezeState) -> None:
    console = result_console(wrap=True)
    for step in state.steps:
        for word, paths in (("agent", step.agent), ("integration", step.integrations)):
            if paths:
                more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                back = " (a way back)" if step.undoes else ""
                console.print(f"{minute(step.at)}  {word}: {paths[0]}{more}{back}", markup=False)
    if not state.steps:
        console.print("Neither the agent nor an integration changed in 21 days.")
    for overlap in state.overlaps:
        gap = overlap.second.at - overlap.first.at
        console.print(
            f"✗ both sides changed {'together' if not gap else f'within {gap.days} days'} on "
            f"{day(overlap.second.at)}: nobody can tell which one did it",
            markup=False,
        )
    for word, until in (("agent", state.agent_until), ("integrations", state.integrations_until)):
        free = "may change" if until is None else f"must not change until {minute(until)}"
        console.print(f"The {word} {free}.", markup=False)


def _show_certificate(certificate: Certificate, records: Sequence[Evidence]) -> None:
    from pilothouse.core.evidence.evidence import WARNINGS

    console = result_console(wrap=True)
    verdict = "sound" if certificate.passed else f"{len(certificate.findings)} findings"
    console.print(f"{certificate.integration} against {certificate.backend}: {verdict}", markup=False)
    for matrix in certificate.matrices:
        console.print(f"  {matrix.tool}", markup=False)
        for row in matrix.rows:
            console.print(f"    {'✓' if row.passed else '✗'} {row.fault}: {row.seen}", markup=False)
    for row in certificate.probes:
        console.print(f"  {'✓' if row.passed else '✗'} {row.fault}: {row.seen}", markup=False)
    if not certificate.whole:
        hint_console().print(
            "No certificate: that needs every part against the real system (no --only, no --standin).",
            markup=False,
        )
    for record in records:
        if record.counts.get(WARNINGS):
            hint_console().print(f"{record.detail[0].upper()}{record.detail[1:]}.", markup=False)
