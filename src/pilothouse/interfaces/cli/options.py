# SPDX-License-Identifier: Apache-2.0
"""Options that many commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Agent", "AgentOption", "AsJson", "Home", "Who"]

Home = Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
_ONLY_ONE = "Agent id; may be left out while only one has a charter."
Agent = Annotated[str | None, typer.Argument(help=_ONLY_ONE)]
AgentOption = Annotated[str | None, typer.Option("--agent", help=_ONLY_ONE)]
Who = Annotated[
    str,
    typer.Option("--as", metavar="PERSON", envvar="PILOTHOUSE_PERSON", help="Who you are in the charter."),
]
