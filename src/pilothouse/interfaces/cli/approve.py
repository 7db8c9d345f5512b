# SPDX-License-Identifier: Apache-2.0
"""`pilothouse approve`: answer for exact calls, with the origin of each argument in sight."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import UnknownName
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.approvals import Approval

__all__ = ["register"]

Ident = Annotated[str, typer.Argument(help="Id of the question, or the beginning of it.")]
Person = Annotated[str, typer.Option("--as", metavar="PERSON", help="Person id that answers.")]
Reason = Annotated[str, typer.Option(help="Why, one sentence.")]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `approve` to the command tree."""
    group = typer.Typer(help="Answer for calls that wait for a person.", no_args_is_help=True)
    cli.add_typer(group, name="approve")

    @group.command("list")
    def waiting(
        agent: Annotated[str | None, typer.Argument(help="Agent id; all when left out.")] = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """List the calls that wait, oldest first."""
        with services.open_boundary(load_settings(home=home)) as room:
            found = room.approvals.waiting(agent)
        if as_json:
            print_json([_document(one) for one in found])
            return
        if not found:
            typer.echo("Nothing waits.")
        for one in found:
            say(
                f"{one.id[:12]}  {one.agent}  {_visible(one.tool)}  for {_visible(one.requester) or 'nobody named'}  "
                f"until {one.expires_at:%H:%M:%S} UTC  ({_visible(', '.join(one.failed))})"
            )

    @group.command("show")
    def show(ident: Ident, *, home: Home = None, as_json: AsJson = False) -> None:
        """Show one call: every argument with where it comes from."""
        with services.open_boundary(load_settings(home=home)) as room:
            found = room.approvals.find(ident)
        if found is None:
            raise UnknownName(
                f"no approval {ident!r}", remedy="List them: `pilothouse approve list`.", subject=ident
            )
        if as_json:
            print_json(_document(found))
            return
        say(
            f"{_visible(found.tool)} ({found.effect}), asked by {found.agent} "
            f"for {_visible(found.requester) or 'nobody named'}"
        )
        say(
            f"  task type {_visible(found.task_type)}, run {_visible(found.run)}, state {found.state}, needs {found.needs}"
        )
        for one in found.arguments:
            mark = "!" if one.name in found.failed else " "
            source = f", seen in {_visible(one.source)}" if one.source else ""
            held = (
                f"; it may hold no personal data, and holds: {', '.join(one.personal)}"
                if one.personal
                else ""
            )
            say(
                f" {mark} {_visible(one.name)} = {_visible(one.value)}\n     {one.role}; from {', '.join(one.origins)}{source}{held}"
            )
        if found.tainted:
            typer.echo("  The model had read something untrusted before.")
        say(f"  $ pilothouse approve allow {found.id[:12]} --as PERSON")

    @group.command("allow")
    def allow(ident: Ident, *, person: Person, reason: Reason = "", home: Home = None) -> None:
        """Agree to exactly this call, once."""
        _answer(services, home, ident, person=person, allows=True, reason=reason)

    @group.command("deny")
    def deny(ident: Ident, *, person: Person, reason: Reason = "", home: Home = None) -> None:
        """Refuse this call."""
        _answer(services, home, ident, person=person, allows=False, reason=reason)

    @group.command("record")
    def record(
        agent: Annotated[str, typer.Argument(help="Agent id.")], *, home: Home = None, as_json: AsJson = False
    ) -> None:
        """Show how each approver answered, known-bad calls included."""
        with services.open_boundary(load_settings(home=home)) as room:
            found = room.approvals.approvers(agent)
        if as_json:
            print_json([asdict(one) for one in found])
            return
        if not found:
            say(f"Nobody has answered for {agent} yet.")
        for one in found:
            say(
                f"{one.actor}: {one.answered} answers, {one.allowed} agreed, median {one.median_s:.0f} s, "
                f"{one.under_3_s} within 3 s; known-bad calls refused {one.caught} of {one.canaries}"
            )


def _visible(text: str) -> str:
    """Return a text with characters that nobody sees, or that move others, written out."""
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") else sign
        for sign in text
    )


def _answer(
    services: Services, home: Path | None, ident: str, *, person: str, allows: bool, reason: str
) -> None:
    with services.open_boundary(load_settings(home=home)) as room:
        done = room.approvals.vote(ident, actor=person, allows=allows, reason=reason)
    if done.is_canary:
        say(
            "This call was made by nobody: it measures how carefully questions are read. "
            + ("It should have been refused." if allows else "It was rightly refused.")
        )
        return
    words = {
        "approved": "The agent may make exactly this call, once, until",
        "rejected": "The call is refused, until",
        "pending": "One more person must agree, until",
    }
    say(f"{done.tool}: {done.state}. {words.get(done.state, '')} {done.expires_at:%H:%M:%S} UTC.")


def _document(one: Approval) -> dict[str, object]:
    """One question as JSON; whether it is a known-bad one is told only after the answer."""
    document = asdict(one)
    document.pop("is_canary")
    document["asked_at"], document["expires_at"] = one.asked_at.isoformat(), one.expires_at.isoformat()
    document["votes"] = [
        {"actor": vote.actor, "allows": vote.allows, "at": vote.at.isoformat()} for vote in one.votes
    ]
    return document
