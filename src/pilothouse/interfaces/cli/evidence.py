# SPDX-License-Identifier: Apache-2.0
"""`pilothouse evidence`: what people must sign, signing it, and waiving what may be waived."""

from __future__ import annotations

import getpass
import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import Agent, AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.charter.charter import Charter
    from pilothouse.core.verdict.signing import Asked
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

Item = Annotated[str, typer.Argument(help="Requirement, for example OWN-5.")]
AsPerson = Annotated[
    str | None, typer.Option("--as", metavar="PERSON", help="Person id of the charter who signs.")
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `evidence` group to the command tree."""
    group = typer.Typer(
        help="What people must sign: list it, sign it, waive what may be waived.", no_args_is_help=True
    )
    cli.add_typer(group, name="evidence")

    @group.command("list")
    def list_signatures(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """List every signature the framework asks for: who, about what, whether it stands and until when."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import charter_if_any
        from pilothouse.workflows.people.signing import signatures

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            asked = signatures(installation.ledger, chosen, services.clock.now())
            charter = charter_if_any(installation.ledger, chosen)
        if as_json:
            print_json({"agent": chosen, "signatures": [_record(one) for one in asked]})
            return
        _print(asked, charter)

    @group.command("attest")
    def attest(
        item: Item,
        agent: Agent = None,
        *,
        person: AsPerson = None,
        yes: Annotated[bool, typer.Option("--yes", help="Sign without asking again.")] = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Sign what a requirement asks of a person: the section of the charter in force, until its date."""
        from pilothouse.core.verdict.signing import section_text
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import charter_if_any
        from pilothouse.workflows.people.signing import asked_of, sign, signatures

        item, now = item.upper(), services.clock.now()
        with services.open_installation(load_settings(home=home)) as installation:
            ledger = installation.ledger
            chosen = choose_agent(installation, agent)
            asked = signatures(ledger, chosen, now, item)
            charter = charter_if_any(ledger, chosen)
            signer = _signer(item, asked, person, charter)
            mine = [one for one in asked if charter and asked_of(charter, one, signer)]
            if charter and mine and not as_json:
                for section, cases in dict.fromkeys((one.section, one.binds.dataset) for one in mine):
                    text = section_text(charter, section, cases)
                    say(f"{item}: {mine[0].asks}\n\n{text}\n", err=True)
            if mine and not yes:  # whoever is not asked is told so by `sign`
                _confirm(f"Sign this as {_name(charter, signer)}?")
            done = sign(
                ledger,
                chosen,
                item,
                person=signer,
                actor=f"{command_line_actor()} for {signer}",
                source=f"pilothouse evidence attest {item} {chosen}",
                now=now,
            )
            after = [
                one for one in signatures(ledger, chosen, now, item) if one.key in {each.key for each in done}
            ]
        if as_json:
            print_json({"agent": chosen, "signed": [_record(one) for one in after]})
            return
        for one in after:
            until = f" until {day(one.lapses_at)}" if one.lapses_at else " for this text"
            say(f"{_name(charter, signer)} signed {item} ({one.scope.label}){until}")

    @group.command("waive")
    def waive_item(
        items: Annotated[list[str], typer.Argument(help="Requirements, for example EVAL-2 INT-3.")],
        *,
        agent: AgentOption = None,
        until: Annotated[
            str, typer.Option(metavar="DATE", help="Its last day, UTC, within 30 days: 2026-12-01.")
        ],
        reason: Annotated[str, typer.Option(help="Why, one sentence.")],
        person: AsPerson = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Let a gate open although requirements do not hold; their status stays, the sponsor signs."""
        from pilothouse.core.verdict.waiver import end_of_waiver
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.people.signing import waive
        from pilothouse.workflows.verdict.assess import assess

        now = services.clock.now()
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            found = assess(installation, chosen, now, freeze=False)
            signer = person or _sponsor_who_types(found.charter)
            for item in dict.fromkeys(item.upper() for item in items):
                waiver = waive(
                    installation.ledger,
                    found.verdict,
                    item,
                    further=found.further,
                    person=signer,
                    actor=f"{command_line_actor()} for {signer}",
                    reason=reason,
                    until=end_of_waiver(_day(until), now),
                    now=now,
                )
                if as_json:
                    typer.echo(waiver.model_dump_json(ensure_ascii=True))
                    continue
                say(
                    f"waived: {item} until {day(waiver.until)} by {_name(found.charter, waiver.signer)}; "
                    "its status stays what it is"
                )


def _sponsor_who_types(charter: Charter) -> str:
    """Return the sponsor where the machine's account says that it is the sponsor who types; nobody signs for another person."""
    from pilothouse.core.charter.answers import known

    sponsor = known(charter.sponsor.person)
    if sponsor is None:
        raise UsageError(
            "only the sponsor waives, and the charter names none yet",
            remedy="Name the person: `sponsor` of the charter, then `pilothouse check`.",
            subject="--as",
        )
    try:
        account = getpass.getuser()
    except (OSError, KeyError):
        account = ""
    if account == sponsor:
        return sponsor
    raise UsageError(
        f"a waiver is signed by a person, and nobody is named; only the sponsor may, {_name(charter, sponsor)}",
        remedy=f"Say that it is you who signs: `--as {sponsor}`.",
        subject="--as",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day", remedy="Write it as 2026-12-01.", subject="--until") from None


def _signer(item: str, asked: tuple[Asked, ...], person: str | None, charter: Charter | None) -> str:
    people = tuple(dict.fromkeys(one.person for one in asked))
    if person is not None:
        return person
    if len(people) == 1:
        return people[0]
    names = ", ".join(f"{one} ({_name(charter, one)})" for one in people) or "nobody yet"
    raise UsageError(
        f"{item} asks for the signatures of {names}",
        remedy=f"Say whose this is: `pilothouse evidence attest {item} --as {people[0] if people else 'PERSON'}`.",
    )


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to confirm the signature",
            remedy="Read the text above, then repeat with `--yes`.",
        )
    if not typer.confirm(question, err=True):
        raise typer.Abort


def _name(charter: Charter | None, person: str) -> str:
    return charter.name_of(person) if charter else person


def _record(one: Asked) -> dict[str, object]:
    return {
        "requirement": one.requirement,
        "scope": one.scope.label,
        "section": one.section,
        "section_digest": one.binds.section_digest,
        "person": one.person,
        "state": one.state.value,
        "signer": one.signer,
        "signed_at": one.signed_at.isoformat() if one.signed_at else None,
        "lapses_at": one.lapses_at.isoformat() if one.lapses_at else None,
    }


def _print(asked: tuple[Asked, ...], charter: Charter | None) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("item", "what", "who signs", "state", "until"):
        table.add_column(head, header_style="dim")
    for one in asked:
        # A signature without a date binds to a section of the charter, and ends when that section changes.
        lasting = "its text changes" if one.signed_at else ""
        until = day(one.lapses_at) if one.lapses_at else lasting
        cells = (one.requirement, one.scope.label, _name(charter, one.person), one.state.value, until)
        table.add_row(*(Text(cell) for cell in cells))
    print_table(table)
    missing = next((one for one in asked if one.state.value != "signed"), None)
    if missing is not None:
        hint_console().print(
            f"  sign one: pilothouse evidence attest {missing.requirement} --as {missing.person}"
        )
