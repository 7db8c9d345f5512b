# SPDX-License-Identifier: Apache-2.0
"""Starts the server: every part that answers or works in the background, joined on one port."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pilothouse import __version__
from pilothouse.app.allocator import choose_allocator
from pilothouse.app.collector import settle_down
from pilothouse.app.control_room import alert_ticks, control_room, note_tick, running_controls, running_pager
from pilothouse.app.deciding_code import deciding_code
from pilothouse.app.gateway import running_gateway
from pilothouse.app.gateway_process import accept_charters, serve_gateway
from pilothouse.app.opening import SystemClock
from pilothouse.app.pages import page_desk
from pilothouse.app.people import people_api, people_rooms, review_ticks, sign_in_of
from pilothouse.app.runs import open_run_log
from pilothouse.app.watch import watch_room, watch_ticks
from pilothouse.connectors.own_server import forget_server, note_server
from pilothouse.interfaces.cli.services import ServeRequest, ServerRole

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from pilothouse.app.gateway import RunningGateway
    from pilothouse.app.mcp import McpEndpoint
    from pilothouse.interfaces.http.otlp_grpc import GrpcServer
    from pilothouse.lake.node import LakeNode
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.controls import Controls
    from pilothouse.ports.runlog import RunLog
    from pilothouse.workflows.background import TickState
    from pilothouse.workflows.control_room import ControlRoom
    from pilothouse.workflows.price_list import PriceList

__all__ = ["serve"]


def serve(request: ServeRequest) -> None:
    """Serve telemetry and pages until a signal asks to stop.

    Args:
        request: What `up` asks for.
    """
    if request.role is ServerRole.GATEWAY:
        serve_gateway(request)
        return
    choose_allocator()

    from pilothouse.interfaces.http.server import bind
    from pilothouse.lake.node import open_node
    from pilothouse.lake.prices import priced_by
    from pilothouse.lake.quota import Quota
    from pilothouse.ledger.dockets import SqlDockets
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.installation import Installation
    from pilothouse.workflows.price_list import PriceList

    settings = request.settings
    clock = SystemClock()
    with bind(settings.host, settings.port) as listener, open_ledger(settings.ledger_url) as ledger:
        accept_charters(request, ledger)
        prices = PriceList(ledger)
        quota = Quota(items_per_s=settings.ingest_items_per_s, bytes_per_day=settings.ingest_bytes_per_day)
        node = open_node(settings.lake_folder, clock, prices=priced_by(prices.read), quota=quota)
        try:
            dockets = SqlDockets(ledger.database, deciding_code)
            installation = Installation(
                settings=settings, clock=clock, lake=node, ledger=ledger, dockets=dockets
            )
            room = control_room(installation, ledger)
            with (
                running_controls(ledger, request.on_note) as controls,
                open_run_log(settings, request.on_note) as run_log,
                running_gateway(ledger, prices, controls, node, run_log, on_note=request.on_note) as gateway,
                running_pager(room, request.on_note),
            ):
                _serve_node(
                    request,
                    room,
                    node,
                    prices,
                    listener,
                    controls=controls,
                    gateway=gateway,
                    ledger=ledger,
                    run_log=run_log,
                )
        finally:
            node.stop()


def _serve_node(
    request: ServeRequest,
    room: ControlRoom,
    node: LakeNode,
    prices: PriceList,
    listener: socket.socket,
    *,
    controls: Controls,
    ledger: SqlLedger,
    gateway: RunningGateway,
    run_log: RunLog,
) -> None:
    from pilothouse.connectors.own_intake import OwnServerIntake
    from pilothouse.interfaces.http import server
    from pilothouse.interfaces.http.otlp import otlp_app
    from pilothouse.interfaces.web.controls import ControlsRoom
    from pilothouse.interfaces.web.incidents import IncidentRoom
    from pilothouse.interfaces.web.pages import web_app
    from pilothouse.interfaces.web.rollout import RolloutRoom
    from pilothouse.interfaces.web.runs import RunRoom
    from pilothouse.interfaces.web.shelf import ShelfRoom
    from pilothouse.interfaces.web.waivers import WaiverRoom
    from pilothouse.lake.health import metrics_text
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.workflows.agents import SeenAgents
    from pilothouse.workflows.background import Background, Tick
    from pilothouse.workflows.reconcile import RECONCILE_EVERY_S, GapWatch, open_gap_incidents
    from pilothouse.workflows.show import Shows
    from pilothouse.workflows.shows.ahead import AHEAD_EVERY_S, AHEAD_LIFE, PagesAhead
    from pilothouse.workflows.upkeep import server_ticks

    installation = room.installation
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    home = installation.settings.home
    gap_watch = GapWatch(node.health, installation.ledger, request.on_note, partial(open_gap_incidents, room))
    sign_in = sign_in_of(installation.settings, ledger)

    def work() -> Sequence[TickState]:  # of the ticks below, one of which renews these pages
        return (*background.states(), *budgets.states())

    def note_failure(name: str, text: str) -> None:
        request.on_note(f"{name}: {text}")

    seen = SeenAgents(installation.lake).read
    shows = Shows(installation, health=node.health, work=work, life=AHEAD_LIFE, seen=seen)
    desk = page_desk(room, ledger, run_log, shows=shows, seen=seen)
    background = Background(
        (
            Tick(name="pages", every_s=AHEAD_EVERY_S, run=PagesAhead(installation, shows, desk).run),
            *server_ticks(
                installation,
                prices,
                request.charters,
                lake=node,
                intake=OwnServerIntake(home),
                on_note=request.on_note,
                judge=shows.judged,
            ),
            *review_ticks(installation, ledger, sign_in.directory),
            Tick(name="reconcile", every_s=RECONCILE_EVERY_S, run=gap_watch.look),
            *alert_ticks(room),
            note_tick(room, ledger, shows),
            *watch_ticks(watch_room(room, ledger, sign_in.directory), run_log),
        ),
        installation.clock,
        note_failure,
    )
    # What was spent is told and learnt every few seconds, also while another tick takes minutes.
    budgets = Background(gateway.ticks, installation.clock, note_failure)

    def ready() -> None:
        settle_down()
        node.announce(address)
        note_server(home, address)
        background.start()
        budgets.start()
        request.on_ready(address, grpc_server.address if grpc_server else None)
        if not installation.ledger.charters():
            request.on_note("No charter is in force yet: `pilothouse init PATH-TO-YOUR-AGENT` drafts one.")

    mcp = _mcp(request, ledger, gateway=gateway, controls=controls, run_log=run_log)

    async def stop() -> None:
        if mcp is not None:
            await mcp.close()
        await gateway.close()

    app = server.compose(
        otlp=otlp_app(node),
        pages=web_app(
            shows,
            sign_in=sign_in,
            rooms=(
                *people_rooms(ledger, sign_in),
                RolloutRoom(installation, shows),
                IncidentRoom(room),
                ControlsRoom(desk),
                WaiverRoom(desk, shows.forget),
                RunRoom(desk, SqlCuration(ledger.database)),
                ShelfRoom(desk),
            ),
            state=lambda: (ledger.database.state(), shows.now()),
        ),
        mounts={
            "gw": gateway.app,
            "api": people_api(installation, ledger, sign_in.directory),
            **({} if mcp is None else {"mcp": mcp.app}),
        },
        metrics=lambda: metrics_text(node.health()) + gateway.metrics(),
        health=lambda: {
            "program": "pilothouse",
            "version": __version__,
            "telemetry": asdict(node.health()),
            "gap_alert": gap_watch.is_open,
            "gateway": gateway.counters(),
            "paused": sorted({pause.agent for pause in controls.state().pauses.values()}),
            "ticks": [asdict(state) for state in work()],
        },
        further_hosts=installation.settings.allowed_hosts,
    )
    grpc_server = _start_grpc(request, node, host)
    try:
        server.serve(app, listener, ready, on_stop=stop)
    finally:
        if grpc_server:
            grpc_server.stop()
        background.stop()
        budgets.stop()
        forget_server(home)


def _mcp(
    request: ServeRequest, ledger: SqlLedger, *, gateway: RunningGateway, controls: Controls, run_log: RunLog
) -> McpEndpoint | None:
    """Answer MCP where its SDK is installed."""
    if find_spec("mcp") is None:
        return None
    from pilothouse.app.mcp import mcp_endpoint

    return mcp_endpoint(
        ledger,
        request.settings,
        directory=gateway.directory,
        controls=controls,
        run_log=run_log,
        on_note=request.on_note,
    )


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
