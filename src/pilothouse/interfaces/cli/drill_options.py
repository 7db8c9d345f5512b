# SPDX-License-Identifier: Apache-2.0
"""Options that several drills share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Command", "Live", "Runs", "Step", "Wait"]

Wait = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for people.")]


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
