# SPDX-License-Identifier: Apache-2.0
"""Composition root: the only package that knows every class and connects them.

What a command needs is imported when it runs, so that `pilothouse --help` and `check` answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.app.boundary import log_checks, open_boundary
from pilothouse.app.control_room import open_control_room
from pilothouse.app.credentials import open_credentials
from pilothouse.app.gateway import open_gateway_store
from pilothouse.app.mcp import list_mcp_tools, run_mcp_proxy
from pilothouse.app.opening import SystemClock, open_installation, open_intake, open_stores
from pilothouse.app.own_mcp import serve_examples, serve_verdicts
from pilothouse.app.pages import open_page_desk
from pilothouse.app.people import (
    feedback_key,
    open_curation,
    open_gaps,
    open_sign_in,
    open_workbench,
)
from pilothouse.app.repair import rebuild_tasks, repair_lake
from pilothouse.app.replay import replay
from pilothouse.app.runs import open_run_log
from pilothouse.app.serving import serve
from pilothouse.app.watch import open_watch
from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import typer

    from pilothouse.demo.parts import DemoParts
    from pilothouse.settings import Settings
    from pilothouse.workflows.server.backup import Manifest
    from pilothouse.workflows.server.checkup import Check, Checkup

__all__ = [
    "SystemClock",
    "back_up_installation",
    "command_tree",
    "demo_parts",
    "examine_installation",
    "feedback_key",
    "main",
    "open_control_room",
    "open_credentials",
    "open_curation",
    "open_gateway_store",
    "open_installation",
    "open_intake",
    "open_page_desk",
    "open_run_log",
    "open_sign_in",
    "open_watch",
    "open_workbench",
    "prepare_demo",
    "replay",
    "serve",
    "server_address",
]


def demo_parts() -> DemoParts:
    """Return the parts of the installation that the demo uses."""
    from pilothouse.app.demo import demo_parts as parts

    return parts(command_tree)


def prepare_demo(settings: Settings) -> Settings:
    """Make sure the demo's data exist and return the settings that point to them."""
    from pilothouse.app.demo import prepare_demo as prepare

    return prepare(settings, demo_parts())


def examine_installation(settings: Settings) -> Checkup:
    """Look at an installation, its server included."""
    from pilothouse.app.repair import lake_checks
    from pilothouse.connectors.own_intake import OwnServerIntake
    from pilothouse.workflows.server.doctor import examine

    def further_checks(settings: Settings) -> Iterator[Check]:
        with open_stores(settings) as (_, ledger):
            yield from log_checks(ledger, settings)
        yield from lake_checks(settings)

    def ask_server() -> tuple[str, dict[str, object] | None] | None:
        noted = read_server(settings.home)
        return None if noted is None else (noted.url, ask_health(noted.url))

    return examine(
        settings,
        SystemClock(),
        open_installation=open_installation,
        ask_server=ask_server,
        intake=OwnServerIntake(settings.home),
        further_checks=further_checks,
    )


def back_up_installation(settings: Settings, target: Path, *, no_ledger: bool = False) -> Manifest:
    """Copy an installation, running or not, to a new folder.

    Args:
        settings: Values in force.
        target: The copy's folder.
        no_ledger: Whether somebody else copies the ledger.
    """
    from pilothouse.lake.backup import copy_lake
    from pilothouse.ledger.backup import copy_ledger
    from pilothouse.runtime.runlog.backup import copy_runs
    from pilothouse.workflows.server.backup import back_up

    return back_up(
        settings,
        target,
        SystemClock().now(),
        copy_ledger=lambda folder: "" if no_ledger else copy_ledger(settings.ledger_url, folder),
        copy_lake=copy_lake,
        copy_runs=copy_runs,
    )


def server_address(settings: Settings) -> str | None:
    """Return where the server of an installation listens, or None when none runs."""
    noted = read_server(settings.home)
    return None if noted is None else noted.url


def command_tree() -> typer.Typer:
    """Return the command line with every part wired, without running it."""
    return build_cli(
        Services(
            clock=SystemClock(),
            open_installation=open_installation,
            open_control_room=open_control_room,
            open_watch=open_watch,
            open_gateway_store=open_gateway_store,
            open_credentials=open_credentials,
            open_boundary=open_boundary,
            open_intake=open_intake,
            open_sign_in=open_sign_in,
            open_curation=open_curation,
            open_gaps=open_gaps,
            feedback_key=feedback_key,
            open_workbench=open_workbench,
            server_address=server_address,
            serve=serve,
            examine=examine_installation,
            back_up=back_up_installation,
            repair=repair_lake,
            rebuild_tasks=rebuild_tasks,
            demo_parts=demo_parts,
            prepare_demo=prepare_demo,
            run_mcp_proxy=run_mcp_proxy,
            serve_examples=serve_examples,
            serve_verdicts=serve_verdicts,
            list_mcp_tools=list_mcp_tools,
            open_page_desk=open_page_desk,
            open_run_log=open_run_log,
            replay=replay,
        )
    )


def main() -> None:
    """Run the command line and exit with its status."""
    run_cli(command_tree())
