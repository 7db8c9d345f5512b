# SPDX-License-Identifier: Apache-2.0
"""Composition root: the only module that knows every class and puts them together.

What a command needs is imported when it runs, so that `pilothouse --help` and `check` answer at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.errors import StorageUnavailable
from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import ServeRequest, Services

if TYPE_CHECKING:
    import typer

    from pilothouse.settings import Settings
    from pilothouse.workflows.doctor import Checkup
    from pilothouse.workflows.installation import Installation

__all__ = [
    "SystemClock",
    "command_tree",
    "examine_installation",
    "main",
    "open_installation",
    "prepare_demo",
    "serve",
]


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
    yield  # type: ignore[unreachable]  # until they are wired


def serve(request: ServeRequest) -> None:
    """Serve telemetry and pages until a signal asks to stop."""
    raise StorageUnavailable(
        "the server is not wired yet", remedy="Wire it.", subject=str(request.settings.home)
    )


def prepare_demo(settings: Settings) -> Settings:
    """Make sure the demo's data exist and return the settings that point to them."""
    raise StorageUnavailable("the demo is not wired yet", remedy="Wire it.", subject=str(settings.home))


def examine_installation(settings: Settings) -> Checkup:
    """Look at an installation, its server included."""
    from pilothouse.workflows.doctor import examine

    def ask_server() -> tuple[str, dict[str, object] | None] | None:
        noted = read_server(settings.home)
        return None if noted is None else (noted.url, ask_health(noted.url))

    return examine(settings, SystemClock(), open_installation=open_installation, ask_server=ask_server)


def command_tree() -> typer.Typer:
    """Return the command line with every part wired, without running it."""
    return build_cli(
        Services(
            clock=SystemClock(),
            open_installation=open_installation,
            serve=serve,
            examine=examine_installation,
            prepare_demo=prepare_demo,
        )
    )


def main() -> None:
    """Run the command line and exit with its status."""
    run_cli(command_tree())
