# SPDX-License-Identifier: Apache-2.0
"""`pilothouse policy`: prove tool policies, explain a decision, find permissions that nobody uses."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.errors import ExitStatus, UnknownName, UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.options import Agent, AsJson, Home, Who
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.controls.policy import PolicyCheck, PolicyTest
    from pilothouse.workflows.controls.policy_change import Widening

__all__ = ["register"]

RUNS_SHOWN_MAX = 5
"""Runs with calls past the boundary that are printed: one is opened, and the newest says as much as the fiftieth."""

CharterFile = Annotated[Path, typer.Argument(help="Charter file.")]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `policy` to the command tree."""
    group = typer.Typer(
        help="Prove what tools the agent may use, and explain decisions.", no_args_is_help=True
    )
    cli.add_typer(group, name="policy")

    @group.command("test")
    def test(charter: CharterFile = Path("charter.yaml"), *, as_json: AsJson = False) -> None:
        """Run every example on the compiled policies, then weaken each rule: an example must turn red."""
        from pilothouse.workflows.controls.policy import prove_policies
        from pilothouse.workflows.ground.check import load_charter

        result = prove_policies(load_charter(charter, today=services.clock.now().date()))
        if as_json:
            print_json(asdict(result))
        else:
            _print_test(result)
        raise typer.Exit(ExitStatus.HOLDS if result.passed else ExitStatus.BREACHED)

    @group.command("agree")
    def agree(
        agent: Agent = None,
        *,
        person: Who = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what a new charter lets tools do beyond the last one; with --as, agree to it. Two persons are needed."""
        from pilothouse.workflows.controls.policy_change import agree_to_widening, waiting_widening
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_boundary(load_settings(home=home)) as room:
            ledger = room.installation.ledger
            chosen = choose_agent(room.installation, agent)
            record = ledger.charter(chosen)
            waiting: Widening | None
            if person:
                waiting = agree_to_widening(ledger, chosen, person, services.clock.now())
            else:
                waiting = None if record is None else waiting_widening(ledger, record)
        if as_json:
            print_json(None if waiting is None else asdict(waiting))
        elif waiting is None:
            say(f"Everything that the charter of {chosen} lets its tools do is in force.")
        else:
            _print_widening(waiting)
        is_open = waiting is not None and not waiting.is_settled
        raise typer.Exit(ExitStatus.BREACHED if is_open else ExitStatus.HOLDS)

    @group.command("check")
    def check(
        agent: Annotated[str | None, typer.Argument(help="Agent id; all when left out.")] = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Check the policies in force and write the evidence of INT-8."""
        from pilothouse.reports.words import plural
        from pilothouse.workflows.controls.boundary_calls import RUNS_NAMED_MAX
        from pilothouse.workflows.controls.policy import check_policies

        with services.open_boundary(load_settings(home=home)) as room:
            agents = [agent] if agent else room.agents()
            checks = [check_policies(room, one, services.clock.now()) for one in agents]
        passed = all(
            one.test.passed and one.unused_reviewed is not False and not one.is_bypassed for one in checks
        )
        if as_json:
            print_json(
                [
                    {
                        **asdict(one),
                        "unused": one.unused.permissions,
                        "unused_since": one.unused.since.isoformat(),
                        "evidence": [e.model_dump(mode="json") for e in one.evidence],
                    }
                    for one in checks
                ]
            )
        elif not checks:
            typer.echo("No charter is in force: `pilothouse verdict AGENT --charter charter.yaml`.")
        else:
            for one in checks:
                say(one.agent)
                _print_test(one.test)
                _print_use(one)
                if one.calls:
                    say(f"  {one.past} of {one.calls} tool calls without a decision on record")
                if one.unlinked:
                    say(
                        f"  {one.unlinked} cannot be told: tasks were opened at /mcp/tasks without their trace; send its id as `run`"
                    )
                if one.past and not one.is_bypassed:
                    typer.echo("    no call asks the boundary, so nothing is known of what it would stop")
                if one.past:
                    say(
                        "    Mark the tools with @pilothouse.tool, or let the agent reach them by `pilothouse mcp proxy`; "
                        f"the calls: `pilothouse traces --agent {one.agent}`."
                    )
                if one.runs_past:
                    more = len(one.runs_past) - RUNS_SHOWN_MAX
                    say(
                        f"    in {plural(len(one.runs_past), 'run')}, newest first: "
                        + ", ".join(one.runs_past[:RUNS_SHOWN_MAX])
                        + (f" and {more} more (`--json` names up to {RUNS_NAMED_MAX})" if more > 0 else "")
                    )
                elif not one.calls:
                    typer.echo(
                        "  no tool call arrived in 30 days, so nothing is known about calls past the boundary"
                    )
        if passed and any(one.unused_reviewed is None or one.unlinked for one in checks):
            raise typer.Exit(ExitStatus.NOT_ENOUGH_EVIDENCE)
        raise typer.Exit(ExitStatus.HOLDS if passed else ExitStatus.BREACHED)

    @group.command("unused")
    def unused(
        agent: Annotated[str, typer.Argument(help="Agent id.")],
        *,
        keep: Annotated[bool, typer.Option("--keep", help="Record that you looked and they stay.")] = False,
        person: Annotated[
            str | None, typer.Option("--as", metavar="PERSON", help="Person id that looked.")
        ] = None,
        reason: Annotated[str, typer.Option(help="Why they stay.")] = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """List permissions that no call used for 30 days, for removal."""
        from pilothouse.workflows.controls.policy import check_policies, look_at_policies, review_unused

        if keep and not (person and reason):
            raise UsageError(
                "keeping unused permissions needs a person and a reason",
                remedy=f"Type `pilothouse policy unused {agent} --keep --as PERSON --reason WHY`.",
            )
        now = services.clock.now()
        with services.open_boundary(load_settings(home=home)) as room:
            if keep and person:
                review_unused(room, agent, actor=person, reason=reason, now=now)
                found = check_policies(room, agent, now)
            else:
                found = look_at_policies(room, agent, now)
        if as_json:
            print_json(_unused_document(found))
        else:
            _print_unused(found)

    @group.command("explain")
    def explain(
        position: Annotated[
            int, typer.Argument(min=0, help="Number of the record, as `audit list` prints it.")
        ],
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Say why a call was allowed, asked about or denied, from its record."""
        with services.open_boundary(load_settings(home=home)) as room:
            found = room.log.records(start=position, limit=1)
            size = room.log.size()
        record = json.loads(found[0].text) if found else {}
        if record.get("kind") != "call.decided":
            raise UnknownName(
                f"record {position} is no decision about a call: it is {record['kind']}"
                if record
                else f"no record {position}; the log has {size}",
                remedy="List decisions: `pilothouse audit list --kind call.decided`.",
                subject=str(position),
            )
        document = record["document"]
        if as_json:
            print_json(document)
            return
        words = {"allow": "allowed", "ask": "asked about", "deny": "denied"}[document["decision"]]
        say(f"{document['tool']} was {words} for task type {document['task_type']} (run {document['run']})")
        for name, origins in document["origins"].items():
            mark = "✗" if name in document["failed"] else "✓"
            say(f"  {mark} {name}: from {', '.join(origins)}")
        for rule in document["failed"]:
            if rule not in document["origins"]:
                say(f"  ✗ {rule}")
        if document["tainted"]:
            typer.echo("  The model had read something untrusted before: what leaves needs a trusted origin.")
        if document["approval"]:
            say(f"  approval {document['approval'][:12]}")
        say(f"  policy {document['policy'][:19]}, charter {document['charter'][:19]}")


def _unused_document(found: PolicyCheck) -> dict[str, object]:
    return {
        "agent": found.agent,
        "since": found.unused.since.isoformat(),
        "reviewed": found.unused_reviewed,
        "unused": [{"tool": tool, "task_type": task_type} for tool, task_type in found.unused.permissions],
    }


def _print_unused(found: PolicyCheck) -> None:
    unused = found.unused
    for tool, task_type in unused.permissions:
        say(f"{tool}  {task_type}")
    kept = f"`pilothouse policy unused {found.agent} --keep --as PERSON --reason WHY`"
    if not unused.permissions:
        say(f"Every permission was used since {day(unused.since)}.")
    elif found.unused_reviewed is None:
        say(
            f"No call of {found.agent} was decided since {day(unused.since)}, so this says nothing about what it "
            f"needs. Let it call its tools through the boundary first, or: {kept}"
        )
    elif not found.unused_reviewed:
        say(f"Nobody used them since {day(unused.since)}. Take them out of the charter, or: {kept}")


def _print_use(check: PolicyCheck) -> None:
    unused = check.unused
    if check.unused_reviewed is None:
        say(f"  no call was decided since {day(unused.since)}, so nothing is known about unused permissions")
        return
    reviewed = " (reviewed)" if unused.permissions and check.unused_reviewed else ""
    say(f"  {len(unused.permissions)} permissions unused since {day(unused.since)}{reviewed}")
    if not check.unused_reviewed:
        say(f"  $ pilothouse policy unused {check.agent}")


def _print_widening(waiting: Widening) -> None:
    say(f"Charter {waiting.number} of {waiting.agent} lets tools do more than before:")
    for path in waiting.wider:
        say(f"  {path}")
    agreed = ", ".join(waiting.agreed) or "nobody yet"
    if waiting.is_settled:
        say(f"{agreed} agreed: it holds from the next start of the agent, and at /mcp within seconds.")
        return
    others = [one for one in waiting.may_agree if one not in waiting.agreed]
    say(
        f"Until two persons agree, those tools keep their rules and new ones are not there. Agreed: {agreed}."
    )
    say(f"  $ pilothouse policy agree {waiting.agent} --as {others[0] if others else 'PERSON'}")


def _print_test(result: PolicyTest) -> None:
    failing = [run for run in result.runs if not run.passed]
    for run in failing:
        say(f"  ✗ {run.tool}: {run.kind} example of rule {run.rule} is decided {run.decision}")
    for one in result.survivors:
        say(f"  ✗ {one.tool}: rule {one.rule} is proven by no example ({one.weakened}). Add {one.remedy}.")
    noticed = result.mutants - len(result.survivors)
    say(
        f"  {len(result.runs) - len(failing)} of {len(result.runs)} examples hold; "
        f"{noticed} of {result.mutants} weakened rules turn one red"
    )
