# SPDX-License-Identifier: Apache-2.0
"""Composes the parts of a server: the application on its port, and its recurring work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pilothouse import __version__
from pilothouse.app.boundary import log_ticks
from pilothouse.app.control_room import alert_ticks, note_ticks
from pilothouse.app.people import people_api, people_rooms, review_ticks
from pilothouse.app.watch import watch_room, watch_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilothouse.app.gateway import RunningGateway
    from pilothouse.app.mcp import McpEndpoint
    from pilothouse.interfaces.cli.services import ServeRequest
    from pilothouse.interfaces.http.server import App
    from pilothouse.lake.node import LakeNode
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ledger.one_server import OneServer
    from pilothouse.ports.controls import Controls
    from pilothouse.ports.runlog import RunLog
    from pilothouse.ports.work import TickState
    from pilothouse.workflows.gateway.price_list import PriceList
    from pilothouse.workflows.ground.background import Background
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.people.sign_in import SignIn
    from pilothouse.workflows.reports.show import Shows
    from pilothouse.workflows.shows.desk import PageDesk
    from pilothouse.workflows.traces.reconcile import GapWatch

__all__ = ["Parts", "Site", "application", "recurring_work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The opened parts of a server."""

    request: ServeRequest
    room: ControlRoom
    node: LakeNode
    prices: PriceList
    ledger: SqlLedger
    controls: Controls
    gateway: RunningGateway
    run_log: RunLog
    place: OneServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The pages of a server, and the health of its background work."""

    shows: Shows
    desk: PageDesk
    sign_in: SignIn
    gap_watch: GapWatch
    work: Callable[[], Sequence[TickState]]


def recurring_work(parts: Parts, site: Site) -> tuple[Background, ...]:
    """Return the recurring work, and separately the exchange of gateway spending and the reading of the audit log.

    Spending is exchanged every few seconds, also while another tick takes minutes; a long log takes such minutes.
    """
    from pilothouse.connectors.own_intake import OwnServerIntake
    from pilothouse.lake.scrubber import Scrubber
    from pilothouse.ledger.one_server import LOOK_EVERY_S
    from pilothouse.workflows.ground.background import Background, Tick
    from pilothouse.workflows.server.upkeep import server_ticks
    from pilothouse.workflows.shows.ahead import AHEAD_EVERY_S, PagesAhead
    from pilothouse.workflows.traces.agent_names import NAMES_LOOK_EVERY_S, NamesWatch
    from pilothouse.workflows.traces.reconcile import RECONCILE_EVERY_S
    from pilothouse.workflows.traces.set_aside import FILES_EVERY_S, FilesTick

    request, room, ledger = parts.request, parts.room, parts.ledger
    installation, directory = room.installation, site.sign_in.directory

    def note_failure(name: str, text: str) -> None:
        request.on_note(f"{name}: {text}")

    ticks = (
        Tick(name="pages", every_s=AHEAD_EVERY_S, run=PagesAhead(installation, site.shows, site.desk).run),
        *server_ticks(
            installation,
            parts.prices,
            request.charters,
            lake=parts.node,
            intake=OwnServerIntake(installation.settings.home),
            on_note=request.on_note,
            judge=site.shows.judged,
        ),
        *review_ticks(installation, ledger, directory),
        Tick(
            name="files of telemetry",
            every_s=FILES_EVERY_S,
            run=FilesTick(ledger, Scrubber(installation.settings.lake_folder).scrub).run,
        ),
        Tick(name="the one server of its ledger", every_s=LOOK_EVERY_S, run=parts.place.look),
        Tick(name="reconcile", every_s=RECONCILE_EVERY_S, run=site.gap_watch.look),
        Tick(
            name="agent names",
            every_s=NAMES_LOOK_EVERY_S,
            run=NamesWatch(parts.node.health, room, request.on_note).look,
        ),
        *alert_ticks(room),
        *note_ticks(room, ledger, site.shows),
        *watch_ticks(watch_room(room, ledger, directory), parts.run_log),
    )
    return (
        Background(ticks, installation.clock, note_failure),
        Background(parts.gateway.ticks, installation.clock, note_failure),
        Background(log_ticks(ledger, installation.settings), installation.clock, note_failure),
    )


def application(parts: Parts, site: Site, mcp: McpEndpoint | None) -> App:
    """Return the application of the port: telemetry, pages, gateway, API, and MCP where it is installed."""
    from pilothouse.interfaces.http.otlp import otlp_app
    from pilothouse.interfaces.http.server import compose
    from pilothouse.interfaces.web.controls import ControlsRoom
    from pilothouse.interfaces.web.incidents import IncidentRoom
    from pilothouse.interfaces.web.pages import web_app
    from pilothouse.interfaces.web.rollout import RolloutRoom
    from pilothouse.interfaces.web.runs import RunRoom
    from pilothouse.interfaces.web.section_pages import SectionRoom
    from pilothouse.interfaces.web.waivers import WaiverRoom
    from pilothouse.lake.health import metrics_text
    from pilothouse.ledger.curation import SqlCuration

    node, ledger, gateway, controls = parts.node, parts.ledger, parts.gateway, parts.controls
    installation, shows, desk = parts.room.installation, site.shows, site.desk
    pages = web_app(
        shows,
        sign_in=site.sign_in,
        rooms=(
            *people_rooms(ledger, site.sign_in),
            RolloutRoom(installation, shows),
            IncidentRoom(parts.room),
            ControlsRoom(desk, shows.forget),
            WaiverRoom(desk, shows.forget),
            RunRoom(desk, SqlCuration(ledger.database)),
            SectionRoom(desk),
        ),
        state=lambda: (ledger.database.state(), shows.now()),
    )
    return compose(
        otlp=otlp_app(node),
        pages=pages,
        mounts={
            "gw": gateway.app,
            "api": people_api(installation, ledger, site.sign_in.directory),
            **({} if mcp is None else {"mcp": mcp.app}),
        },
        metrics=lambda: metrics_text(node.health()) + gateway.metrics(),
        health=lambda: {
            "program": "pilothouse",
            "version": __version__,
            "telemetry": asdict(node.health()),
            "gap_alert": site.gap_watch.is_open,
            "gateway": gateway.counters(),
            "paused": sorted({pause.agent for pause in controls.state().pauses.values()}),
            "ticks": [asdict(state) for state in site.work()],
        },
        further_hosts=installation.settings.allowed_hosts,
    )
