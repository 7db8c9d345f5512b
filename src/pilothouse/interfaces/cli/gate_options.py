# SPDX-License-Identifier: Apache-2.0
"""Options that commands which run an agent on cases have in common, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

__all__ = [
    "JOURNAL",
    "RULES",
    "RUNS",
    "Adversarial",
    "AgentName",
    "AllowUnpriced",
    "Alpha",
    "Baseline",
    "BaselineRepeats",
    "CharterFile",
    "Concurrency",
    "DatasetPath",
    "Deadline",
    "Floor",
    "JournalFile",
    "Looks",
    "Margin",
    "MaxCases",
    "PerMinute",
    "Repeats",
    "ScorerText",
    "SpendingName",
    "charter_here",
]

CHARTER_NAME: Final = "charter.yaml"
RULES: Final = "What decides"
RUNS: Final = "How it runs"
JOURNAL: Final = Path(".pilothouse/evals.db")

Adversarial = Annotated[
    Path | None, typer.Option(help="Dataset of attacks. Default: the charter's, if it is there.")
]
AgentName = Annotated[str | None, typer.Option(help="Agent to put on record, without a charter.")]
AllowUnpriced = Annotated[
    bool,
    typer.Option(
        "--allow-unpriced", rich_help_panel=RUNS, help="Accept trials of unknown cost under a budget."
    ),
]
Alpha = Annotated[float | None, typer.Option(rich_help_panel=RULES, help="Error of each requirement.")]
Baseline = Annotated[
    str | None,
    typer.Option(help="What it is compared with: an address, a version digest, `current` or `anchor`."),
]
BaselineRepeats = Annotated[
    int, typer.Option(rich_help_panel=RUNS, help="Runs of each case by the baseline.")
]
CharterFile = Annotated[Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")]
Concurrency = Annotated[int, typer.Option(rich_help_panel=RUNS, help="Most trials at once.", min=1, max=256)]
DatasetPath = Annotated[
    Path | None,
    typer.Option(help="Dataset folder, or a plain JSON-lines file. Default: the charter's labelled one."),
]
Deadline = Annotated[float, typer.Option(rich_help_panel=RUNS, help="Seconds for one case.", min=0.001)]
Floor = Annotated[
    float | None, typer.Option(rich_help_panel=RULES, help="Least rate of good answers, for example 0.9.")
]
JournalFile = Annotated[Path, typer.Option(rich_help_panel=RUNS, help="Where trials are kept.")]
Looks = Annotated[int, typer.Option(rich_help_panel=RULES, help="Looks at which it may stop.")]
Margin = Annotated[float | None, typer.Option(rich_help_panel=RULES, help="Largest accepted loss, points.")]
MaxCases = Annotated[int | None, typer.Option(rich_help_panel=RULES, help="Most cases of the run.", min=1)]
PerMinute = Annotated[
    float | None, typer.Option(rich_help_panel=RUNS, help="Most trials started in a minute.")
]
Repeats = Annotated[int, typer.Option(rich_help_panel=RUNS, help="Runs of each case by the candidate.")]
ScorerText = Annotated[
    str | None, typer.Option(help="""Judges cases without asserts: NAME or NAME={"json": "args"}.""")
]
SpendingName = Annotated[
    Literal["pocock", "obrien_fleming"],
    typer.Option(rich_help_panel=RULES, help="How the error is spent over the looks."),
]


def charter_here(named: Path | None = None) -> Path | None:
    """Return the charter that was named, else the one in this folder, else None.

    Args:
        named: What the user typed, or None.
    """
    return named or (Path(CHARTER_NAME) if Path(CHARTER_NAME).is_file() else None)
