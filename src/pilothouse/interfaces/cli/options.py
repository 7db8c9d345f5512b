# SPDX-License-Identifier: Apache-2.0
"""Options that many commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Home"]

Home = Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
