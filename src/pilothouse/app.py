# SPDX-License-Identifier: Apache-2.0
"""Composition root: the only module that knows every class and puts them together."""

from __future__ import annotations

from datetime import UTC, datetime

from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import Services

__all__ = ["SystemClock", "main"]


class SystemClock:
    """The machine's wall clock, in UTC."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return datetime.now(UTC)


def main() -> None:
    """Run the command line and exit with its status."""
    run_cli(build_cli(Services(clock=SystemClock())))
