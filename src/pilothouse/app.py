# SPDX-License-Identifier: Apache-2.0
"""Composition root: the only module that knows every class and puts them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import typer

from pilothouse.errors import StorageUnavailable
from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import Settings
from pilothouse.workflows.installation import Installation

__all__ = ["SystemClock", "command_tree", "main", "open_installation"]


class SystemClock:
    """The machine's wall clock, in UTC."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return datetime.now(UTC)


@contextmanager
def open_installation(settings: Settings) -> Iterator[Installation]:
    """Open lake and ledger for reading and deciding, and close them again.

    Args:
        settings: Values in force.
    """
    raise StorageUnavailable(
        "lake and ledger are not wired yet", remedy="Wire them.", subject=str(settings.home)
    )
    yield


def command_tree() -> typer.Typer:
    """Return the command line with every part wired, without running it."""
    return build_cli(Services(clock=SystemClock(), open_installation=open_installation))


def main() -> None:
    """Run the command line and exit with its status."""
    run_cli(command_tree())
