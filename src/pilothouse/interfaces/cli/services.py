# SPDX-License-Identifier: Apache-2.0
"""What the command line is given by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pilothouse.demo.parts import DemoParts
    from pilothouse.lake.repair import ScrubReport
    from pilothouse.ports.clock import Clock
    from pilothouse.ports.credentials import CredentialStore
    from pilothouse.ports.gateway import GatewayStore
    from pilothouse.ports.intake import Intake
    from pilothouse.ports.runlog import RunLog
    from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.curation_desk import CurationDesk
    from pilothouse.workflows.curation.knowledge_gaps import GapRoom
    from pilothouse.workflows.ground.boundary_room import BoundaryRoom
    from pilothouse.workflows.ground.control_room import ControlRoom
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.people.sign_in import SignIn
    from pilothouse.workflows.replay.run import ReplayReport, ReplayRequest
    from pilothouse.workflows.review.queue import Workbench
    from pilothouse.workflows.server.backup import Manifest
    from pilothouse.workflows.server.checkup import Checkup
    from pilothouse.workflows.shows.desk import PageDesk
    from pilothouse.workflows.watch.room import WatchRoom

__all__ = ["BackUp", "McpRequest", "Rebuild", "Repair", "ServeRequest", "ServerRole", "Services"]


class ServerRole(StrEnum):
    """What a server process does."""

    ALL = "all"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """What `up` asks for.

    Attributes:
        settings: Values in force.
        charters: Charter files to put into force and to watch.
        grpc_port: Port for OTLP over gRPC; 0 lets the system choose.
        role: Everything, or the gateway alone beside another process that does the rest.
        on_ready: Told the address once connections are accepted, and that of gRPC or nothing.
        on_note: Told about things a person should know while it runs.
        until_ends: Process that a gateway works for: it stops when that has ended; or None.
    """

    settings: Settings
    charters: tuple[Path, ...]
    grpc_port: int
    on_ready: Callable[[str, str | None], None]
    on_note: Callable[[str], None]
    role: ServerRole = ServerRole.ALL
    until_ends: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpRequest:
    """What `mcp proxy` asks for.

    Attributes:
        settings: Values in force.
        agent: Agent with a charter in force.
        servers: MCP servers by name.
        task_type: Task type of every call; `unknown` may only read.
        on_note: Told about things a person should know while it runs.
    """

    settings: Settings
    agent: str
    servers: Mapping[str, UpstreamAddress]
    task_type: str
    on_note: Callable[[str], None]


class Repair(Protocol):
    """Finds damaged files of the lake."""

    def __call__(self, settings: Settings, *, take_out: bool, actor: str) -> ScrubReport:
        """Return what a look at every file found, and take damaged ones out of their tables if asked to."""
        ...


class Rebuild(Protocol):
    """Folds sealed tasks again of which spans came later."""

    def __call__(self, settings: Settings, *, actor: str) -> int:
        """Return how many say something else now."""
        ...


class BackUp(Protocol):
    """Copies an installation to a new folder."""

    def __call__(self, settings: Settings, target: Path, *, no_ledger: bool = False) -> Manifest:
        """Copy it, without the ledger where somebody else copies that."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Openers and starters that commands call; nothing is opened before a command needs it.

    Attributes:
        clock: The time.
        open_installation: Open lake and ledger of the settings for the time of a command.
        open_control_room: Open what pauses, pages and drills need, for the time of a command.
        open_watch: Open the detectors, for the time of a command.
        open_gateway_store: Open virtual keys and providers, for the time of a command.
        open_credentials: Open the credentials of outside systems, for the time of a command.
        open_boundary: Open audit log and approvals, for the time of a command.
        open_intake: Open the running server's intake, or our own; what it took is folded at the end.
        open_sign_in: Open who people are, for the time of a command.
        open_curation: Open what curating and erasing need, for the time of a command.
        open_gaps: Open what the audit of gaps needs, for the time of a command.
        feedback_key: The key with which feedback is sent.
        open_workbench: Open the review queue, for the time of a command.
        server_address: Where the running server listens, or None.
        serve: Serve until a signal asks to stop.
        examine: Look at the installation.
        back_up: Copy the installation to a new folder.
        repair: Find damaged files of the lake, and set them aside.
        rebuild_tasks: Fold sealed tasks again of which spans came later.
        demo_parts: What the demo needs of us.
        prepare_demo: Make sure the demo's data exist and return the settings that point to them.
        run_mcp_proxy: Stand between an agent and its MCP servers until the agent goes.
        serve_examples: Serve an agent's few-shot examples by MCP until the agent goes.
        serve_verdicts: Serve verdicts, evidence, tasks and runs by MCP until the assistant goes.
        list_mcp_tools: Ask an MCP server what it says about its tools.
        open_page_desk: Open everything a page is gathered from, for the time of a command.
        open_run_log: Open the run log for the time of a command.
        replay: Replay a recorded run.
    """

    clock: Clock
    open_installation: Callable[[Settings], AbstractContextManager[Installation]]
    open_control_room: Callable[[Settings], AbstractContextManager[ControlRoom]]
    open_watch: Callable[[Settings], AbstractContextManager[WatchRoom]]
    open_gateway_store: Callable[[Settings], AbstractContextManager[GatewayStore]]
    open_credentials: Callable[[Settings], AbstractContextManager[CredentialStore]]
    open_boundary: Callable[[Settings], AbstractContextManager[BoundaryRoom]]
    open_intake: Callable[[Settings], AbstractContextManager[Intake]]
    open_sign_in: Callable[[Settings], AbstractContextManager[SignIn]]
    open_curation: Callable[[Settings], AbstractContextManager[CurationDesk]]
    open_gaps: Callable[[Settings], AbstractContextManager[GapRoom]]
    feedback_key: Callable[[Settings], str]
    open_workbench: Callable[[Settings], AbstractContextManager[Workbench]]
    server_address: Callable[[Settings], str | None]
    serve: Callable[[ServeRequest], None]
    examine: Callable[[Settings], Checkup]
    back_up: BackUp
    repair: Repair
    rebuild_tasks: Rebuild
    demo_parts: Callable[[], DemoParts]
    prepare_demo: Callable[[Settings], Settings]
    run_mcp_proxy: Callable[[McpRequest], None]
    serve_examples: Callable[[Settings, str], None]
    serve_verdicts: Callable[[Settings], None]
    list_mcp_tools: Callable[[UpstreamAddress], list[tuple[str, str, dict[str, object]]]]
    open_page_desk: Callable[[Settings], AbstractContextManager[PageDesk]]
    open_run_log: Callable[[Settings], AbstractContextManager[RunLog]]
    replay: Callable[[Settings, str, ReplayRequest], tuple[ReplayReport, ...]]
