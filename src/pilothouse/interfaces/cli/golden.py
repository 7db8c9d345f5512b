# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval golden`: a person approves the steps of a run, and later versions must take them too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import say
from pilothouse.interfaces.cli.options import Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["add_commands"]

CHARTER = Path("charter.yaml")


def add_commands(group: typer.Typer, services: Services) -> None:
    """Add `golden` to `pilothouse eval`."""

    @group.command("golden")
    def golden(
        *,
        trace: Annotated[
            str, typer.Argument(help="Trace id of a good run: 32 digits, see `pilothouse traces`.")
        ],
        by: Annotated[str, typer.Option(help="Your person id: you approve its steps.")],
        dataset: Annotated[
            Path | None, typer.Option(help="Folder. Default: `datasets.trajectories.path` of the charter.")
        ] = None,
        ignore: Annotated[
            list[str] | None,
            typer.Option(help="Argument that differs from run to run, such as an id; may be given often."),
        ] = None,
        home: Home = None,
    ) -> None:
        """Keep the tool calls of a run as golden: `gate` then asks every version to take them (EVAL-10)."""
        from pilothouse.core.charter.answers import known
        from pilothouse.workflows.curation.golden import golden_case, keep_golden
        from pilothouse.workflows.ground.check import load_charter

        now = services.clock.now()
        folder = dataset
        if folder is None and CHARTER.is_file():
            named = known(load_charter(CHARTER, today=now.date()).datasets.trajectories.path)
            folder = CHARTER.parent / named if named else None
        if folder is None:
            raise UsageError("no folder for golden runs was given.", remedy="Give --dataset FOLDER.")
        with services.open_installation(load_settings(home=home)) as installation:
            case = golden_case(installation.lake, trace, by=by, at=now, ignore=ignore or ())
        kept = keep_golden(folder, case)
        steps = " → ".join(step.tool for step in case.trajectory.steps) if case.trajectory else ""
        say(f"{case.id}: {steps}")
        say(f"{kept.manifest.name} {kept.manifest.version}: {len(kept.cases)} golden runs")
