# SPDX-License-Identifier: Apache-2.0
"""Starts the server: opens every part of it and keeps it running until a signal asks to stop."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pilothouse.app.allocator import choose_allocator
from pilothouse.app.boundary import log_checks
from pilothouse.app.control_room import control_room, running_controls, running_pager
from pilothouse.app.deciding_code import deciding_code
from pilothouse.app.gateway import running_gateway
from pilothouse.app.gateway_process import accept_charters, serve_gateway
from pilothouse.app.interpreter import tune_interpreter
from pilothouse.app.opening import SystemClock
from pilothouse.app.pages import page_desk
from pilothouse.app.people import sign_in_of
from pilothouse.app.runs import can_replay, open_run_log
from pilothouse.app.server_parts import Parts, Site, application, recurring_work
from pilothouse.connectors.own_server import forget_server, note_server
from pilothouse.interfaces.cli.services import ServeRequest, ServerRole

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from pilothouse.app.mcp import McpEndpoint
    from pilothouse.interfaces.http.otlp_grpc import GrpcServer
    from pilothouse.lake.node import LakeNode
    from pilothouse.ports.work import TickState
    from pilothouse.workflows.ground.background import Background

__all__ = ["serve"]


def serve(request: ServeRequest) -> None:
    """Serve telemetry and pages until a signal asks to stop."""
    if request.role is ServerRole.GATEWAY:
        serve_gateway(request)
        return
    choose_allocator()

    from pilothouse.interfaces.http.server import bind
    from pilothouse.lake.node import open_node
    from pilothouse.lake.prices import priced_by
    from pilothouse.lake.quota import Quota
    from pilothouse.ledger.controls import SqlControls
    from pilothouse.ledger.dockets import SqlDockets
    from pilothouse.ledger.incidents import SqlIncidents
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.ledger.one_server import OneServer
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.ledger.waiting_calls import SqlWaitingCalls
    from pilothouse.workflows.gateway.price_list import PriceList
    from pilothouse.workflows.ground.installation import Installation

    settings = request.settings
    clock = SystemClock()
    with (
        bind(settings.host, settings.port) as listener,
        open_ledger(settings.ledger_url) as ledger,
        OneServer(ledger.database, settings.home) as place,
    ):
        accept_charters(request, ledger)
        for check in log_checks(ledger, settings):  # it goes on: decisions are kept, and nobody signs them
            request.on_note(f"{check.sentence} {check.remedy}")
        prices = PriceList(ledger)
        quota = Quota(items_per_s=settings.ingest_items_per_s, bytes_per_day=settings.ingest_bytes_per_day)
        node = open_node(settings.lake_folder, clock, prices=priced_by(prices.read), quota=quota)
        try:
            dockets = SqlDockets(ledger.database, deciding_code)
            installation = Installation(
                settings=settings,
                clock=clock,
                lake=node,
                ledger=ledger,
                dockets=dockets,
                controls=SqlControls(ledger.database),
                incidents=SqlIncidents(ledger.database),
                reviews=SqlReviewQueue(ledger.database),
                calls=SqlWaitingCalls(ledger.database),
            )
            room = control_room(installation, ledger)
            with (
                running_controls(ledger, request.on_note) as controls,
                open_run_log(settings, request.on_note) as run_log,
                running_gateway(
                    ledger,
                    prices,
                    controls,
                    node,
                    run_log,
                    shared=settings.shared_ids,
                    on_note=request.on_note,
                ) as gateway,
                running_pager(room, request.on_note),
            ):
                parts = Parts(
                    request=request,
                    room=room,
                    node=node,
                    prices=prices,
                    ledger=ledger,
                    controls=controls,
                    gateway=gateway,
                    run_log=run_log,
                    place=place,
                )
                _serve_node(parts, listener)
        finally:
            node.stop()


def _serve_node(parts: Parts, listener: socket.socket) -> None:
    """Serve until a signal asks to stop, with the recurring work that belongs to it."""
    from pilothouse.interfaces.http import server
    from pilothouse.workflows.ground.agents import SeenAgents
    from pilothouse.workflows.reports.show import Shows
    from pilothouse.workflows.shows.ahead import AHEAD_LIFE
    from pilothouse.workflows.traces.reconcile import GapWatch, open_gap_incidents

    request, room, node, gateway = parts.request, parts.room, parts.node, parts.gateway
    installation = room.installation
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    home = installation.settings.home
    running: list[Background] = []

    def work() -> Sequence[TickState]:  # one of its ticks renews the pages that show it
        return [state for one in running for state in one.states()]

    seen = SeenAgents(installation.lake).read
    shows = Shows(
        installation,
        health=node.health,
        work=work,
        life=AHEAD_LIFE,
        seen=seen,
        recorded=partial(can_replay, parts.run_log),
        state=parts.ledger.database.state,
    )
    site = Site(
        shows=shows,
        desk=page_desk(room, parts.ledger, parts.run_log, shows=shows, seen=seen),
        sign_in=sign_in_of(installation.settings, parts.ledger),
        gap_watch=GapWatch(
            node.health, installation.ledger, request.on_note, partial(open_gap_incidents, room)
        ),
        work=work,
    )
    running += recurring_work(parts, site)

    def ready() -> None:
        tune_interpreter()
        node.announce(address)
        note_server(home, address)
        for one in running:
            one.start()
        request.on_ready(address, grpc_server.address if grpc_server else None)
        if not installation.ledger.charters():
            request.on_note("No charter is in force yet: `pilothouse init PATH-TO-YOUR-AGENT` drafts one.")

    mcp = _mcp(parts)

    async def stop() -> None:
        if mcp is not None:
            await mcp.close()
        await gateway.close()

    app = application(parts, site, mcp)
    grpc_server = _start_grpc(request, node, host)
    try:
        server.serve(app, listener, ready, on_stop=stop)
    finally:
        if grpc_server:
            grpc_server.stop()
        for one in running:
            one.stop()
        forget_server(home)


def _mcp(parts: Parts) -> McpEndpoint | None:
    """Answer MCP where its SDK is installed."""
    if find_spec("mcp") is None:
        return None
    from pilothouse.app.mcp import mcp_endpoint

    return mcp_endpoint(
        parts.ledger,
        parts.request.settings,
        keys=parts.gateway.keys,
        controls=parts.controls,
        run_log=parts.run_log,
        on_note=parts.request.on_note,
    )


def _start_grpc(request: ServeRequest, node: LakeNode, host: str) -> GrpcServer | None:
    """Serve OTLP over gRPC where grpcio is installed; a port in use is reported and stops nothing."""
    if find_spec("grpc") is None:
        return None
    from pilothouse.errors import Conflict
    from pilothouse.interfaces.http.otlp_grpc import start_grpc

    try:
        return start_grpc(node, host, request.grpc_port)
    except Conflict as error:
        request.on_note(f"{error.message}. {error.remedy}")
        return None
