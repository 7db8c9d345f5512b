# SPDX-License-Identifier: Apache-2.0
"""Composition root: the only module that knows every class and puts them together.

What a command needs is imported when it runs, so that `pilothouse --help` and `check` answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pilothouse import __version__
from pilothouse.connectors.own_server import ask_health, forget_server, note_server, read_server
from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import ServeRequest, Services

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import typer

    from pilothouse.demo.story import DemoParts, Step
    from pilothouse.interfaces.http.otlp_grpc import GrpcServer
    from pilothouse.lake.node import LakeNode
    from pilothouse.ports import Intake
    from pilothouse.settings import Settings
    from pilothouse.workflows.backup import Manifest
    from pilothouse.workflows.doctor import Checkup
    from pilothouse.workflows.installation import Installation
    from pilothouse.workflows.upkeep import PriceList

__all__ = [
    "SystemClock",
    "back_up_installation",
    "command_tree",
    "demo_parts",
    "examine_installation",
    "main",
    "open_installation",
    "open_intake",
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

    A server may be writing the lake meanwhile; what it has committed is seen.

    Args:
        settings: Values in force.
    """
    from pilothouse.lake.store import open_lake
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.installation import Installation

    clock = SystemClock()
    with open_ledger(settings.ledger_url) as ledger:
        lake = open_lake(settings.lake_folder, clock)
        try:
            yield Installation(settings=settings, clock=clock, lake=lake, ledger=ledger)
        finally:
            lake.close()


@contextmanager
def open_intake(settings: Settings) -> Iterator[Intake]:
    """Open the door for telemetry: the running server's, or the lake itself when none runs.

    Args:
        settings: Values in force.
    """
    from pilothouse.lake import remote

    with remote.open_intake(settings.lake_folder, SystemClock()) as intake:
        yield intake


def serve(request: ServeRequest) -> None:
    """Serve telemetry and pages until a signal asks to stop.

    Args:
        request: What `up` asks for.
    """
    from pilothouse.errors import CharterInvalid
    from pilothouse.interfaces.http.server import bind
    from pilothouse.lake.node import open_node
    from pilothouse.lake.prices import priced_by
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.accept import accept_file
    from pilothouse.workflows.installation import Installation
    from pilothouse.workflows.upkeep import PriceList

    settings = request.settings
    clock = SystemClock()
    with bind(settings.host, settings.port) as listener, open_ledger(settings.ledger_url) as ledger:
        for path in request.charters:
            try:
                accept_file(ledger, path, clock.now(), actor="pilothouse up")
            except CharterInvalid as error:
                # A slip in the file must not stop telemetry: the charter in force goes on being in force.
                if ledger.charter(error.subject or "") is None:
                    raise
                request.on_note(f"{error.message}. {error.remedy}")
        prices = PriceList(ledger)
        node = open_node(settings.lake_folder, clock, prices=priced_by(prices.read))
        try:
            installation = Installation(settings=settings, clock=clock, lake=node, ledger=ledger)
            _serve_node(request, installation, node, prices, listener)
        finally:
            node.stop()


def _serve_node(
    request: ServeRequest,
    installation: Installation,
    node: LakeNode,
    prices: PriceList,
    listener: socket.socket,
) -> None:
    from pilothouse.interfaces.http import server
    from pilothouse.interfaces.http.otlp import otlp_app
    from pilothouse.interfaces.web.pages import web_app
    from pilothouse.lake.health import metrics_text
    from pilothouse.workflows.background import Background, Tick
    from pilothouse.workflows.reconcile import RECONCILE_EVERY_S, GapWatch
    from pilothouse.workflows.show import Shows
    from pilothouse.workflows.upkeep import server_ticks

    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    home = installation.settings.home
    gap_watch = GapWatch(node.health, installation.ledger, request.on_note)
    background = Background(
        (
            *server_ticks(installation, prices, request.charters, on_note=request.on_note),
            Tick(name="reconcile", every_s=RECONCILE_EVERY_S, run=gap_watch.look),
        ),
        installation.clock,
        lambda name, text: request.on_note(f"{name}: {text}"),
    )

    def ready() -> None:
        node.announce(address)
        note_server(home, address)
        background.start()
        request.on_ready(address, grpc_server.address if grpc_server else None)
        if not installation.ledger.charters():
            request.on_note("No charter is in force yet: `pilothouse init PATH-TO-YOUR-AGENT` drafts one.")

    app = server.compose(
        otlp=otlp_app(node),
        pages=web_app(Shows(installation, health=node.health, work=background.states)),
        metrics=lambda: metrics_text(node.health()),
        health=lambda: {
            "program": "pilothouse",
            "version": __version__,
            "telemetry": asdict(node.health()),
            "gap_alert": gap_watch.is_open,
            "ticks": [asdict(state) for state in background.states()],
        },
        further_hosts=installation.settings.allowed_hosts,
    )
    grpc_server = _start_grpc(request, node, host)
    try:
        server.serve(app, listener, ready)
    finally:
        if grpc_server:
            grpc_server.stop()
        background.stop()
        forget_server(home)


def _start_grpc(request: ServeRequest, node: LakeNode, host: str) -> GrpcServer | None:
    """Take OTLP over gRPC where grpcio is installed; a taken port is said and stops nothing."""
    if find_spec("grpc") is None:
        return None
    from pilothouse.errors import Conflict
    from pilothouse.interfaces.http.otlp_grpc import start_grpc

    try:
        return start_grpc(node, host, request.grpc_port)
    except Conflict as error:
        request.on_note(f"{error.message}. {error.remedy}")
        return None


def demo_parts() -> DemoParts:
    """Return what the demo needs of us."""
    from pilothouse.demo.story import DemoParts

    return DemoParts(
        clock=SystemClock(),
        open_installation=open_installation,
        open_intake=open_intake,
    )


def prepare_demo(settings: Settings) -> Settings:
    """Make sure the demo's data exist and return the settings that point to them.

    Args:
        settings: Settings of the user's installation.
    """
    from pilothouse.demo.story import prepare_demo as prepare

    def tell(step: Step) -> None:
        sys.stderr.write(f"  {step.line}\n")

    return prepare(settings, demo_parts(), on_step=tell)


def examine_installation(settings: Settings) -> Checkup:
    """Look at an installation, its server included.

    Args:
        settings: Values in force.
    """
    from pilothouse.workflows.doctor import examine

    def ask_server() -> tuple[str, dict[str, object] | None] | None:
        noted = read_server(settings.home)
        return None if noted is None else (noted.url, ask_health(noted.url))

    return examine(settings, SystemClock(), open_installation=open_installation, ask_server=ask_server)


def back_up_installation(settings: Settings, target: Path) -> Manifest:
    """Copy an installation, running or not, to a new folder.

    Args:
        settings: Values in force.
        target: The copy's folder.
    """
    from pilothouse.lake.backup import copy_lake
    from pilothouse.ledger.backup import copy_ledger
    from pilothouse.workflows.backup import back_up

    return back_up(settings, target, SystemClock().now(), copy_lake=copy_lake, copy_ledger=copy_ledger)


def command_tree() -> typer.Typer:
    """Return the command line with every part wired, without running it."""
    return build_cli(
        Services(
            clock=SystemClock(),
            open_installation=open_installation,
            open_intake=open_intake,
            serve=serve,
            examine=examine_installation,
            back_up=back_up_installation,
            demo_parts=demo_parts,
            prepare_demo=prepare_demo,
        )
    )


def main() -> None:
    """Run the command line and exit with its status."""
    run_cli(command_tree())
