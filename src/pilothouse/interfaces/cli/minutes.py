# SPDX-License-Identifier: Apache-2.0
"""`pilothouse minutes`: the calendar of reviews, and what was seen and decided in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home, Who
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `minutes` to the command tree."""

    @cli.command("minutes")
    def minutes(
        review: Annotated[
            str,
            typer.Argument(
                help="quality, owner, sponsor, permissions or runbooks; `list` shows what is due."
            ),
        ] = "list",
        *,
        text: Annotated[str, typer.Option("--text", help="What was seen and decided.")] = "",
        person: Who = "",
        agent: AgentOption = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Keep the minutes of a review that took place, or show which reviews are due."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import charter_in_force
        from pilothouse.workflows.review.minutes import hold_review, review_calendar

        now = services.clock.now()
        with services.open_installation(load_settings(home=home)) as installation:
            charter = charter_in_force(installation.ledger, choose_agent(installation, agent))
            if review != "list":
                hold_review(installation.ledger, charter, review, person=person, minutes=text, now=now)
            calendar = review_calendar(installation.ledger, charter)
        if as_json:
            print_json(
                [
                    {
                        "review": one.kind,
                        "held_at": one.held_at.isoformat() if one.held_at else None,
                        "due_at": one.due_at.isoformat() if one.due_at else None,
                        "minutes": one.minutes,
                    }
                    for one in calendar
                ]
            )
            return
        for one in sorted(calendar, key=lambda one: one.kind != review):
            if one.held_at is None:
                said = "never held: no minutes yet"
            elif one.due_at is None:
                said = f"held on {day(one.held_at)}; the charter gives no cadence"
            else:
                late = "OVERDUE since" if one.due_at < now else "next by"
                said = f"held on {day(one.held_at)}; {late} {day(one.due_at)}"
            say(f"{one.kind:<12} {said}")
