# SPDX-License-Identifier: Apache-2.0
"""Options that several drills share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AgentOption", "Command", "Live", "Runs", "Step", "Wait", "Who"]

AgentOption = Annotated[str | None, typer.Option(help="Agent id; not needed when one charter is in force.")]
Wait = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for people.")]
Who = Annotated[
    str,
    typer.Option("--as", metavar="PERSON", envvar="PILOTHOUSE_PERSON", help="Who you are in the charter."),
]


Step = Annotated[
    bool,
    typer.Option("--to-step", help="Wait until somebody says with `incident mitigate` that a step is done."),
]
Command = Annotated[
    list[str] | None,
    typer.Argument(metavar="CMD", help="The agent's own command, after `--`; it works as a shadow."),
]
Runs = Annotated[int, typer.Option(min=1, max=20, help="How often the command is run.")]
Live = Annotated[
    float | None,
    typer.Option(
        "--live",
        metavar="SECONDS",
        min=5,
        max=900,
        help="Let the live agent meet it for so long; its tasks count.",
    ),
]
